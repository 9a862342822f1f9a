//! Rows whose object a listing does not show as it should be.

use std::time::Duration;

use futures::future::try_join_all;
use object_store_models::MediaId;
use object_store_repo::{AudioRepo, ImageRepo};
use object_store_storage::{ObjectKey, StorageError};

use crate::error::Result;
use crate::verify::Run;
use crate::verify::names::Row;
use crate::verify::report::Finding;

/// How many objects are asked for at once.
pub(super) const AT_ONCE: usize = 8;

/// Between the two times that an object is asked for.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// What storage says about the object of a row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Sound,
    Missing,
    OfSize(u64),
}

impl Run<'_> {
    /// Looks at each object by itself: a listing can be out of date or cut short.
    pub(super) async fn examine_doubtful(&mut self, rows: Vec<Row>) -> Result<()> {
        for some in rows.chunks(AT_ONCE) {
            let asked: Vec<_> = some.iter().map(|row| self.doubt(row)).collect();
            for finding in try_join_all(asked).await?.into_iter().flatten() {
                self.report.add(finding);
            }
        }
        Ok(())
    }

    async fn doubt(&self, row: &Row) -> Result<Option<Finding>> {
        if self.see(row).await? == Seen::Sound {
            return Ok(None);
        }
        tokio::time::sleep(ASK_AGAIN_AFTER).await;
        let seen = self.see(row).await?;
        // Deleted meanwhile, it may well be missing. Keys have one row ever, so this one was there all the time.
        if seen == Seen::Sound || !self.is_there(row).await? {
            return Ok(None);
        }
        let (id, key) = (row.id, row.key.clone());
        Ok(match seen {
            Seen::Sound => None,
            Seen::Missing => Some(Finding::Missing { id, key }),
            Seen::OfSize(object_bytes) => {
                Some(Finding::SizeMismatch { id, key, row_bytes: row.size_bytes, object_bytes })
            }
        })
    }

    async fn see(&self, row: &Row) -> Result<Seen> {
        // No storage of ours holds an object of another key.
        let Ok(key) = ObjectKey::parse(&row.key) else { return Ok(Seen::Missing) };
        match self.service.storage.head(&key).await {
            Ok(meta) if meta.size_bytes == row.size_bytes => Ok(Seen::Sound),
            Ok(meta) => Ok(Seen::OfSize(meta.size_bytes)),
            Err(StorageError::NotFound { .. }) => Ok(Seen::Missing),
            // Refused or unreachable is not gone.
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the row is still there.
    pub(super) async fn is_there(&self, row: &Row) -> Result<bool> {
        let mut conn = self.service.connection().await?;
        let key = match row.id {
            MediaId::Image(id) => ImageRepo::get(&mut conn, id).await?.map(|row| row.s3_key),
            MediaId::Audio(id) => AudioRepo::get(&mut conn, id).await?.map(|row| row.s3_key),
        };
        Ok(key.as_ref() == Some(&row.key))
    }
}
