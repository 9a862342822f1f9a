use std::fmt;
use std::str::FromStr;

use object_store_models::{MediaId, MediaKind};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

/// Which part of a listing is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageRequest {
    /// How many items at most: 1 up to the configured limit, 200 by default. `None` is 50, or the limit if that is less.
    pub limit: Option<u16>,
    /// Where to go on: an earlier page's [`Page::next`]. `None` starts with the newest.
    pub after: Option<Cursor>,
}

impl PageRequest {
    /// How many items a page has where the caller does not say.
    pub const DEFAULT_LIMIT: u16 = 50;

    /// The first page, of at most so many items.
    pub fn first(limit: u16) -> Self {
        Self { limit: Some(limit), after: None }
    }
}

/// A part of a listing, newest first.
///
/// A walk from page to page shows everything that existed from its start to its end exactly once, whatever is added
/// or deleted meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page starts; `None` on the last.
    pub next: Option<Cursor>,
}

/// A place in a listing. Opaque: pass on what a page gave, as text or as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(MediaId);

/// Text that is no cursor of this listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor that a page of this listing gave")]
pub struct CursorError;

impl Cursor {
    pub(crate) fn after(id: impl Into<MediaId>) -> Self {
        Self(id.into())
    }

    pub(crate) fn media_id(self) -> MediaId {
        self.0
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.0.kind() {
            MediaKind::Image => 'i',
            MediaKind::Audio => 'a',
        };
        write!(f, "{kind}{}", self.0.uuid().simple())
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (kind, id) = match text.split_at_checked(1) {
            Some(("i", id)) => (MediaKind::Image, id),
            Some(("a", id)) => (MediaKind::Audio, id),
            _ => return Err(CursorError),
        };
        let uuid = Uuid::try_parse(id).map_err(|_| CursorError)?;
        let cursor = Self(MediaId::of(kind, uuid));
        // A UUID has several spellings; a cursor has one.
        if cursor.to_string() == text { Ok(cursor) } else { Err(CursorError) }
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use object_store_models::{AudioId, ImageId};

    use super::{Cursor, CursorError};

    #[test]
    fn a_cursor_reads_back_what_it_shows() {
        for cursor in [Cursor::after(ImageId::new()), Cursor::after(AudioId::new())] {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
    }

    #[test]
    fn anything_else_is_no_cursor() {
        let id = ImageId::new();
        let others =
            ["", "i", "x", "é", "i0193", &id.to_string(), &format!("i{id}"), &format!("I{}", id.uuid().simple())];
        for text in others {
            assert_eq!(text.parse::<Cursor>(), Err(CursorError), "{text:?}");
        }
    }
}
