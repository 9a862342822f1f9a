//! Bodies of unknown length, or too large for one request: parts of bounded size, two on their way at a time.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt, TryStreamExt};
use md5::{Digest, Md5};
use object_store_storage::{ByteStream, ObjectKey, PutOptions, PutOutcome, StorageError, StorageResult, UploadedPart};
use reqwest::Method;
use reqwest::header::HeaderMap;

use crate::answer::plain_etag;
use crate::client::{Client, Payload, Request, header};
use crate::error::{Failure, Operation, Refusal, after_the_fact};
use crate::get::head;
use crate::parts::no_upload;
use crate::put::{SMALL_ANSWER_BYTES, md5_of, object_headers, put_bytes};
use crate::retry::{Repeat, attempts};
use crate::sign::value;
use crate::target::Resource;
use crate::uploads;
use crate::xml::Element;

/// The size of the first parts. At least 5 MiB is required (AWS User Guide, "Amazon S3 multipart upload limits"). All
/// parts of an object below 7.8 GiB have this size, which some servers insist on.
const PART_BYTES: u64 = 8 << 20;

/// How many parts have that size.
const EQUAL_PARTS: u64 = 1000;

/// By how much each part after those is larger than the one before it, so that 10,000 parts hold 5 TiB.
const GROWTH_BYTES: u64 = 136 << 10;

/// How many parts an object has at most (same source).
const MAX_PARTS: u64 = 10_000;

/// How many parts are on their way, and in memory, at a time.
const CONCURRENT_PARTS: usize = 2;

const BEGIN: Operation = Operation::write("begin multipart upload");
// A part without completion is no object: as far as the caller of `put` is concerned, nothing has happened.
const PART: Operation = Operation::read("upload part").transferring();
const COMPLETE: Operation = Operation::write("complete multipart upload").working();

/// Stores a stream in parts, or with one request if it turns out to be small.
///
/// Whatever goes wrong, the upload is aborted; if the future is dropped, by a task on the current runtime. Only a
/// process that ends before that leaves an upload behind, which a listing of uploads shows.
pub(crate) async fn put(
    client: &Arc<Client>,
    key: &ObjectKey,
    stream: ByteStream,
    length: Option<u64>,
    options: &PutOptions,
) -> StorageResult<PutOutcome> {
    let mut parts = Parts::new(stream, length, options.content_md5);
    let first = parts.next().await?.unwrap_or_default();
    if (first.len() as u64) < PART_BYTES {
        parts.check_end()?;
        return put_bytes(client, key, first, options).await;
    }
    let mut upload = Upload::begin(client, key, options).await?;
    match send_all(client, key, &upload.id, first, parts).await {
        Ok(outcome) => {
            upload.is_open = false;
            Ok(outcome)
        }
        Err(error) => {
            upload.abort().await;
            Err(error)
        }
    }
}

async fn send_all(
    client: &Arc<Client>,
    key: &ObjectKey,
    upload_id: &str,
    first: Bytes,
    mut parts: Parts,
) -> StorageResult<PutOutcome> {
    let mut sent: Vec<(u64, String)> = {
        let numbered = numbered(first, &mut parts);
        let sending = numbered.map_ok(|(number, part)| {
            let (client, key, upload_id) = (Arc::clone(client), key.clone(), upload_id.to_owned());
            async move { send_part(&client, &key, &upload_id, number, part).await }
        });
        sending.try_buffer_unordered(CONCURRENT_PARTS).try_collect().await?
    };
    parts.check_end()?;
    sent.sort_unstable_by_key(|(number, _)| *number);
    let etag = match complete(client, key, upload_id, &sent).await? {
        Some(etag) => etag,
        None => head(client, key).await.map_err(|error| after_the_fact(error, COMPLETE))?.etag,
    };
    Ok(PutOutcome { etag, size_bytes: parts.total })
}

fn numbered(first: Bytes, parts: &mut Parts) -> impl Stream<Item = StorageResult<(u64, Bytes)>> + Send + '_ {
    let rest = futures::stream::try_unfold(parts, |parts| async move {
        let part = parts.next().await?;
        Ok(part.map(|part| ((parts.taken, part), parts)))
    });
    futures::stream::once(async move { Ok((1, first)) }).chain(rest)
}

async fn send_part(
    client: &Client,
    key: &ObjectKey,
    upload_id: &str,
    number: u64,
    part: Bytes,
) -> StorageResult<(u64, String)> {
    let text = number.to_string();
    let mut headers = HeaderMap::new();
    headers.insert("content-md5", value(&STANDARD.encode(md5_of(&part).await?))?);
    let (text, headers, part) = (text.as_str(), &headers, &part);
    attempts(&client.patience, Repeat::Idempotent, PART, Some(key), || async move {
        let query = [("partNumber", text), ("uploadId", upload_id)];
        let request = Request {
            query: &query,
            headers: headers.clone(),
            payload: Payload::Bytes(part.clone()),
            ..client.request(Method::PUT, Resource::Object(key))
        };
        let response = client.send(request).await?;
        // As the server writes it, quotes included, because that is what it expects back.
        let etag = header(response.headers(), "etag").filter(|etag| !etag.is_empty());
        let etag = etag.ok_or(Failure::Garbled("the answer has no ETag"))?.to_owned();
        client.read(response, SMALL_ANSWER_BYTES).await?;
        Ok((number, etag))
    })
    .await
}

/// Begins an upload whose parts others send.
pub(crate) async fn create(client: &Client, key: &ObjectKey, options: &PutOptions) -> StorageResult<String> {
    begin(client, key, &object_headers(options)?).await
}

/// Makes one object of parts that others have sent.
pub(crate) async fn join(
    client: &Client,
    key: &ObjectKey,
    upload_id: &str,
    parts: &[UploadedPart],
) -> StorageResult<()> {
    if parts.is_empty() || !parts.is_sorted_by(|one, next| one.number < next.number) {
        let reason = "an upload is completed with at least one part, and with parts in ascending order".into();
        return Err(StorageError::InvalidRequest { reason });
    }
    let parts: Vec<_> = parts.iter().map(|part| (part.number.into(), format!("\"{}\"", part.etag))).collect();
    complete(client, key, upload_id, &parts).await.map(drop)
}

/// Returns the entity tag, if the server tells it.
async fn complete(
    client: &Client,
    key: &ObjectKey,
    upload_id: &str,
    parts: &[(u64, String)],
) -> StorageResult<Option<String>> {
    use std::fmt::Write;
    let mut document = String::from("<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (number, etag) in parts {
        let etag = quick_xml::escape::escape(etag.as_str());
        // Writing to a String cannot fail.
        let _ = write!(document, "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>");
    }
    document.push_str("</CompleteMultipartUpload>");
    let document = document.as_str();
    attempts(&client.patience, Repeat::WithoutEffect, COMPLETE, Some(key), || async move {
        let query = [("uploadId", upload_id)];
        let request = Request {
            query: &query,
            payload: Payload::Document(document.to_owned()),
            patience: client.config.work_timeout,
            ..client.request(Method::POST, Resource::Object(key))
        };
        let response = client.send(request).await?;
        completed(&client.read(response, SMALL_ANSWER_BYTES).await?)
    })
    .await
    .map_err(no_upload)
}

/// The entity tag that a completion is answered with; Ceph RGW 16 answers with an empty one. The answer's status says nothing: it was sent before the work was done.
fn completed(answer: &Bytes) -> Result<Option<String>, Failure> {
    let root = Element::parse(answer).ok_or(Failure::Garbled("the answer is not XML"))?;
    if let Some(refusal) = Refusal::inside_success(&root) {
        return Err(Failure::Refused(refusal));
    }
    // Servers do not agree on the end of the name.
    if !root.name.starts_with("CompleteMultipartUpload") {
        return Err(Failure::Garbled("the answer is not the result of a completion"));
    }
    Ok(root.text_of("ETag").map(plain_etag).filter(|etag| !etag.is_empty()))
}

/// An upload that was begun and is aborted unless it is completed.
struct Upload {
    client: Arc<Client>,
    key: ObjectKey,
    id: String,
    is_open: bool,
}

impl Upload {
    /// Begins an upload, in a task of its own: if the caller is gone before its id arrives, it is aborted all the same.
    async fn begin(client: &Arc<Client>, key: &ObjectKey, options: &PutOptions) -> StorageResult<Self> {
        let headers = object_headers(options)?;
        let (client, key) = (Arc::clone(client), key.clone());
        let begun = tokio::spawn(async move {
            let id = begin(&client, &key, &headers).await?;
            Ok(Self { client, key, id, is_open: true })
        });
        begun.await.map_err(|stopped| StorageError::Unavailable {
            reason: "the runtime is shutting down".into(),
            outcome_unknown: true,
            source: Some(Box::new(stopped)),
        })?
    }

    async fn abort(&mut self) {
        abort(&self.client, &self.key, &self.id).await;
        self.is_open = false;
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.is_open {
            return;
        }
        let (client, key, id) = (Arc::clone(&self.client), self.key.clone(), std::mem::take(&mut self.id));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { abort(&client, &key, &id).await });
        } else {
            tracing::warn!(object.key = %key, "a multipart upload is left behind: it was dropped outside of a runtime");
        }
    }
}

async fn begin(client: &Client, key: &ObjectKey, headers: &HeaderMap) -> StorageResult<String> {
    attempts(&client.patience, Repeat::WithoutEffect, BEGIN, Some(key), || async move {
        let request = Request {
            query: &[("uploads", "")],
            headers: headers.clone(),
            payload: Payload::Bytes(Bytes::new()),
            ..client.request(Method::POST, Resource::Object(key))
        };
        let response = client.send(request).await?;
        let answer = client.read(response, SMALL_ANSWER_BYTES).await?;
        let root = Element::parse(&answer).ok_or(Failure::Garbled("the answer is not XML"))?;
        match root.text_of("UploadId") {
            Some(id) if !id.is_empty() => Ok(id.to_owned()),
            _ => Err(Failure::Garbled("the answer has no UploadId")),
        }
    })
    .await
}

async fn abort(client: &Client, key: &ObjectKey, id: &str) {
    if let Err(error) = uploads::abort(client, key, id).await {
        tracing::warn!(object.key = %key, %error, "a multipart upload could not be aborted");
    }
}

/// Cuts a stream into parts.
struct Parts {
    source: ByteStream,
    /// What was read and did not fit into the part before.
    spill: Bytes,
    /// How many parts were taken.
    taken: u64,
    total: u64,
    length: Option<u64>,
    digest: Option<(Md5, [u8; 16])>,
    ended: bool,
}

impl Parts {
    fn new(source: ByteStream, length: Option<u64>, md5: Option<[u8; 16]>) -> Self {
        Self {
            source,
            spill: Bytes::new(),
            taken: 0,
            total: 0,
            length,
            digest: md5.map(|md5| (Md5::new(), md5)),
            ended: false,
        }
    }

    /// The next part; only the last may be smaller than its place demands.
    async fn next(&mut self) -> StorageResult<Option<Bytes>> {
        let wanted = usize::try_from(part_bytes(self.taken + 1)).unwrap_or(usize::MAX);
        let mut part = BytesMut::new();
        while part.len() < wanted {
            if self.spill.is_empty() && !self.pull().await? {
                break;
            }
            let piece = self.spill.split_to(self.spill.len().min(wanted - part.len()));
            part.extend_from_slice(&piece);
        }
        if part.is_empty() {
            return Ok(None);
        }
        self.taken += 1;
        if self.taken > MAX_PARTS {
            return Err(StorageError::InvalidRequest {
                reason: format!("an object has at most {MAX_PARTS} parts, and this one would have more"),
            });
        }
        Ok(Some(part.freeze()))
    }

    /// Reads a piece into `spill`; false at the end.
    async fn pull(&mut self) -> StorageResult<bool> {
        if self.ended {
            return Ok(false);
        }
        let Some(piece) = self.source.next().await.transpose().map_err(StorageError::Body)? else {
            self.ended = true;
            return Ok(false);
        };
        self.total = self.total.saturating_add(piece.len() as u64);
        if self.length.is_some_and(|length| self.total > length) {
            return Err(StorageError::Corrupted { reason: "the body is longer than announced" });
        }
        if let Some((hash, _)) = &mut self.digest {
            hash.update(&piece);
        }
        self.spill = piece;
        Ok(true)
    }

    /// Whether everything was as announced, once all was read.
    fn check_end(&mut self) -> StorageResult<()> {
        if self.length.is_some_and(|length| self.total != length) {
            return Err(StorageError::Corrupted { reason: "the body is shorter than announced" });
        }
        if let Some((hash, announced)) = self.digest.take()
            && hash.finalize()[..] != announced
        {
            return Err(StorageError::Corrupted { reason: "the body has another MD5 than announced" });
        }
        Ok(())
    }
}

/// The size of a part, by its number from 1 on.
fn part_bytes(number: u64) -> u64 {
    PART_BYTES + number.saturating_sub(EQUAL_PARTS) * GROWTH_BYTES
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures::StreamExt;
    use object_store_storage::{RetryClass, StorageError};

    use super::{COMPLETE, MAX_PARTS, PART_BYTES, Parts, completed, part_bytes};
    use crate::error::translate;

    #[test]
    fn all_parts_hold_5_tib_and_none_is_too_large() {
        let all: u64 = (1..=MAX_PARTS).map(part_bytes).sum();
        assert!(all >= 5 << 40, "{all}");
        assert_eq!((part_bytes(1), part_bytes(1000)), (PART_BYTES, PART_BYTES));
        assert!(part_bytes(MAX_PARTS) <= 5 << 30);
    }

    #[tokio::test]
    async fn a_stream_is_cut_whatever_its_pieces() {
        const PART: usize = 8 << 20;
        for piece in [1000, PART - 1, PART, PART + 1, 3 * PART] {
            let bytes = Bytes::from((0..=255_u8).cycle().take(2 * PART + 5).collect::<Vec<u8>>());
            let pieces: Vec<_> = bytes.chunks(piece).map(|piece| Ok(bytes.slice_ref(piece))).collect();
            let mut parts = Parts::new(futures::stream::iter(pieces).boxed(), Some(bytes.len() as u64), None);
            let mut sizes = Vec::new();
            let mut again = Vec::new();
            while let Some(part) = parts.next().await.unwrap() {
                sizes.push(part.len());
                again.extend_from_slice(&part);
            }
            assert_eq!(sizes, [PART, PART, 5], "{piece}");
            assert!(again == bytes);
            assert!(parts.check_end().is_ok());
        }
    }

    #[tokio::test]
    async fn length_and_digest_are_held_against_the_stream() {
        let source = || futures::stream::iter([Ok(Bytes::from_static(b"abc"))]).boxed();
        let mut short = Parts::new(source(), Some(4), None);
        assert_eq!(short.next().await.unwrap().unwrap(), "abc");
        assert!(matches!(short.check_end(), Err(StorageError::Corrupted { reason }) if reason.contains("shorter")));
        let long = Parts::new(source(), Some(2), None).next().await;
        assert!(matches!(long, Err(StorageError::Corrupted { reason }) if reason.contains("longer")));
        let mut other = Parts::new(source(), None, Some([0; 16]));
        other.next().await.unwrap();
        assert!(matches!(other.check_end(), Err(StorageError::Corrupted { reason }) if reason.contains("MD5")));
    }

    #[test]
    fn a_completion_is_what_its_body_says() {
        let answer = |text: &'static str| completed(&Bytes::from_static(text.as_bytes()));
        let good = "\n\n<CompleteMultipartUploadResult><ETag>&quot;a-2&quot;</ETag></CompleteMultipartUploadResult>";
        assert_eq!(answer(good).unwrap().as_deref(), Some("a-2"));
        assert_eq!(
            answer("<CompleteMultipartUploadResponse><ETag></ETag></CompleteMultipartUploadResponse>").unwrap(),
            None
        );
        let error = translate(answer("<Error><Code>InternalError</Code></Error>").unwrap_err(), COMPLETE, None);
        assert_eq!(error.retry_class(), RetryClass::OutcomeUnknown);
        let error = translate(answer("<Error><Code>NoSuchUpload</Code></Error>").unwrap_err(), COMPLETE, None);
        assert_eq!(error.retry_class(), RetryClass::Never);
        for nonsense in ["", "<html></html>", "<CompleteMultipartUploadResult>"] {
            let error = translate(answer(nonsense).unwrap_err(), COMPLETE, None);
            assert_eq!(error.retry_class(), RetryClass::OutcomeUnknown, "{nonsense}");
        }
    }
}
