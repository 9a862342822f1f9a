use std::fmt;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;

use crate::body::{Body, ByteStream};
use crate::capabilities::ProbedCapability;
use crate::checkup::{Check, CheckupOptions, Fix};
use crate::error::StorageResult;
use crate::key::ObjectKey;
use crate::parts::{PartPage, UploadedPart};
use crate::presign::{PresignGet, PresignPart, PresignPost, PresignPut, PresignedPost, PresignedUrl};

/// Where bytes live: one bucket, or a prefix of one.
///
/// Every method is safe to call again after any failure. Futures may be dropped at any await: a dropped `put` leaves
/// either the whole object or none, and no multipart upload that [`ObjectStorage::list_multipart_uploads`] does not show.
#[async_trait]
pub trait ObjectStorage: fmt::Debug + Send + Sync {
    /// Stores an object, whole or not at all, replacing whatever has the key.
    ///
    /// A known length is sent as one request, an unknown one in parts of bounded size; memory use is bounded in both
    /// cases. A digest in `options` is enforced: by the server where it can, otherwise by the implementation.
    ///
    /// # Errors
    /// [`Corrupted`](crate::StorageError::Corrupted) when length or digest differ, and then nothing is stored;
    /// [`Body`](crate::StorageError::Body) when the stream fails; `Unavailable { outcome_unknown: true }` when the
    /// object may be there, or may still appear. Implementations do not try again after an unknown outcome: an object
    /// that was stored once, with one definite answer, has no other request under way that could bring it back after
    /// a delete.
    async fn put(&self, key: &ObjectKey, body: Body, options: &PutOptions) -> StorageResult<PutOutcome>;

    /// Reads an object or a range of it. The stream ends with an error if fewer bytes arrive than were announced.
    ///
    /// # Errors
    /// [`NotFound`](crate::StorageError::NotFound),
    /// [`RangeNotSatisfiable`](crate::StorageError::RangeNotSatisfiable) when the range starts at or after the end. A
    /// range that ends after the end is cut.
    async fn get(&self, key: &ObjectKey, range: Option<ByteRange>) -> StorageResult<Download>;

    /// What storage knows about an object, without its bytes.
    ///
    /// # Errors
    /// [`NotFound`](crate::StorageError::NotFound).
    async fn head(&self, key: &ObjectKey) -> StorageResult<ObjectMeta>;

    /// Copies an object's bytes inside the storage. The copy is stored as the options say and with nothing else: neither
    /// the content type of the source nor any other header or metadata that its writer has sent along.
    ///
    /// # Errors
    /// [`NotFound`](crate::StorageError::NotFound) when there is no source;
    /// [`PreconditionFailed`](crate::StorageError::PreconditionFailed) when the source is not as the condition asks;
    /// [`Unsupported`](crate::StorageError::Unsupported) when the server cannot hold the condition.
    async fn copy(&self, from: &ObjectKey, to: &ObjectKey, options: &CopyOptions) -> StorageResult<ObjectMeta>;

    /// Removes an object. An object that is not there is a success.
    ///
    /// # Errors
    /// [`BucketMissing`](crate::StorageError::BucketMissing) and
    /// [`AccessDenied`](crate::StorageError::AccessDenied) are errors: they do not mean that the object is gone.
    async fn delete(&self, key: &ObjectKey) -> StorageResult<()>;

    /// Lists objects in ascending order of their keys' bytes: those whose key starts with `prefix` and is greater than
    /// `after`, at most `limit` (1 to 1,000). `after` is a key as an earlier page gave it, or any other text.
    async fn list_page(&self, prefix: &str, after: Option<&str>, limit: u16) -> StorageResult<ListPage>;

    /// Lists multipart uploads that were begun and neither completed nor aborted, those of keys that start with
    /// `prefix`, from `marker` on (an earlier page's [`MultipartUploadPage::next`]).
    async fn list_multipart_uploads(&self, prefix: &str, marker: Option<&str>) -> StorageResult<MultipartUploadPage>;

    /// Discards a multipart upload and its parts. One that does not exist is a success.
    async fn abort_multipart_upload(&self, key: &ObjectKey, upload_id: &str) -> StorageResult<()>;

    /// Begins a multipart upload whose parts come by [`ObjectStorage::presign_part`], and returns the storage's name for
    /// it. Nobody ends it but the caller. After an unknown outcome, or dropped, it may be there without anybody knowing
    /// its name: [`ObjectStorage::list_multipart_uploads`] shows it.
    async fn create_multipart_upload(&self, key: &ObjectKey, content_type: &str) -> StorageResult<String>;

    /// Lists the parts that a multipart upload has, in ascending order: those with numbers above `after`, at most `limit`
    /// (1 to 1,000). Of a number that was sent more than once, the last.
    ///
    /// # Errors
    /// [`UploadMissing`](crate::StorageError::UploadMissing) when it was completed or aborted, or never was one of `key`.
    async fn list_parts(
        &self,
        key: &ObjectKey,
        upload_id: &str,
        after: Option<u16>,
        limit: u16,
    ) -> StorageResult<PartPage>;

    /// Makes one object of the parts, which are given in ascending order as they were listed, replacing whatever has the
    /// key, and ends the upload. All parts but the last have at least [`MIN_PART_BYTES`](crate::MIN_PART_BYTES).
    ///
    /// # Errors
    /// [`PreconditionFailed`](crate::StorageError::PreconditionFailed) when a part is not there, or was sent again since
    /// it was listed; the upload then goes on. [`UploadMissing`](crate::StorageError::UploadMissing) when it was aborted
    /// or completed, perhaps by this very call a moment ago; a storage may also answer the latter with success.
    async fn complete_multipart_upload(
        &self,
        key: &ObjectKey,
        upload_id: &str,
        parts: &[UploadedPart],
    ) -> StorageResult<()>;

    /// Signs a URL that reads the object until it expires. No request is sent.
    ///
    /// # Errors
    /// [`InvalidRequest`](crate::StorageError::InvalidRequest) when the time is 0 or above
    /// [`MAX_PRESIGN_SECONDS`](crate::MAX_PRESIGN_SECONDS).
    async fn presign_get(&self, key: &ObjectKey, options: &PresignGet) -> StorageResult<PresignedUrl>;

    /// Signs a URL to which a client may `PUT` exactly one length and content type.
    async fn presign_put(&self, key: &ObjectKey, options: &PresignPut) -> StorageResult<PresignedUrl>;

    /// Signs a URL to which a client may `PUT` one part of a multipart upload, of exactly one length, any number of times.
    ///
    /// # Errors
    /// [`InvalidRequest`](crate::StorageError::InvalidRequest) for a number that is not 1 to
    /// [`MAX_PARTS`](crate::MAX_PARTS), and for a life as of [`ObjectStorage::presign_get`].
    async fn presign_part(&self, key: &ObjectKey, options: &PresignPart) -> StorageResult<PresignedUrl>;

    /// Signs a form with which a browser may `POST` one object of the given type and at most the given size.
    ///
    /// # Errors
    /// [`Unsupported`](crate::StorageError::Unsupported) where the server is known to have no POST policies.
    async fn presign_post(&self, key: &ObjectKey, options: &PresignPost) -> StorageResult<PresignedPost>;

    /// What can be said about the bucket; also the cheapest check that endpoint, credentials and bucket are right.
    async fn bucket_info(&self) -> StorageResult<BucketInfo>;

    /// Finds out what the server can do beyond what every server does, by requests that leave nothing behind. From then on
    /// this implementation knows it: what the server cannot do is [`Unsupported`](crate::StorageError::Unsupported) at
    /// once. Before, all is taken to be there.
    ///
    /// # Errors
    /// When the server does not answer one of the requests in a way that means yes or no.
    async fn probe_capabilities(&self) -> StorageResult<Vec<ProbedCapability>>;

    /// Looks for what is set up wrongly: one line for each thing. Never fails, and ends in a few minutes at most. Objects
    /// that it writes, it removes. What the server can do is known afterwards, as after
    /// [`ObjectStorage::probe_capabilities`].
    async fn check_up(&self, options: &CheckupOptions) -> Vec<Check>;

    /// Does what a [`Check`] has offered, and keeps the settings that are there.
    ///
    /// # Errors
    /// [`Unsupported`](crate::StorageError::Unsupported) where the server has no such settings.
    async fn apply_fix(&self, fix: &Fix) -> StorageResult<()>;

    /// Creates the bucket if it does not exist. True if it was created.
    async fn ensure_bucket(&self) -> StorageResult<bool>;
}

/// How an object is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PutOptions {
    /// The content type that storage answers with. Visible ASCII.
    pub content_type: String,
    /// MD5 of the whole body, where it is known beforehand (RFC 1864): the digest that most servers enforce.
    pub content_md5: Option<[u8; 16]>,
}

/// What a successful `put` has stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutOutcome {
    /// The entity tag, without quotes.
    pub etag: String,
    /// How many bytes were stored.
    pub size_bytes: u64,
}

/// Bytes of an object by position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// The first byte, counted from 0.
    pub start: u64,
    /// How many bytes, at least 1.
    pub length: u64,
}

/// An object, or a range of it, on its way.
pub struct Download {
    /// About the whole object.
    pub meta: ObjectMeta,
    /// How many bytes the stream will yield.
    pub length: u64,
    /// The bytes.
    pub stream: ByteStream,
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download").field("meta", &self.meta).field("length", &self.length).finish_non_exhaustive()
    }
}

/// What storage knows about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectMeta {
    /// The size of the whole object.
    pub size_bytes: u64,
    /// The entity tag, without quotes.
    pub etag: String,
    /// The content type it was stored with, if storage says.
    pub content_type: Option<String>,
    /// When it was last written, by the storage's clock, if storage says.
    pub last_modified: Option<SystemTime>,
}

/// How a copy is stored, and what must hold of the source for it to happen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopyOptions {
    /// The content type that storage answers with. Visible ASCII.
    pub content_type: String,
    /// The source's entity tag, without quotes.
    pub if_match: Option<String>,
}

/// One object of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedObject {
    /// Its name as storage tells it, without the configured prefix. Not an [`ObjectKey`]: a bucket may hold what we
    /// did not put there.
    pub key: String,
    /// Its size.
    pub size_bytes: u64,
    /// The entity tag, without quotes.
    pub etag: String,
    /// When it was last written, by the storage's clock, if storage says.
    pub last_modified: Option<SystemTime>,
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPage {
    /// Ascending by key.
    pub objects: Vec<ListedObject>,
    /// Whether storage has more after the last of them. A page may have no objects and yet more to come.
    pub has_more: bool,
}

/// A multipart upload that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultipartUpload {
    /// The key it would create, without the configured prefix.
    pub key: String,
    /// The storage's name for it.
    pub upload_id: String,
    /// When it was begun, by the storage's clock, if storage says.
    pub initiated: Option<SystemTime>,
}

/// One page of multipart uploads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultipartUploadPage {
    /// In the storage's order.
    pub uploads: Vec<MultipartUpload>,
    /// Where the next page starts; `None` on the last.
    pub next: Option<String>,
}

/// What can be said about the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketInfo {
    /// The bucket's name.
    pub bucket: String,
    /// The prefix below which this module's objects lie; empty or ending in `/`.
    pub prefix: String,
    /// Where it is, as configured. No credentials.
    pub endpoint: String,
    /// The region used for signing.
    pub region: String,
    /// How far the storage's clock is from ours, by the `Date` of its answer (whole seconds).
    pub clock_skew: Option<ClockSkew>,
}

/// The distance of two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockSkew {
    /// The storage's clock is ahead of ours.
    Ahead(Duration),
    /// The storage's clock is behind ours.
    Behind(Duration),
}
