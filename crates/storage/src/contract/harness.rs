use std::error::Error;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::{Stream, StreamExt};

use super::client::{Response, SignedRequestClient, TransportError};
use super::{RuleResult, client};
use crate::body::{Body, collect};
use crate::error::StorageError;
use crate::key::ObjectKey;
use crate::port::{ListedObject, MultipartUpload, ObjectStorage, PutOptions, PutOutcome};
use crate::presign::{PresignGet, PresignedPost, PresignedUrl};

/// How long storage may take to make the end of a dropped request visible.
const SETTLING_TIME: Duration = Duration::from_secs(15);

/// A rule that was broken: what should have been, and what was.
#[derive(Debug)]
pub struct Violation {
    expectation: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Violation {
    /// A violation without an error behind it.
    pub fn new(expectation: impl Into<String>) -> Self {
        Self { expectation: expectation.into(), source: None }
    }

    fn caused(expectation: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { expectation: expectation.into(), source: Some(source.into()) }
    }
}

/// `{}` is the expectation alone; `{:#}` adds the errors behind it.
impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected that {}", self.expectation)?;
        let mut source = if f.alternate() { self.source() } else { None };
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl Error for Violation {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn Error + 'static))
    }
}

/// What a rule works with: a storage, a client without credentials, and keys that nobody else has.
pub struct Harness<'a> {
    pub(super) storage: &'a dyn ObjectStorage,
    client: &'a dyn SignedRequestClient,
    scope: String,
}

impl<'a> Harness<'a> {
    pub(super) fn new(storage: &'a dyn ObjectStorage, client: &'a dyn SignedRequestClient) -> Self {
        let scope = format!("contract/{:016x}", RandomState::new().hash_one(SystemTime::now()));
        Self { storage, client, scope }
    }

    /// What the keys of this run start with; ends in `/`.
    pub(super) fn prefix(&self) -> String {
        format!("{}/", self.scope)
    }

    pub(super) fn key(&self, name: &str) -> Result<ObjectKey, Violation> {
        ObjectKey::parse(&format!("{}/{name}", self.scope))
            .map_err(|error| Violation::caused("the key is valid", error))
    }

    pub(super) async fn put(&self, key: &ObjectKey, body: impl Into<Body>) -> Result<PutOutcome, Violation> {
        self.storage.put(key, body.into(), &text()).await.or_broken("put succeeds")
    }

    /// The whole object, with the announced length checked.
    pub(super) async fn read(&self, key: &ObjectKey) -> Result<Bytes, Violation> {
        let download = self.storage.get(key, None).await.or_broken("get succeeds")?;
        let (announced, size) = (download.length, download.meta.size_bytes);
        let bytes = collect(download.stream).await.or_broken("the download ends well")?;
        let length = bytes.len() as u64;
        ensure(announced == length && size == length, || {
            format!("get announces what it yields: announced {announced}, size {size}, yielded {length}")
        })?;
        Ok(bytes)
    }

    pub(super) async fn holds(&self, key: &ObjectKey, expected: &[u8]) -> RuleResult {
        let bytes = self.read(key).await?;
        ensure(bytes == expected, || {
            format!("the object has the {} bytes that were put; it has {}", expected.len(), describe(&bytes))
        })
    }

    pub(super) async fn is_absent(&self, key: &ObjectKey) -> RuleResult {
        match self.storage.head(key).await {
            Err(StorageError::NotFound { .. }) => Ok(()),
            Err(error) => Err(Violation::caused("head of an absent object answers NotFound", error)),
            Ok(meta) => Err(Violation::new(format!("nothing is stored; there are {} bytes", meta.size_bytes))),
        }
    }

    /// All that is listed below a prefix, page by page. Fails when a page is too large, out of order or repeats itself.
    pub(super) async fn list(&self, prefix: &str, limit: u16) -> Result<Vec<ListedObject>, Violation> {
        let mut all: Vec<ListedObject> = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.storage.list_page(prefix, after.as_deref(), limit).await.or_broken("list_page succeeds")?;
            ensure(page.objects.len() <= usize::from(limit), || {
                format!("a page has at most {limit} objects, not {}", page.objects.len())
            })?;
            for object in page.objects {
                let ascending = all.last().is_none_or(|last| last.key.as_bytes() < object.key.as_bytes());
                ensure(ascending, || format!("keys ascend; {:?} does not", object.key))?;
                all.push(object);
            }
            if !page.has_more {
                return Ok(all);
            }
            let next = all.last().map(|last| last.key.clone());
            ensure(next != after, || "a page with more to come moves on".to_owned())?;
            after = next;
        }
    }

    pub(super) async fn multipart_uploads(&self) -> Result<Vec<MultipartUpload>, Violation> {
        let mut all = Vec::new();
        let mut marker = None;
        loop {
            let page = self
                .storage
                .list_multipart_uploads(&self.prefix(), marker.as_deref())
                .await
                .or_broken("list_multipart_uploads succeeds")?;
            all.extend(page.uploads);
            if page.next.is_none() {
                return Ok(all);
            }
            ensure(page.next != marker, || "a page of multipart uploads moves on".to_owned())?;
            marker = page.next;
        }
    }

    /// Aborts all multipart uploads until none is listed, as a sweep would: one that was dropped may show up late.
    pub(super) async fn abort_all_uploads(&self) -> RuleResult {
        let deadline = tokio::time::Instant::now() + SETTLING_TIME;
        loop {
            let uploads = self.multipart_uploads().await?;
            if uploads.is_empty() {
                return Ok(());
            }
            for upload in &uploads {
                let key = ObjectKey::parse(&upload.key).map_err(|error| Violation::caused("its key is ours", error))?;
                let aborted = self.storage.abort_multipart_upload(&key, &upload.upload_id).await;
                aborted.or_broken("abort_multipart_upload succeeds")?;
            }
            ensure(tokio::time::Instant::now() < deadline, || {
                format!("multipart uploads are gone once aborted; {} are not", uploads.len())
            })?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(super) async fn send(&self, method: &str, url: &str, headers: &[(String, String)], body: Bytes) -> Answer {
        let is_length = |name: &str| name.eq_ignore_ascii_case("content-length");
        let headers: Vec<_> = headers.iter().filter(|(name, _)| !is_length(name)).cloned().collect();
        answered(self.client.send(method, url, &headers, body).await)
    }

    pub(super) async fn send_signed(&self, method: &str, signed: &PresignedUrl, body: Bytes) -> Answer {
        self.send(method, &signed.url, &signed.headers, body).await
    }

    pub(super) async fn post(&self, form: &PresignedPost, file: Bytes) -> Answer {
        answered(self.client.post_form(&form.url, &form.fields, file).await)
    }

    pub(super) async fn sign_get(&self, key: &ObjectKey) -> Result<PresignedUrl, Violation> {
        self.storage.presign_get(key, &get_for(MINUTE)).await.or_broken("presign_get succeeds")
    }

    /// Removes whatever the rule has left.
    pub(super) async fn clean_up(&self) -> RuleResult {
        self.abort_all_uploads().await?;
        for object in self.list(&self.prefix(), 1_000).await? {
            if let Ok(key) = ObjectKey::parse(&object.key) {
                self.storage.delete(&key).await.or_broken("delete succeeds")?;
            }
        }
        Ok(())
    }
}

type Answer = Result<client::Response, Violation>;

fn answered(response: Result<Response, TransportError>) -> Answer {
    response.map_err(|error| Violation::caused("the server answers a signed request", error))
}

pub(super) const MINUTE: Duration = Duration::from_mins(1);

pub(super) fn get_for(expires_in: Duration) -> PresignGet {
    PresignGet { expires_in, ..PresignGet::default() }
}

/// How most rules store.
pub(super) fn text() -> PutOptions {
    PutOptions { content_type: "text/plain".to_owned(), content_md5: None }
}

/// Turns an error into a violation, with the expectation in words.
pub(super) trait OrBroken<T> {
    fn or_broken(self, expectation: &str) -> Result<T, Violation>;
}

impl<T> OrBroken<T> for Result<T, StorageError> {
    fn or_broken(self, expectation: &str) -> Result<T, Violation> {
        self.map_err(|error| Violation::caused(expectation, error))
    }
}

pub(super) fn ensure(holds: bool, expectation: impl FnOnce() -> String) -> RuleResult {
    if holds { Ok(()) } else { Err(Violation::new(expectation())) }
}

/// Checks that a call failed, and how.
pub(super) fn ensure_error<T>(
    result: Result<T, StorageError>,
    expectation: &str,
    is_expected: impl FnOnce(&StorageError) -> bool,
) -> RuleResult {
    match result {
        Err(error) if is_expected(&error) => Ok(()),
        Err(error) => Err(Violation::caused(expectation, error)),
        Ok(_) => Err(Violation::new(format!("{expectation}; it succeeded"))),
    }
}

pub(super) fn is_not_found(error: &StorageError) -> bool {
    matches!(error, StorageError::NotFound { .. })
}

/// Bytes that differ from those of another seed at nearly every place, and from themselves when shifted.
pub(super) fn sample(length: usize, seed: u8) -> Bytes {
    let mut state = u32::from(seed).wrapping_mul(0x9e37_79b9) | 1;
    (0..length)
        .map(|_| {
            // A linear congruential generator (Numerical Recipes); its high byte is the least regular.
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .collect::<Vec<u8>>()
        .into()
}

/// A stream of these bytes in pieces of 100,000, a size that divides no part or buffer.
pub(super) fn in_pieces(bytes: Bytes) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    futures::stream::unfold(bytes, |mut rest| async move {
        let piece = rest.split_to(rest.len().min(100_000));
        (!piece.is_empty()).then_some((Ok(piece), rest))
    })
}

pub(super) fn streamed(stream: impl Stream<Item = io::Result<Bytes>> + Send + 'static, length: Option<u64>) -> Body {
    Body::Stream { stream: stream.boxed(), length }
}

fn describe(bytes: &Bytes) -> String {
    format!("{} bytes, not the same", bytes.len())
}
