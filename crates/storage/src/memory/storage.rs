use std::ops::Bound;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt};
use md5::{Digest, Md5};

use super::Memory;
use super::state::{Calls, StoredObject};
use crate::body::{Body, ByteStream};
use crate::capabilities::{Capability, ProbedCapability};
use crate::checkup::{Check, CheckupOptions, Fix};
use crate::error::{StorageError, StorageResult};
use crate::key::ObjectKey;
use crate::parts::{PartPage, UploadedPart};
use crate::port::{
    BucketInfo, ByteRange, ClockSkew, CopyOptions, Download, ListPage, MultipartUpload, MultipartUploadPage,
    ObjectMeta, ObjectStorage, PutOptions, PutOutcome,
};
use crate::presign::{PresignGet, PresignPart, PresignPost, PresignPut, PresignedPost, PresignedUrl};

/// The most objects that a page has, as in S3.
const MAX_PAGE: u16 = 1_000;

/// Downloads come in pieces of so many bytes, so that a caller who takes the first for the whole is found out.
const PIECE_BYTES: usize = 64 * 1024;

#[async_trait]
impl ObjectStorage for Memory {
    async fn put(&self, key: &ObjectKey, body: Body, options: &PutOptions) -> StorageResult<PutOutcome> {
        self.count(|calls| &mut calls.put);
        self.state().require_bucket()?;
        let bytes = match body {
            Body::Bytes(bytes) => bytes,
            Body::Stream { stream, length: Some(length) } => receive(stream, length).await?,
            Body::Stream { stream, length: None } => self.receive_unannounced(key, stream).await?,
        };
        self.store(key, bytes, options)
    }

    async fn get(&self, key: &ObjectKey, range: Option<ByteRange>) -> StorageResult<Download> {
        self.count(|calls| &mut calls.get);
        let object = self.state().object(key)?.clone();
        let bytes = match range {
            None => object.bytes.clone(),
            Some(range) => slice(&object.bytes, range).ok_or(StorageError::RangeNotSatisfiable)?,
        };
        Ok(Download { meta: object.meta(), length: bytes.len() as u64, stream: in_pieces(bytes) })
    }

    async fn head(&self, key: &ObjectKey) -> StorageResult<ObjectMeta> {
        self.count(|calls| &mut calls.head);
        Ok(self.state().object(key)?.meta())
    }

    async fn copy(&self, from: &ObjectKey, to: &ObjectKey, options: &CopyOptions) -> StorageResult<ObjectMeta> {
        self.count(|calls| &mut calls.copy);
        let mut state = self.state();
        let source = state.object(from)?;
        if options.if_match.as_ref().is_some_and(|etag| *etag != source.etag) {
            return Err(StorageError::PreconditionFailed);
        }
        // As S3 does when it makes an object whole again: the copy of one that came in parts has another tag.
        let object = StoredObject::new(source.bytes.clone(), &options.content_type, state.now());
        let meta = object.meta();
        state.objects.insert(to.to_string(), object);
        Ok(meta)
    }

    async fn delete(&self, key: &ObjectKey) -> StorageResult<()> {
        self.count(|calls| &mut calls.delete);
        let mut state = self.state();
        state.require_bucket()?;
        state.objects.remove(key.as_str());
        Ok(())
    }

    async fn list_page(&self, prefix: &str, after: Option<&str>, limit: u16) -> StorageResult<ListPage> {
        self.count(|calls| &mut calls.list_page);
        if !(1..=MAX_PAGE).contains(&limit) {
            return Err(StorageError::InvalidRequest {
                reason: format!("a page of a listing has 1 to {MAX_PAGE} objects, not {limit}"),
            });
        }
        let state = self.state();
        state.require_bucket()?;
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let mut matching = state
            .objects
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, object)| object.listed(key));
        let objects = matching.by_ref().take(usize::from(limit)).collect();
        Ok(ListPage { objects, has_more: matching.next().is_some() })
    }

    async fn list_multipart_uploads(&self, prefix: &str, marker: Option<&str>) -> StorageResult<MultipartUploadPage> {
        self.count(|calls| &mut calls.list_multipart_uploads);
        let state = self.state();
        state.require_bucket()?;
        // A key has no space, so that the marker falls apart in one way only.
        let after = marker.map(|marker| marker.split_once(' ').unwrap_or((marker, "")));
        let mut matching = state
            .uploads
            .iter()
            .filter(|((key, upload_id), _)| {
                key.starts_with(prefix) && after.is_none_or(|after| (key.as_str(), upload_id.as_str()) > after)
            })
            .map(|((key, upload_id), upload)| MultipartUpload {
                key: key.clone(),
                upload_id: upload_id.clone(),
                initiated: Some(upload.initiated),
            });
        let uploads: Vec<_> = matching.by_ref().take(usize::from(MAX_PAGE)).collect();
        let last = uploads.last().filter(|_| matching.next().is_some());
        let next = last.map(|upload| format!("{} {}", upload.key, upload.upload_id));
        Ok(MultipartUploadPage { uploads, next })
    }

    async fn abort_multipart_upload(&self, key: &ObjectKey, upload_id: &str) -> StorageResult<()> {
        self.count(|calls| &mut calls.abort_multipart_upload);
        let mut state = self.state();
        state.require_bucket()?;
        state.end_upload(key, upload_id);
        Ok(())
    }

    async fn create_multipart_upload(&self, key: &ObjectKey, content_type: &str) -> StorageResult<String> {
        self.count(|calls| &mut calls.create_multipart_upload);
        let mut state = self.state();
        state.require_bucket()?;
        Ok(state.begin_upload(key, content_type))
    }

    async fn list_parts(
        &self,
        key: &ObjectKey,
        upload_id: &str,
        after: Option<u16>,
        limit: u16,
    ) -> StorageResult<PartPage> {
        self.count(|calls| &mut calls.list_parts);
        self.parts_of(key, upload_id, after, limit)
    }

    async fn complete_multipart_upload(
        &self,
        key: &ObjectKey,
        upload_id: &str,
        parts: &[UploadedPart],
    ) -> StorageResult<()> {
        self.count(|calls| &mut calls.complete_multipart_upload);
        self.join(key, upload_id, parts)
    }

    async fn presign_get(&self, key: &ObjectKey, options: &PresignGet) -> StorageResult<PresignedUrl> {
        self.count(|calls| &mut calls.presign_get);
        self.sign_get(key, options)
    }

    async fn presign_put(&self, key: &ObjectKey, options: &PresignPut) -> StorageResult<PresignedUrl> {
        self.count(|calls| &mut calls.presign_put);
        self.sign_put(key, options)
    }

    async fn presign_part(&self, key: &ObjectKey, options: &PresignPart) -> StorageResult<PresignedUrl> {
        self.count(|calls| &mut calls.presign_part);
        self.sign_part(key, options)
    }

    async fn presign_post(&self, key: &ObjectKey, options: &PresignPost) -> StorageResult<PresignedPost> {
        self.count(|calls| &mut calls.presign_post);
        self.sign_post(key, options)
    }

    async fn probe_capabilities(&self) -> StorageResult<Vec<ProbedCapability>> {
        self.state().require_bucket()?;
        let known = |capability| ProbedCapability {
            capability,
            // There is no request that could have such a header.
            is_there: capability != Capability::ConditionalCreate,
            evidence: "by what it is made of".to_owned(),
        };
        Ok(Capability::ALL.map(known).to_vec())
    }

    async fn check_up(&self, _: &CheckupOptions) -> Vec<Check> {
        vec![match self.state().require_bucket() {
            Ok(()) => Check::ok("bucket", "in memory"),
            Err(error) => Check::error("bucket", error.to_string(), "Make the bucket"),
        }]
    }

    async fn apply_fix(&self, _: &Fix) -> StorageResult<()> {
        Err(StorageError::Unsupported { operation: "change the settings of a bucket in memory" })
    }

    async fn bucket_info(&self) -> StorageResult<BucketInfo> {
        self.count(|calls| &mut calls.bucket_info);
        let state = self.state();
        state.require_bucket()?;
        Ok(BucketInfo {
            bucket: "memory".to_owned(),
            prefix: String::new(),
            endpoint: "memory://".to_owned(),
            region: "memory".to_owned(),
            clock_skew: Some(ClockSkew::Ahead(state.clock_ahead)),
        })
    }

    async fn ensure_bucket(&self) -> StorageResult<bool> {
        self.count(|calls| &mut calls.ensure_bucket);
        let mut state = self.state();
        Ok(std::mem::take(&mut state.bucket_missing))
    }
}

impl Memory {
    /// Stores what has arrived whole, if it is what was announced.
    fn store(&self, key: &ObjectKey, bytes: Bytes, options: &PutOptions) -> StorageResult<PutOutcome> {
        self.store_with(key, bytes, options, Vec::new())
    }

    /// The same, and what else is to be answered with it.
    pub(super) fn store_with(
        &self,
        key: &ObjectKey,
        bytes: Bytes,
        options: &PutOptions,
        headers: Vec<(String, String)>,
    ) -> StorageResult<PutOutcome> {
        if options.content_md5.is_some_and(|announced| announced[..] != Md5::digest(&bytes)[..]) {
            return Err(StorageError::Corrupted { reason: "the MD5 digest differs" });
        }
        let mut state = self.state();
        state.require_bucket()?;
        let object = StoredObject { headers, ..StoredObject::new(bytes, &options.content_type, state.now()) };
        let outcome = PutOutcome { etag: object.etag.clone(), size_bytes: object.size_bytes() };
        state.objects.insert(key.to_string(), object);
        Ok(outcome)
    }

    async fn receive_unannounced(&self, key: &ObjectKey, mut stream: ByteStream) -> StorageResult<Bytes> {
        let mut all = BytesMut::new();
        let mut upload = None;
        while let Some(piece) = stream.try_next().await.map_err(StorageError::Body)? {
            all.extend_from_slice(&piece);
            if upload.is_none() && all.len() > Self::MULTIPART_THRESHOLD {
                upload = Some(Upload::begin(self, key));
            }
        }
        if upload.is_some_and(|upload| !upload.end()) {
            return Err(StorageError::Other { reason: "NoSuchUpload".into(), source: None });
        }
        Ok(all.freeze())
    }

    fn count(&self, operation: impl FnOnce(&mut Calls) -> &mut u64) {
        *operation(&mut self.state().calls) += 1;
    }
}

/// A multipart upload that is aborted unless it ends: a dropped `put` leaves none.
struct Upload<'a> {
    memory: &'a Memory,
    key: &'a ObjectKey,
    id: String,
}

impl<'a> Upload<'a> {
    fn begin(memory: &'a Memory, key: &'a ObjectKey) -> Self {
        let id = memory.state().begin_upload(key, "");
        Self { memory, key, id }
    }

    /// False if somebody has aborted it.
    fn end(&self) -> bool {
        self.memory.state().end_upload(self.key, &self.id)
    }
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        self.memory.state().end_upload(self.key, &self.id);
    }
}

async fn receive(mut stream: ByteStream, announced: u64) -> StorageResult<Bytes> {
    let mut all = BytesMut::new();
    while let Some(piece) = stream.try_next().await.map_err(StorageError::Body)? {
        all.extend_from_slice(&piece);
        if all.len() as u64 > announced {
            return Err(StorageError::Corrupted { reason: "the body is longer than announced" });
        }
    }
    if (all.len() as u64) < announced {
        return Err(StorageError::Corrupted { reason: "the body is shorter than announced" });
    }
    Ok(all.freeze())
}

/// The part of the bytes that lies in the range; `None` if there is none.
pub(super) fn slice(bytes: &Bytes, range: ByteRange) -> Option<Bytes> {
    let start = usize::try_from(range.start).ok()?;
    let length = usize::try_from(range.length).unwrap_or(usize::MAX);
    let end = start.saturating_add(length).min(bytes.len());
    (start < end).then(|| bytes.slice(start..end))
}

fn in_pieces(bytes: Bytes) -> ByteStream {
    futures::stream::unfold(bytes, |mut rest| async move {
        let piece = rest.split_to(PIECE_BYTES.min(rest.len()));
        (!piece.is_empty()).then_some((Ok(piece), rest))
    })
    .boxed()
}
