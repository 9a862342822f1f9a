//! Copying what was found good to a key that no client could ever write, and looking at it again there.

use bytes::Bytes;
use futures::TryStreamExt;
use object_store_models::Sha256;
use object_store_storage::{CopyOptions, Download, ObjectKey, PutOptions, RetryClass, StorageError, StorageResult};
use sha2::Digest;
use tokio::runtime::Handle;
use tracing::warn;

use crate::direct::find::OpenUpload;
use crate::direct::receive::Received;
use crate::error::{ObjectStoreError, Result, chain};
use crate::mutants::{self, Mutant};
use crate::service::ObjectStoreService;
use crate::sweep::Leftovers;
use crate::upload::abandon::LateWrite;
use crate::upload::facts;
use crate::upload::ranged::{RangedObject, broken_off};
use crate::upload::stage::blocking;
use crate::upload::write::Intent;

/// How often it is copied, each time to a fresh key, when storage fails in a way that may pass.
const COPY_ATTEMPTS: u32 = 3;

/// What lies under the final key.
#[derive(Debug)]
pub(super) struct Copied {
    pub(super) etag: String,
    /// `None` where it was too large to be hashed.
    pub(super) sha256: Option<Sha256>,
}

impl ObjectStoreService {
    /// Copies what was found good, and nothing else, to a fresh key that an intent of its own names.
    pub(super) async fn copy_to_final(&self, upload: &OpenUpload, received: &Received) -> Result<(Intent, Copied)> {
        let mut attempt = 1;
        loop {
            let intent = self.declare(upload.id, upload.user_id).await?;
            match self.copy_under(&intent, upload, received).await {
                Ok(copied) => return Ok((intent, copied)),
                Err(ObjectStoreError::Storage(error)) if attempt < COPY_ATTEMPTS && may_pass(&error) => {
                    warn!(object.key = %intent.key, error = %chain(&error), "copy tried again under a fresh key");
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Copies under an intent; after an error that is a purge.
    async fn copy_under(&self, intent: &Intent, upload: &OpenUpload, received: &Received) -> Result<Copied> {
        let etag = self.write_under(intent, upload, received).await?;
        match self.within_fence(intent, self.look_again(&intent.key, &etag, upload, received)).await {
            Ok(sha256) => Ok(Copied { etag, sha256 }),
            Err(error) => {
                self.abandon(intent, Leftovers::ObjectOnly, LateWrite::Impossible).await?;
                Err(error)
            }
        }
    }

    /// Answers the entity tag of the copy.
    async fn write_under(&self, intent: &Intent, upload: &OpenUpload, received: &Received) -> Result<String> {
        // The type that was found in the bytes, whatever the client was to send, and nothing else that it has sent along.
        let etag = Some(received.etag.clone());
        let options = CopyOptions {
            content_type: received.format.content_type().to_owned(),
            if_match: etag.filter(|_| !mutants::is(Mutant::CopiesWhateverIsThere)),
        };
        let copy = self.storage.copy(&upload.staging, &intent.key, &options);
        let error = match self.within_fence(intent, copy).await {
            Ok(meta) if meta.size_bytes == received.size_bytes => return Ok(meta.etag),
            Ok(_) => StorageError::Corrupted { reason: "length" }.into(),
            Err(ObjectStoreError::Storage(StorageError::Unsupported { .. })) => {
                return self.put_under(intent, upload, received).await;
            }
            Err(error) => error,
        };
        self.abandon(intent, Leftovers::ObjectOnly, LateWrite::after_failure(&error)).await?;
        Err(error)
    }

    /// Puts the very bytes that were read, where the storage cannot copy on a condition.
    async fn put_under(&self, intent: &Intent, upload: &OpenUpload, received: &Received) -> Result<String> {
        let body = match self.body_of(upload, received).await {
            Ok(body) => body,
            Err(error) => {
                self.abandon(intent, Leftovers::ObjectOnly, LateWrite::Impossible).await?;
                return Err(error.into());
            }
        };
        let options = PutOptions { content_type: received.format.content_type().to_owned(), content_md5: received.md5 };
        self.put(intent, body, &options).await.map(|outcome| outcome.etag)
    }

    /// Makes sure that the copy is what was found good, and answers its digest.
    ///
    /// An entity tag is an MD5 of the bytes, or of such, wherever bytes are not encrypted; two files with the same one
    /// can be made at will (RFC 6151, section 2.1). So a client could replace what was looked at by something else
    /// under the same entity tag, and only the copy, which it cannot write, says what it is.
    async fn look_again(
        &self,
        copy: &ObjectKey,
        etag: &str,
        upload: &OpenUpload,
        received: &Received,
    ) -> Result<Option<Sha256>> {
        if mutants::is(Mutant::CopiesWhateverIsThere) {
            return Ok(received.sha256);
        }
        if let Some(expected) = received.sha256 {
            let found = digest_of(self.storage.get(copy, None).await?).await?;
            return if found == expected { Ok(Some(found)) } else { Err(differs()) };
        }
        let (storage, size_bytes) = (self.storage.clone(), received.size_bytes);
        let source = RangedObject::new(storage, Handle::current(), copy.clone(), size_bytes, Bytes::new());
        let (source, policy) = (source.only(etag), self.policy_for(upload));
        match blocking(move || facts::of_source(source, &policy)).await {
            Ok((format, facts)) if format == received.format && facts == received.facts => {}
            // What was sent was acceptable when it was looked at: whether it still is, the next completion says.
            Ok(_) | Err(ObjectStoreError::Invalid(_)) => return Err(differs()),
            Err(error) => return Err(error),
        }
        if size_bytes > self.settings.hash_at_completion {
            return Ok(None);
        }
        Ok(Some(digest_of(self.storage.get(copy, None).await?).await?))
    }
}

fn differs() -> ObjectStoreError {
    StorageError::Corrupted { reason: "a copy is not what was copied" }.into()
}

async fn digest_of(mut download: Download) -> StorageResult<Sha256> {
    let mut hasher = sha2::Sha256::new();
    while let Some(piece) = download.stream.try_next().await.map_err(StorageError::Body).map_err(broken_off)? {
        hasher.update(&piece);
    }
    Ok(<[u8; 32]>::from(hasher.finalize()).into())
}

pub(super) fn may_pass(error: &StorageError) -> bool {
    error.retry_class() != RetryClass::Never
}
