//! The bytes of objects against the digests of their rows.

use futures::StreamExt;
use object_store_models::{MediaId, Sha256};
use object_store_repo::{AudioRepo, ImageRepo};
use object_store_storage::{ObjectKey, StorageError};
use sha2::Digest;

use crate::error::Result;
use crate::upload::{broken_off, pause};
use crate::verify::Run;
use crate::verify::names::Row;
use crate::verify::report::Finding;

/// How often an object is read whose download breaks off.
const READ_ATTEMPTS: u32 = 3;

/// After so many objects in a row that could not be read, storage as a whole is taken for unreachable.
const AWAY_AFTER: u32 = 10;

/// What reading an object gave.
enum Read {
    Whole(Sha256),
    /// Gone, or of another size than a moment ago.
    Changed,
    /// There, and not given.
    Refused,
}

impl Run<'_> {
    /// Reads the objects of these rows, if that was asked for, and compares their digests.
    pub(super) async fn rehash(&mut self, rows: Vec<Row>) -> Result<()> {
        for row in rows {
            if self.throttle.is_some() {
                self.rehash_one(&row).await?;
            }
            self.options.progress.add(1);
        }
        Ok(())
    }

    async fn rehash_one(&mut self, row: &Row) -> Result<()> {
        let Ok(key) = ObjectKey::parse(&row.key) else { return Ok(()) };
        let read = match self.read(&key, row).await? {
            Read::Whole(read) => read,
            Read::Changed => return self.examine_doubtful(vec![row.clone()]).await,
            Read::Refused => return Ok(()),
        };
        self.report.rehashed += 1;
        match row.sha256 {
            Some(expected) if expected == read => Ok(()),
            Some(expected) => self.examine_mismatch(&key, row, expected).await,
            None => {
                self.report.digests_noted += u64::from(self.note_digest(row.id, read).await?);
                Ok(())
            }
        }
    }

    /// Reads once more: the first time the bytes may have changed on their way.
    async fn examine_mismatch(&mut self, key: &ObjectKey, row: &Row, row_sha256: Sha256) -> Result<()> {
        let Read::Whole(object_sha256) = self.read(key, row).await? else { return Ok(()) };
        if object_sha256 != row_sha256 && self.is_there(row).await? {
            self.report.add(Finding::DigestMismatch { id: row.id, key: row.key.clone(), row_sha256, object_sha256 });
        }
        Ok(())
    }

    async fn note_digest(&self, id: MediaId, sha256: Sha256) -> Result<bool> {
        let noted = self.service.database.statements(async |conn| match id {
            MediaId::Image(id) => ImageRepo::set_sha256(conn, id, sha256).await,
            MediaId::Audio(id) => AudioRepo::set_sha256(conn, id, sha256).await,
        });
        Ok(noted.await?)
    }

    async fn read(&mut self, key: &ObjectKey, row: &Row) -> Result<Read> {
        let mut attempt = 1;
        loop {
            match self.read_once(key, row).await {
                Ok(read) => {
                    self.unreadable_in_a_row = 0;
                    return Ok(read);
                }
                Err(StorageError::NotFound { .. }) => return Ok(Read::Changed),
                Err(StorageError::Unavailable { .. }) if attempt < READ_ATTEMPTS => {
                    pause(attempt).await;
                    attempt += 1;
                }
                Err(error) => return self.note_unreadable(row, error),
            }
        }
    }

    /// A single object that a damaged disk does not give is a finding; when one after the other fails, storage is away.
    fn note_unreadable(&mut self, row: &Row, error: StorageError) -> Result<Read> {
        self.unreadable_in_a_row += 1;
        if self.unreadable_in_a_row == AWAY_AFTER {
            return Err(error.into());
        }
        self.report.add(Finding::Unreadable { id: row.id, key: row.key.clone(), code: error.code() });
        Ok(Read::Refused)
    }

    async fn read_once(&mut self, key: &ObjectKey, row: &Row) -> Result<Read, StorageError> {
        let mut download = self.service.storage.get(key, None).await?;
        if download.length != row.size_bytes {
            return Ok(Read::Changed);
        }
        let mut hasher = sha2::Sha256::new();
        while let Some(piece) = download.stream.next().await {
            let piece = piece.map_err(StorageError::Body).map_err(broken_off)?;
            hasher.update(&piece);
            self.report.rehashed_bytes += piece.len() as u64;
            if let Some(throttle) = &mut self.throttle {
                throttle.spend(piece.len()).await;
            }
        }
        Ok(Read::Whole(<[u8; 32]>::from(hasher.finalize()).into()))
    }
}
