//! Copying all objects to another storage, so that a store can move.
//!
//! Driven by rows, not by what storage lists: what no row names is not worth moving, and what a row names must be there.
//! Nothing in the source ever changes. In the target an object has the key and the type that it has in the source, is
//! written whole or not at all, and is written only with the bytes that were uploaded, by their SHA-256. A run that ends
//! in the middle leaves objects that the next one finds and passes over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::StreamExt;
use object_store_models::{AudioModel, ImageModel, MediaId, Sha256};
use object_store_repo::{AudioRepo, ImageRepo, estimate_media};
use object_store_storage::{Body, ObjectKey, ObjectMeta, ObjectStorage, PutOptions, StorageError};
use serde::Serialize;

use crate::download::verified;
use crate::error::{ObjectStoreError, Result};
use crate::service::ObjectStoreService;
use crate::upload::pause;
use crate::verify::report::as_text;

/// How many rows are read at once.
const PAGE: i64 = 500;

/// How often an object is tried whose copy fails in a way that may pass.
const ATTEMPTS: u32 = 3;

/// After so many objects in a row that could not be copied, one of the storages is taken for unreachable.
const AWAY_AFTER: u64 = 20;

/// The most objects that are told one by one.
const FINDINGS: usize = 1_000;

/// How a store is copied.
#[derive(Debug, Clone)]
pub struct CopyStoreOptions {
    /// How many objects are on their way at once, at least 1.
    pub at_once: usize,
    /// Whether objects that are in the target already are read there and compared by their digest, and not only by
    /// their size and entity tag.
    pub rehash: bool,
    /// How far it is. Keep a clone to look at.
    pub progress: Arc<CopyStoreProgress>,
}

impl Default for CopyStoreOptions {
    fn default() -> Self {
        Self { at_once: 8, rehash: false, progress: Arc::default() }
    }
}

/// How far a copy of a store is.
#[derive(Debug, Default)]
pub struct CopyStoreProgress {
    expected_rows: AtomicU64,
    rows: AtomicU64,
    bytes: AtomicU64,
}

impl CopyStoreProgress {
    /// About how many rows there were when it began; 0 before that.
    pub fn expected_rows(&self) -> u64 {
        self.expected_rows.load(Ordering::Relaxed)
    }

    /// How many rows were looked at.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// How many bytes were copied.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// What a copy of a store has done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CopyStoreReport {
    /// Rows that were looked at.
    pub rows: u64,
    /// Objects that were copied.
    pub copied: u64,
    /// Their bytes.
    pub copied_bytes: u64,
    /// Objects that were in the target already.
    pub present: u64,
    /// Objects whose row went while they were copied. Their copies were removed.
    pub deleted_meanwhile: u64,
    /// Objects that could not be copied.
    pub failed: u64,
    /// These, up to a thousand of them.
    pub failures: Vec<CopyFailure>,
}

/// An object that could not be copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CopyFailure {
    /// Whose object.
    #[serde(serialize_with = "as_text")]
    pub id: MediaId,
    /// Its key.
    pub key: String,
    /// Why: `missing` in the source, `corrupt` there (other bytes than were uploaded), or storage's word for it.
    pub code: &'static str,
}

impl CopyStoreReport {
    /// Whether all that rows name is in the target.
    pub fn is_complete(&self) -> bool {
        self.failed == 0
    }
}

/// What a copy needs of a row.
#[derive(Debug, Clone)]
struct Source {
    id: MediaId,
    key: String,
    content_type: String,
    size_bytes: u64,
    sha256: Option<Sha256>,
}

enum Outcome {
    Copied,
    Present,
    Deleted,
    Failed(&'static str),
}

#[derive(Clone, Copy)]
enum Table {
    Images,
    Audios,
}

impl ObjectStoreService {
    /// Copies the object of every row to another storage. Uploads and deletes may go on meanwhile: run it again for what
    /// came in between.
    ///
    /// # Errors
    /// What the database says, and what storage says when one object after the other could not be copied. Single objects
    /// that could not are in the report.
    pub async fn copy_store(&self, target: &dyn ObjectStorage, options: &CopyStoreOptions) -> Result<CopyStoreReport> {
        // Whether both are there is found out before anything is written.
        self.storage.bucket_info().await?;
        target.bucket_info().await?;
        let expected = estimate_media(&mut self.connection().await?).await?;
        options.progress.expected_rows.store(expected, Ordering::Relaxed);
        let mut report = CopyStoreReport::default();
        let mut failed_in_a_row = 0;
        for table in [Table::Images, Table::Audios] {
            let mut after = None;
            loop {
                let rows = self.sources(table, after.as_deref()).await?;
                let Some(last) = rows.last() else { break };
                after = Some(last.key.clone());
                self.copy_page(target, options, rows, &mut report, &mut failed_in_a_row).await?;
            }
        }
        Ok(report)
    }

    async fn copy_page(
        &self,
        target: &dyn ObjectStorage,
        options: &CopyStoreOptions,
        rows: Vec<Source>,
        report: &mut CopyStoreReport,
        failed_in_a_row: &mut u64,
    ) -> Result<()> {
        let mut copies = futures::stream::iter(rows)
            .map(|row| async move {
                let outcome = self.copy_one(target, options, &row).await;
                (row, outcome)
            })
            .buffer_unordered(options.at_once.max(1));
        while let Some((row, outcome)) = copies.next().await {
            options.progress.rows.fetch_add(1, Ordering::Relaxed);
            report.rows += 1;
            let outcome = match outcome {
                Ok(outcome) => outcome,
                // Both storages answer for other objects: it is this one's.
                Err(ObjectStoreError::Storage(error)) if *failed_in_a_row + 1 < AWAY_AFTER => {
                    Outcome::Failed(error.code())
                }
                Err(error) => return Err(error),
            };
            *failed_in_a_row = if matches!(outcome, Outcome::Failed(_)) { *failed_in_a_row + 1 } else { 0 };
            report.note(options, row, &outcome);
        }
        Ok(())
    }

    async fn copy_one(&self, target: &dyn ObjectStorage, options: &CopyStoreOptions, row: &Source) -> Result<Outcome> {
        let Ok(key) = ObjectKey::parse(&row.key) else { return Ok(Outcome::Failed("invalid_key")) };
        let mut attempt = 1;
        loop {
            match self.copy_once(target, options, row, &key).await {
                Err(ObjectStoreError::Storage(StorageError::Unavailable { .. } | StorageError::Body(_)))
                    if attempt < ATTEMPTS =>
                {
                    pause(attempt).await;
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    async fn copy_once(
        &self,
        target: &dyn ObjectStorage,
        options: &CopyStoreOptions,
        row: &Source,
        key: &ObjectKey,
    ) -> Result<Outcome> {
        if let Some(found) = similar(target, row, key).await? {
            let meta = match self.storage.head(key).await {
                Ok(meta) => meta,
                Err(error) => return self.unreadable(row, error).await,
            };
            if meta.size_bytes != row.size_bytes {
                return Ok(Outcome::Failed("corrupt"));
            }
            if is_same(target, options, row, key, &found, &meta).await? {
                return Ok(Outcome::Present);
            }
        }
        let download = match self.storage.get(key, None).await {
            Ok(download) => download,
            Err(error) => return self.unreadable(row, error).await,
        };
        if download.meta.size_bytes != row.size_bytes {
            return Ok(Outcome::Failed("corrupt"));
        }
        let stream = match row.sha256 {
            Some(expected) => verified(download.stream, expected),
            None => download.stream,
        };
        let body = Body::Stream { stream, length: Some(row.size_bytes) };
        let put = PutOptions { content_type: row.content_type.clone(), content_md5: None };
        match target.put(key, body, &put).await {
            Ok(_) => {}
            Err(StorageError::Body(error)) if error.kind() == std::io::ErrorKind::InvalidData => {
                return Ok(Outcome::Failed("corrupt"));
            }
            Err(error) => return Err(error.into()),
        }
        if target.head(key).await?.size_bytes != row.size_bytes {
            return Err(StorageError::Corrupted { reason: "length" }.into());
        }
        // Whoever deleted it meanwhile has deleted it in the source alone.
        if !self.has_row(row.id).await? {
            target.delete(key).await?;
            return Ok(Outcome::Deleted);
        }
        Ok(Outcome::Copied)
    }

    /// What it means that the source's object cannot be had.
    async fn unreadable(&self, row: &Source, error: StorageError) -> Result<Outcome> {
        match error {
            StorageError::NotFound { .. } if self.has_row(row.id).await? => Ok(Outcome::Failed("missing")),
            StorageError::NotFound { .. } => Ok(Outcome::Deleted),
            error => Err(error.into()),
        }
    }

    async fn has_row(&self, id: MediaId) -> Result<bool> {
        let mut conn = self.connection().await?;
        Ok(match id {
            MediaId::Image(id) => ImageRepo::exists(&mut conn, id).await?,
            MediaId::Audio(id) => AudioRepo::exists(&mut conn, id).await?,
        })
    }

    async fn sources(&self, table: Table, after: Option<&str>) -> Result<Vec<Source>> {
        let mut conn = self.connection().await?;
        Ok(match table {
            Table::Images => {
                let rows = ImageRepo::list_by_key(&mut conn, after, None, PAGE).await?;
                rows.into_iter().map(Source::from).collect()
            }
            Table::Audios => {
                let rows = AudioRepo::list_by_key(&mut conn, after, None, PAGE).await?;
                rows.into_iter().map(Source::from).collect()
            }
        })
    }
}

/// What the target has under the key, if it has the size and type of what belongs there.
async fn similar(target: &dyn ObjectStorage, row: &Source, key: &ObjectKey) -> Result<Option<ObjectMeta>> {
    match target.head(key).await {
        Ok(found) => {
            let fits = found.size_bytes == row.size_bytes && found.content_type.as_deref() == Some(&row.content_type);
            Ok(Some(found).filter(|_| fits))
        }
        Err(StorageError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether the target has the object: by entity tag, or by its bytes. Where tags tell nothing, since one of the two came in
/// parts or is encrypted, the bytes decide.
async fn is_same(
    target: &dyn ObjectStorage,
    options: &CopyStoreOptions,
    row: &Source,
    key: &ObjectKey,
    found: &ObjectMeta,
    source: &ObjectMeta,
) -> Result<bool> {
    match row.sha256 {
        Some(expected) if options.rehash || found.etag != source.etag => {
            let mut stream = verified(target.get(key, None).await?.stream, expected);
            while let Some(piece) = stream.next().await {
                match piece {
                    Ok(_) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::InvalidData => return Ok(false),
                    Err(error) => return Err(StorageError::Body(error).into()),
                }
            }
            Ok(true)
        }
        _ => Ok(found.etag == source.etag),
    }
}

impl CopyStoreReport {
    fn note(&mut self, options: &CopyStoreOptions, row: Source, outcome: &Outcome) {
        match outcome {
            Outcome::Copied => {
                self.copied += 1;
                self.copied_bytes += row.size_bytes;
                options.progress.bytes.fetch_add(row.size_bytes, Ordering::Relaxed);
            }
            Outcome::Present => self.present += 1,
            Outcome::Deleted => self.deleted_meanwhile += 1,
            Outcome::Failed(code) => {
                self.failed += 1;
                if self.failures.len() < FINDINGS {
                    self.failures.push(CopyFailure { id: row.id, key: row.key, code });
                }
            }
        }
    }
}

macro_rules! from_row {
    ($($model:ident),*) => {
        $(impl From<$model> for Source {
            fn from(row: $model) -> Self {
                Self {
                    id: row.id.into(),
                    key: row.s3_key,
                    content_type: row.content_type,
                    size_bytes: row.size_bytes.unsigned_abs(),
                    sha256: row.sha256,
                }
            }
        })*
    };
}

from_row!(ImageModel, AudioModel);
