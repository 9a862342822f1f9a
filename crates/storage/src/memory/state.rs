use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use md5::{Digest, Md5};

use crate::error::{StorageError, StorageResult};
use crate::key::ObjectKey;
use crate::parts::UploadedPart;
use crate::port::{ListedObject, ObjectMeta};

/// How often each operation of the port was called, whether it succeeded or not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Calls {
    /// Calls of `put`.
    pub put: u64,
    /// Calls of `get`.
    pub get: u64,
    /// Calls of `head`.
    pub head: u64,
    /// Calls of `copy`.
    pub copy: u64,
    /// Calls of `delete`.
    pub delete: u64,
    /// Calls of `list_page`.
    pub list_page: u64,
    /// Calls of `list_multipart_uploads`.
    pub list_multipart_uploads: u64,
    /// Calls of `abort_multipart_upload`.
    pub abort_multipart_upload: u64,
    /// Calls of `create_multipart_upload`.
    pub create_multipart_upload: u64,
    /// Calls of `list_parts`.
    pub list_parts: u64,
    /// Calls of `complete_multipart_upload`.
    pub complete_multipart_upload: u64,
    /// Calls of `presign_get`.
    pub presign_get: u64,
    /// Calls of `presign_put`.
    pub presign_put: u64,
    /// Calls of `presign_part`.
    pub presign_part: u64,
    /// Calls of `presign_post`.
    pub presign_post: u64,
    /// Calls of `bucket_info`.
    pub bucket_info: u64,
    /// Calls of `ensure_bucket`.
    pub ensure_bucket: u64,
}

impl Calls {
    /// Calls of the port, signing included.
    pub fn total(&self) -> u64 {
        self.requests() + self.presign_get + self.presign_put + self.presign_part + self.presign_post
    }

    /// Calls for which an S3 server would be asked.
    pub fn requests(&self) -> u64 {
        self.put
            + self.get
            + self.head
            + self.copy
            + self.delete
            + self.list_page
            + self.list_multipart_uploads
            + self.abort_multipart_upload
            + self.create_multipart_upload
            + self.list_parts
            + self.complete_multipart_upload
            + self.bucket_info
            + self.ensure_bucket
    }
}

#[derive(Default)]
pub(super) struct State {
    pub(super) objects: BTreeMap<String, StoredObject>,
    /// By key and name, which is the order of a listing.
    pub(super) uploads: BTreeMap<(String, String), OpenUpload>,
    pub(super) bucket_missing: bool,
    pub(super) clock_ahead: Duration,
    pub(super) calls: Calls,
    uploads_begun: u64,
}

impl State {
    pub(super) fn now(&self) -> SystemTime {
        SystemTime::now() + self.clock_ahead
    }

    pub(super) fn require_bucket(&self) -> StorageResult<()> {
        if self.bucket_missing { Err(StorageError::BucketMissing) } else { Ok(()) }
    }

    pub(super) fn object(&self, key: &ObjectKey) -> StorageResult<&StoredObject> {
        self.require_bucket()?;
        self.objects.get(key.as_str()).ok_or_else(|| StorageError::NotFound { key: key.clone() })
    }

    pub(super) fn begin_upload(&mut self, key: &ObjectKey, content_type: &str) -> String {
        self.uploads_begun += 1;
        let upload_id = format!("upload-{:08}", self.uploads_begun);
        let upload =
            OpenUpload { initiated: self.now(), content_type: content_type.to_owned(), parts: BTreeMap::new() };
        self.uploads.insert((key.to_string(), upload_id.clone()), upload);
        upload_id
    }

    pub(super) fn upload(&mut self, key: &ObjectKey, upload_id: &str) -> StorageResult<&mut OpenUpload> {
        self.require_bucket()?;
        let upload = self.uploads.get_mut(&(key.to_string(), upload_id.to_owned()));
        upload.ok_or_else(|| StorageError::UploadMissing { key: key.clone() })
    }

    /// True if it was outstanding.
    pub(super) fn end_upload(&mut self, key: &ObjectKey, upload_id: &str) -> bool {
        self.uploads.remove(&(key.to_string(), upload_id.to_owned())).is_some()
    }
}

/// A multipart upload that was begun.
pub(super) struct OpenUpload {
    pub(super) initiated: SystemTime,
    pub(super) content_type: String,
    /// By number.
    pub(super) parts: BTreeMap<u16, Part>,
}

pub(super) struct Part {
    pub(super) bytes: Bytes,
    pub(super) etag: String,
}

impl Part {
    pub(super) fn new(bytes: Bytes) -> Self {
        let etag = hex(&Md5::digest(&bytes));
        Self { bytes, etag }
    }

    pub(super) fn listed(&self, number: u16) -> UploadedPart {
        UploadedPart { number, size_bytes: self.bytes.len() as u64, etag: self.etag.clone() }
    }
}

#[derive(Clone)]
pub(super) struct StoredObject {
    pub(super) bytes: Bytes,
    pub(super) content_type: String,
    /// What else its writer has sent for storage to answer with.
    pub(super) headers: Vec<(String, String)>,
    pub(super) etag: String,
    pub(super) last_modified: SystemTime,
}

impl StoredObject {
    pub(super) fn new(bytes: Bytes, content_type: &str, now: SystemTime) -> Self {
        let etag = hex(&Md5::digest(&bytes));
        Self { bytes, content_type: content_type.to_owned(), headers: Vec::new(), etag, last_modified: now }
    }

    /// Of parts, in order. S3 gives the MD5 of their MD5s, and how many there are, for a tag.
    pub(super) fn joined(parts: &[&Part], content_type: &str, now: SystemTime) -> Self {
        let mut digests = Md5::new();
        let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.bytes.len()).sum());
        for part in parts {
            digests.update(Md5::digest(&part.bytes));
            bytes.extend_from_slice(&part.bytes);
        }
        let etag = format!("{}-{}", hex(&digests.finalize()), parts.len());
        Self {
            bytes: bytes.into(),
            content_type: content_type.to_owned(),
            headers: Vec::new(),
            etag,
            last_modified: now,
        }
    }

    pub(super) fn size_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    pub(super) fn meta(&self) -> ObjectMeta {
        ObjectMeta {
            size_bytes: self.size_bytes(),
            etag: self.etag.clone(),
            content_type: Some(self.content_type.clone()).filter(|content_type| !content_type.is_empty()),
            last_modified: Some(self.last_modified),
        }
    }

    pub(super) fn listed(&self, key: &str) -> ListedObject {
        ListedObject {
            key: key.to_owned(),
            size_bytes: self.size_bytes(),
            etag: self.etag.clone(),
            last_modified: Some(self.last_modified),
        }
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
