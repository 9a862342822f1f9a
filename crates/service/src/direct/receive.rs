//! Reading what a client has sent, under one entity tag: whatever the client sends meanwhile is not that.

use bytes::Bytes;
use object_store_media::{Facts, Format, Policy};
use object_store_models::Sha256;
use object_store_storage::{Body, Download, StorageError, StorageResult, collect};
use tokio::runtime::Handle;

use crate::direct::begin::max_request_bytes;
use crate::direct::declared::kind_of_bytes;
use crate::direct::find::OpenUpload;
use crate::error::{Result, ValidationError};
use crate::service::ObjectStoreService;
use crate::upload::facts;
use crate::upload::intake::{IN_MEMORY, check_length, check_size};
use crate::upload::ranged::{RangedObject, broken_off};
use crate::upload::stage::{Examined, blocking};

/// What a client has sent, found good.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) etag: String,
    pub(super) size_bytes: u64,
    pub(super) format: Format,
    pub(super) facts: Facts,
    /// Of what is small; the rest is hashed where no client can write.
    pub(super) sha256: Option<Sha256>,
    pub(super) md5: Option<[u8; 16]>,
    /// All of it, where it is small.
    bytes: Option<Bytes>,
}

impl ObjectStoreService {
    /// Looks at what was sent, with the policy of an upload through us.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] when nothing was; [`StorageError::PreconditionFailed`] when it was replaced while it
    /// was read; [`Invalid`](crate::ObjectStoreError::Invalid) with the code that an upload through us would have had.
    pub(super) async fn receive(&self, upload: &OpenUpload) -> Result<Received> {
        let meta = self.storage.head(&upload.staging).await?;
        let (etag, size_bytes) = (meta.etag, meta.size_bytes);
        let kind = kind_of_bytes(upload.id.kind());
        if size_bytes == 0 {
            return Err(ValidationError::Empty.into());
        }
        check_size(size_bytes, max_request_bytes(&self.settings.limits, kind))?;
        check_length(upload.declared.size_bytes, size_bytes)?;
        let policy = self.policy_for(upload);

        if size_bytes <= IN_MEMORY as u64 {
            let bytes = all_of(self.at(upload, &etag, size_bytes).await?).await?;
            let examined = {
                let bytes = bytes.clone();
                blocking(move || Examined::of(&bytes, &policy)).await?
            };
            let Examined { format, facts, sha256, md5 } = examined;
            let (sha256, md5) = (Some(sha256), Some(md5));
            return Ok(Received { etag, size_bytes, format, facts, sha256, md5, bytes: Some(bytes) });
        }
        let storage = self.storage.clone();
        let source = RangedObject::new(storage, Handle::current(), upload.staging.clone(), size_bytes, Bytes::new());
        let source = source.only(&etag);
        let (format, facts) = blocking(move || facts::of_source(source, &policy)).await?;
        Ok(Received { etag, size_bytes, format, facts, sha256: None, md5: None, bytes: None })
    }

    /// What an upload through us of what was declared would be held to.
    pub(super) fn policy_for(&self, upload: &OpenUpload) -> Policy {
        let kind = kind_of_bytes(upload.id.kind());
        facts::policy(&self.settings.limits, Some(kind), Some(upload.declared.content_type.clone()))
    }

    /// The very bytes that were found good, to be put elsewhere.
    pub(super) async fn body_of(&self, upload: &OpenUpload, received: &Received) -> StorageResult<Body> {
        if let Some(bytes) = &received.bytes {
            return Ok(Body::Bytes(bytes.clone()));
        }
        let download = self.at(upload, &received.etag, received.size_bytes).await?;
        Ok(Body::Stream { stream: download.stream, length: Some(received.size_bytes) })
    }

    /// The whole of what was sent, if it is still the same.
    async fn at(&self, upload: &OpenUpload, etag: &str, size_bytes: u64) -> StorageResult<Download> {
        let download = self.storage.get(&upload.staging, None).await?;
        if download.meta.etag == etag && download.meta.size_bytes == size_bytes {
            Ok(download)
        } else {
            Err(StorageError::PreconditionFailed)
        }
    }
}

async fn all_of(download: Download) -> StorageResult<Bytes> {
    collect(download.stream).await.map_err(broken_off)
}
