//! The listing, as ranges of keys that have no gap between them.

use object_store_storage::{ListPage, ListedObject, ObjectStorage, StorageError};

use crate::error::Result;
use crate::verify::PAGE;

/// How many pages without any object are followed before the listing is given up.
const EMPTY_PAGES: u32 = 5;

/// Where the listing is.
#[derive(Debug)]
pub(super) struct Listing {
    after: Option<String>,
    is_over: bool,
}

/// All that storage listed of a range of keys.
#[derive(Debug)]
pub(super) struct Range {
    /// The range begins after this key; `None` at the very beginning.
    pub(super) after: Option<String>,
    /// The range ends with this key; `None` at the very end.
    pub(super) until: Option<String>,
    /// Ascending by key.
    pub(super) objects: Vec<ListedObject>,
}

impl Listing {
    /// A listing of what follows a key; `None` for all.
    pub(super) fn after(key: Option<String>) -> Self {
        Self { after: key, is_over: false }
    }

    /// The next range; `None` after the last. The ranges cover all keys.
    pub(super) async fn next(&mut self, storage: &dyn ObjectStorage) -> Result<Option<Range>> {
        if self.is_over {
            return Ok(None);
        }
        let page = self.page(storage).await?;
        let last = page.objects.last().map(|last| last.key.clone());
        self.is_over = !page.has_more;
        let until = last.filter(|_| page.has_more);
        let after = std::mem::replace(&mut self.after, until.clone());
        Ok(Some(Range { after: comparable(after), until: comparable(until), objects: page.objects }))
    }

    async fn page(&self, storage: &dyn ObjectStorage) -> Result<ListPage> {
        for _ in 0..EMPTY_PAGES {
            let page = storage.list_page("", self.after.as_deref(), PAGE).await?;
            if !self.goes_on(&page) {
                return Err(broken("the listing is not in the order of its keys").into());
            }
            if !page.objects.is_empty() || !page.has_more {
                return Ok(page);
            }
        }
        Err(broken("the listing says that there is more, and does not show it").into())
    }

    fn goes_on(&self, page: &ListPage) -> bool {
        let keys = page.objects.iter().map(|object| object.key.as_str());
        self.after.as_deref().into_iter().chain(keys).is_sorted_by(|a, b| a < b)
    }
}

/// PostgreSQL's text cannot hold NUL. No key of ours has one, and such a key is at or before a text exactly if it is at or
/// before what the text has before its first NUL.
fn comparable(key: Option<String>) -> Option<String> {
    key.map(|mut key| {
        key.truncate(key.find('\0').unwrap_or(key.len()));
        key
    })
}

fn broken(reason: &str) -> StorageError {
    StorageError::Other { reason: reason.to_owned(), source: None }
}
