use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use object_store_storage::{
    Body, BucketInfo, ByteRange, Capability, Check, CheckupOptions, CopyOptions, Download, Fix, ListPage,
    MultipartUploadPage, ObjectKey, ObjectMeta, ObjectStorage, PartPage, PresignGet, PresignPart, PresignPost,
    PresignPut, PresignedPost, PresignedUrl, ProbedCapability, PutOptions, PutOutcome, StorageResult, UploadedPart,
};

use crate::client::Client;
use crate::config::S3Config;
use crate::presign::Presigner;
use crate::{bucket, copy, delete, doctor, get, list, multipart, parts, probe, put, uploads};

/// A bucket on an S3-compatible server, or a prefix of one. Cheap to clone; clones share their connections.
///
/// Beyond what [`ObjectStorage`] promises: reads, listings, deletes and aborts are tried up to five times within
/// [`S3Config::operation_timeout`]; a write only
/// when the failure before had no effect and the body is in memory. No time limits a transfer as long as it moves;
/// without any progress for [`S3Config::idle_timeout`] it ends. Objects above 5 GiB are sent in parts, and cannot be
/// copied.
#[derive(Clone)]
pub struct S3Provider {
    client: Arc<Client>,
    presigner: Arc<Presigner>,
}

impl S3Provider {
    /// Checks the settings and finds the credentials. Sends no request to the server; with
    /// [`S3Credentials::Default`](crate::S3Credentials::Default), perhaps to where credentials come from.
    ///
    /// # Errors
    /// [`InvalidRequest`](object_store_storage::StorageError::InvalidRequest) with the text of an
    /// [`S3ConfigError`](crate::S3ConfigError). Without credentials, [`Other`](object_store_storage::StorageError::Other),
    /// or [`Unavailable`](object_store_storage::StorageError::Unavailable) where a later attempt may find some; the source
    /// is a [`CredentialsError`](crate::CredentialsError).
    pub async fn connect(config: S3Config) -> StorageResult<Self> {
        let client = Client::new(config).await?;
        let presigner = Presigner::new(&client.config, &client.credentials).await?;
        Ok(Self { client: Arc::new(client), presigner: Arc::new(presigner) })
    }
}

impl fmt::Debug for S3Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Provider")
            .field("endpoint", &self.client.region.endpoint())
            .field("bucket", &self.client.config.bucket)
            .field("prefix", &self.client.config.prefix)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl ObjectStorage for S3Provider {
    async fn put(&self, key: &ObjectKey, body: Body, options: &PutOptions) -> StorageResult<PutOutcome> {
        put::put(&self.client, key, body, options).await
    }

    async fn get(&self, key: &ObjectKey, range: Option<ByteRange>) -> StorageResult<Download> {
        get::get(&self.client, key, range).await
    }

    async fn head(&self, key: &ObjectKey) -> StorageResult<ObjectMeta> {
        get::head(&self.client, key).await
    }

    async fn copy(&self, from: &ObjectKey, to: &ObjectKey, options: &CopyOptions) -> StorageResult<ObjectMeta> {
        if options.if_match.is_some() {
            self.client.require(Capability::CopyCondition, "copy on a condition")?;
        }
        copy::copy(&self.client, from, to, options).await
    }

    async fn delete(&self, key: &ObjectKey) -> StorageResult<()> {
        delete::delete(&self.client, key).await
    }

    async fn list_page(&self, prefix: &str, after: Option<&str>, limit: u16) -> StorageResult<ListPage> {
        list::page(&self.client, prefix, after, limit).await
    }

    async fn list_multipart_uploads(&self, prefix: &str, marker: Option<&str>) -> StorageResult<MultipartUploadPage> {
        uploads::list(&self.client, prefix, marker).await
    }

    async fn abort_multipart_upload(&self, key: &ObjectKey, upload_id: &str) -> StorageResult<()> {
        uploads::abort(&self.client, key, upload_id).await
    }

    async fn create_multipart_upload(&self, key: &ObjectKey, content_type: &str) -> StorageResult<String> {
        let options = PutOptions { content_type: content_type.to_owned(), content_md5: None };
        multipart::create(&self.client, key, &options).await
    }

    async fn list_parts(
        &self,
        key: &ObjectKey,
        upload_id: &str,
        after: Option<u16>,
        limit: u16,
    ) -> StorageResult<PartPage> {
        parts::page(&self.client, key, upload_id, after, limit).await
    }

    async fn complete_multipart_upload(
        &self,
        key: &ObjectKey,
        upload_id: &str,
        parts: &[UploadedPart],
    ) -> StorageResult<()> {
        multipart::join(&self.client, key, upload_id, parts).await
    }

    async fn presign_get(&self, key: &ObjectKey, options: &PresignGet) -> StorageResult<PresignedUrl> {
        self.presigner.get(&self.client, key, options).await
    }

    async fn presign_put(&self, key: &ObjectKey, options: &PresignPut) -> StorageResult<PresignedUrl> {
        self.presigner.put(&self.client, key, options).await
    }

    async fn presign_part(&self, key: &ObjectKey, options: &PresignPart) -> StorageResult<PresignedUrl> {
        self.presigner.part(&self.client, key, options).await
    }

    async fn presign_post(&self, key: &ObjectKey, options: &PresignPost) -> StorageResult<PresignedPost> {
        self.client.require(Capability::PostPolicy, "POST of a form")?;
        self.presigner.post(&self.client, key, options).await
    }

    async fn probe_capabilities(&self) -> StorageResult<Vec<ProbedCapability>> {
        let probed = probe::probe(&self.client).await?;
        self.client.know(probed.iter().cloned().collect());
        Ok(probed)
    }

    async fn check_up(&self, options: &CheckupOptions) -> Vec<Check> {
        doctor::check_up(&self.client, &self.presigner, options).await
    }

    async fn apply_fix(&self, fix: &Fix) -> StorageResult<()> {
        doctor::apply(&self.client, fix).await
    }

    async fn bucket_info(&self) -> StorageResult<BucketInfo> {
        bucket::info(&self.client).await
    }

    async fn ensure_bucket(&self) -> StorageResult<bool> {
        bucket::ensure(&self.client).await
    }
}
