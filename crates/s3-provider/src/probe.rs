//! Finds out by requests what a server can do beyond what every server does.
//!
//! The requests are for keys below `probe/`, each run with a random scope of its own, and what they leave is removed. A
//! process that ends in the middle leaves a few bytes there, which the next run removes when they are old.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use md5::{Digest, Md5};
use object_store_storage::contract::form_body;
use object_store_storage::{
    Body, Capability, MAX_PARTS, ObjectKey, PresignGet, PresignPost, PresignPut, PresignedPost, ProbedCapability,
    PutOptions, StorageError, StorageResult, UploadedPart,
};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, IF_NONE_MATCH};
use s3::signing::uri_encode;

use crate::client::{Answer, Client, Payload, Request};
use crate::config::S3Config;
use crate::error::{Failure, Operation};
use crate::presign::Presigner;
use crate::put::{SMALL_ANSWER_BYTES, put};
use crate::retry::{Repeat, attempts};
use crate::sign::value;
use crate::target::Resource;
use crate::xml::Element;
use crate::{delete, list, multipart, parts, uploads};

const PROBE: Operation = Operation::read("probe capabilities");

/// How long signatures live that are used at once.
const LIFE: Duration = Duration::from_mins(2);

/// What all keys of probes start with.
const SCOPE: &str = "probe/";

/// No run takes so long: what is older was left behind.
const OLD: Duration = Duration::from_hours(1);

const TYPE: &str = "text/plain";
const BODY: &[u8] = b"probe";

/// An entity tag that no object here has: the MD5 of nothing.
const OTHER_ETAG: &str = "\"d41d8cd98f00b204e9800998ecf8427e\"";

/// What the server can do, each with the request that shows it.
///
/// # Errors
/// When a request has no answer that says yes or no: nothing is guessed.
pub(crate) async fn probe(client: &Arc<Client>) -> StorageResult<Vec<ProbedCapability>> {
    let probe = Probe::new(client).await?;
    probe.remove_old().await;
    let found = probe.all().await;
    probe.clean_up().await;
    found
}

struct Probe<'a> {
    client: &'a Arc<Client>,
    /// Signs for the host that this process asks, which need not be the one that clients know.
    presigner: Presigner,
    scope: String,
}

impl<'a> Probe<'a> {
    async fn new(client: &'a Arc<Client>) -> StorageResult<Self> {
        let own = S3Config { public_endpoint: None, ..client.config.clone() };
        let presigner = Presigner::new(&own, &client.credentials).await?;
        let random = getrandom::u64().map_err(|_| StorageError::Other {
            reason: "probe capabilities: the system has no randomness".to_owned(),
            source: None,
        })?;
        Ok(Self { client, presigner, scope: format!("{SCOPE}{random:016x}") })
    }

    fn key(&self, name: &str) -> StorageResult<ObjectKey> {
        ObjectKey::parse(&format!("{}/{name}", self.scope))
            .map_err(|error| StorageError::InvalidRequest { reason: error.to_string() })
    }

    async fn all(&self) -> StorageResult<Vec<ProbedCapability>> {
        let object = self.key("object")?;
        let options = PutOptions { content_type: TYPE.to_owned(), content_md5: None };
        put(self.client, &object, Body::Bytes(Bytes::from_static(BODY)), &options).await?;
        let mut probed = vec![
            self.signatures(&object).await?,
            self.post_policy().await?,
            self.copy_condition(&object).await?,
            self.digest_of_signed_put().await?,
            self.conditional_create(&object).await?,
            self.response_headers(&object).await?,
        ];
        probed.extend(self.uploads().await?);
        probed.sort_by_key(|one| one.capability as u8);
        Ok(probed)
    }

    /// Removes what a run has left that ended in the middle. What cannot be removed now is left to the next.
    async fn remove_old(&self) {
        let is_old = |at: Option<SystemTime>| at.and_then(|at| at.elapsed().ok()).is_some_and(|age| age > OLD);
        let Ok(page) = list::page(self.client, SCOPE, None, 1_000).await else { return };
        let old = page.objects.iter().filter(|object| is_old(object.last_modified));
        for key in old.filter_map(|object| ObjectKey::parse(&object.key).ok()) {
            if let Err(error) = delete::delete(self.client, &key).await {
                tracing::warn!(object.key = %key, %error, "an old probe's object is left behind");
            }
        }
        let Ok(page) = uploads::list(self.client, SCOPE, None).await else { return };
        for upload in page.uploads.iter().filter(|upload| is_old(upload.initiated)) {
            let Ok(key) = ObjectKey::parse(&upload.key) else { continue };
            if let Err(error) = uploads::abort(self.client, &key, &upload.upload_id).await {
                tracing::warn!(object.key = %key, %error, "an old probe's upload is left behind");
            }
        }
    }

    async fn clean_up(&self) {
        for name in ["object", "form", "copy", "put", "parts", "ended", "aborted"] {
            let Ok(key) = self.key(name) else { continue };
            if let Err(error) = delete::delete(self.client, &key).await {
                tracing::warn!(object.key = %key, %error, "a probe's object is left behind");
            }
        }
    }

    async fn signatures(&self, object: &ObjectKey) -> StorageResult<ProbedCapability> {
        let get = PresignGet { expires_in: LIFE, ..PresignGet::default() };
        let signed = self.presigner.get(self.client, object, &get).await?;
        let right = self.ask(Method::GET, &signed.url, &HeaderMap::new(), Bytes::new()).await?;
        if !right.is_success() {
            return Err(unusable("a signed GET", &right));
        }
        let forged = forged(&signed.url);
        let answer = self.ask(Method::GET, &forged, &HeaderMap::new(), Bytes::new()).await?;
        Ok(found(Capability::VerifiesSignatures, !answer.is_success(), "a GET with a forged signature", &answer))
    }

    async fn post_policy(&self) -> StorageResult<ProbedCapability> {
        let key = self.key("form")?;
        let options = PresignPost { expires_in: LIFE, content_type: TYPE.to_owned(), min_bytes: 1, max_bytes: 10 };
        let form = self.presigner.post(self.client, &key, &options).await?;
        let right = self.post(&form, BODY).await?;
        if !right.is_success() {
            return Ok(found(Capability::PostPolicy, false, "a POST of a signed form with 5 bytes of 1 to 10", &right));
        }
        let answer = self.post(&form, &[b'x'; 100]).await?;
        Ok(found(Capability::PostPolicy, !answer.is_success(), "a POST of 100 bytes by a form for 1 to 10", &answer))
    }

    async fn copy_condition(&self, object: &ObjectKey) -> StorageResult<ProbedCapability> {
        let source = format!("/{}/{}", self.client.config.bucket, self.client.target.full_key(object.as_str()));
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-copy-source", value(&uri_encode(&source, false))?);
        headers.insert("x-amz-copy-source-if-match", value(OTHER_ETAG)?);
        // As copies are asked for.
        headers.insert("x-amz-copy-if-match", value(OTHER_ETAG)?);
        let answer = self.put_signed(&self.key("copy")?, &[], &headers, Bytes::new()).await?;
        Ok(found(Capability::CopyCondition, !answer.is_success(), "a copy on the condition of another ETag", &answer))
    }

    async fn digest_of_signed_put(&self) -> StorageResult<ProbedCapability> {
        let options = PresignPut {
            expires_in: LIFE,
            content_type: TYPE.to_owned(),
            content_length: BODY.len() as u64,
            content_md5: Some(Md5::digest(BODY).into()),
        };
        let signed = self.presigner.put(self.client, &self.key("put")?, &options).await?;
        let mut headers = HeaderMap::new();
        for (name, text) in &signed.headers {
            if let Ok(name) = name.parse::<reqwest::header::HeaderName>() {
                headers.insert(name, value(text)?);
            }
        }
        let answer = self.ask(Method::PUT, &signed.url, &headers, Bytes::from_static(b"other")).await?;
        Ok(found(
            Capability::DigestOfSignedPut,
            !answer.is_success(),
            "a signed PUT of other bytes than its Content-MD5",
            &answer,
        ))
    }

    async fn conditional_create(&self, object: &ObjectKey) -> StorageResult<ProbedCapability> {
        let mut headers = HeaderMap::new();
        headers.insert(IF_NONE_MATCH, value("*")?);
        headers.insert(CONTENT_TYPE, value(TYPE)?);
        let answer = self.put_signed(object, &[], &headers, Bytes::from_static(BODY)).await?;
        Ok(found(
            Capability::ConditionalCreate,
            !answer.is_success(),
            "a PUT with If-None-Match: * over an object",
            &answer,
        ))
    }

    /// All about uploads in parts, by one upload.
    async fn uploads(&self) -> StorageResult<[ProbedCapability; 5]> {
        let key = self.key("parts")?;
        let options = PutOptions { content_type: TYPE.to_owned(), content_md5: None };
        let id = multipart::create(self.client, &key, &options).await?;
        let found = self.upload(&key, &id).await;
        // Whatever has become of it.
        uploads::abort(self.client, &key, &id).await?;
        found
    }

    async fn upload(&self, key: &ObjectKey, id: &str) -> StorageResult<[ProbedCapability; 5]> {
        let listed = match uploads::list(self.client, &self.scope, None).await {
            Ok(page) => {
                let is_there = page.uploads.iter().any(|upload| upload.upload_id == id);
                let count = u8::from(is_there);
                probed(Capability::ListsMultipartUploads, is_there, format!("a listing of uploads shows {count} of 1"))
            }
            // A server that says what it cannot do.
            Err(error @ (StorageError::Unsupported { .. } | StorageError::Other { .. })) => {
                probed(Capability::ListsMultipartUploads, false, error.to_string())
            }
            Err(error) => return Err(error),
        };
        let last = self.put_part(key, id, MAX_PARTS).await?;
        let numbers = found(Capability::TenThousandParts, last.is_success(), "a PUT of part 10000", &last);
        for number in [1, 500, 501] {
            let sent = self.put_part(key, id, number).await?;
            if !sent.is_success() {
                return Err(unusable("a PUT of a part", &sent));
            }
        }
        // After a number that is no part's and larger than their count: some servers take the one for the other.
        let pages = match parts::page(self.client, key, id, Some(10), 1).await {
            Ok(page) => {
                let after: Vec<_> = page.parts.iter().map(|part| part.number).collect();
                let end = if page.has_more { "more to come" } else { "no more to come" };
                let evidence = format!("a page of 1 after 10 of the parts 1, 500, 501 shows {after:?} and {end}");
                probed(Capability::PagesOfParts, after == [500] && page.has_more, evidence)
            }
            Err(StorageError::Unavailable { reason, .. }) => probed(Capability::PagesOfParts, false, reason),
            Err(error) => return Err(error),
        };
        let elsewhere = self.parts_under(Capability::BindsUploadsToKeys, "another key", &self.key("copy")?, id).await?;
        let ended = self.ended().await?;
        Ok([listed, numbers, pages, ended, elsewhere])
    }

    /// Whether there is no such upload.
    async fn parts_under(
        &self,
        capability: Capability,
        what: &str,
        key: &ObjectKey,
        id: &str,
    ) -> StorageResult<ProbedCapability> {
        match parts::page(self.client, key, id, None, 10).await {
            Ok(page) => {
                let evidence = format!("a listing of the parts of {what} shows {}", page.parts.len());
                Ok(probed(capability, false, evidence))
            }
            Err(StorageError::UploadMissing { .. }) => {
                Ok(probed(capability, true, format!("a listing of the parts of {what} is answered 404")))
            }
            Err(error) => Err(error),
        }
    }

    /// What is left of an upload that was completed, and of one that was aborted.
    async fn ended(&self) -> StorageResult<ProbedCapability> {
        let key = self.key("ended")?;
        let id = multipart::create(self.client, &key, &PutOptions::default()).await?;
        let completed = self.complete(&key, &id).await;
        if completed.is_err() {
            uploads::abort(self.client, &key, &id).await?;
        }
        let parts = completed?;
        let what = "an upload that was completed";
        let ended = self.parts_under(Capability::ForgetsEndedUploads, what, &key, &id).await?;
        if ended.is_there { self.aborted(&parts).await } else { Ok(ended) }
    }

    async fn complete(&self, key: &ObjectKey, id: &str) -> StorageResult<Vec<UploadedPart>> {
        let sent = self.put_part(key, id, 1).await?;
        if !sent.is_success() {
            return Err(unusable("a PUT of a part", &sent));
        }
        let parts = parts::page(self.client, key, id, None, 10).await?.parts;
        multipart::join(self.client, key, id, &parts).await?;
        Ok(parts)
    }

    /// What a completion of an upload that was aborted is answered.
    async fn aborted(&self, parts: &[UploadedPart]) -> StorageResult<ProbedCapability> {
        let key = self.key("aborted")?;
        let id = multipart::create(self.client, &key, &PutOptions::default()).await?;
        uploads::abort(self.client, &key, &id).await?;
        let evidence = |answer: &str| format!("a completion of an upload that was aborted is answered {answer}");
        let (is_there, evidence) = match multipart::join(self.client, &key, &id, parts).await {
            Err(StorageError::UploadMissing { .. }) => (true, evidence("404")),
            Ok(()) => (false, evidence("200")),
            Err(StorageError::Unavailable { reason, .. }) => {
                (false, evidence(reason.rsplit(": ").next().unwrap_or(&reason)))
            }
            Err(error) => (false, evidence(&error.to_string())),
        };
        Ok(probed(Capability::ForgetsEndedUploads, is_there, evidence))
    }

    async fn put_part(&self, key: &ObjectKey, id: &str, number: u16) -> StorageResult<Answer> {
        let number = number.to_string();
        let query = [("partNumber", number.as_str()), ("uploadId", id)];
        self.put_signed(key, &query, &HeaderMap::new(), Bytes::from_static(BODY)).await
    }

    async fn response_headers(&self, object: &ObjectKey) -> StorageResult<ProbedCapability> {
        let disposition = "attachment; filename=\"a  b.txt\"";
        let get = PresignGet {
            expires_in: LIFE,
            content_type: Some("image/webp".to_owned()),
            content_disposition: Some(disposition.to_owned()),
            ..PresignGet::default()
        };
        let signed = self.presigner.get(self.client, object, &get).await?;
        let answer = self.ask(Method::GET, &signed.url, &HeaderMap::new(), Bytes::new()).await?;
        let is = |name: &str, wanted: &str| answer.headers.get(name).is_some_and(|value| value == wanted);
        let is_there =
            answer.is_success() && is("content-disposition", disposition) && is("content-type", "image/webp");
        Ok(found(Capability::ResponseHeaders, is_there, "a signed GET that chooses type and disposition", &answer))
    }

    /// Sends what a client with a signed URL would send.
    async fn ask(&self, method: Method, url: &str, headers: &HeaderMap, body: Bytes) -> StorageResult<Answer> {
        let (method, body) = (&method, &body);
        attempts(&self.client.patience, Repeat::Idempotent, PROBE, None, || async move {
            definite(self.client.send_as_it_is(method.clone(), url, headers.clone(), body.clone()).await?)
        })
        .await
    }

    async fn post(&self, form: &PresignedPost, file: &[u8]) -> StorageResult<Answer> {
        let (content_type, body) = form_body(&form.fields, file);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, value(&content_type)?);
        self.ask(Method::POST, &form.url, &headers, body).await
    }

    /// Sends a signed PUT, and takes a refusal for an answer.
    async fn put_signed(
        &self,
        key: &ObjectKey,
        query: &[(&str, &str)],
        headers: &HeaderMap,
        body: Bytes,
    ) -> StorageResult<Answer> {
        let body = &body;
        attempts(&self.client.patience, Repeat::Idempotent, PROBE, Some(key), || async move {
            let request = Request {
                query,
                headers: headers.clone(),
                payload: Payload::Bytes(body.clone()),
                ..self.client.request(Method::PUT, Resource::Object(key))
            };
            match self.client.send(request).await {
                Ok(response) => {
                    let (status, headers) = (response.status().as_u16(), response.headers().clone());
                    let body = self.client.read(response, SMALL_ANSWER_BYTES).await?;
                    // A copy is refused inside a success, too.
                    let code = error_code(&body);
                    Ok(Answer { status, headers, code })
                }
                Err(Failure::Refused(refusal)) => {
                    definite(Answer { status: refusal.status, headers: HeaderMap::new(), code: refusal.code.clone() })
                        .map_err(|_| Failure::Refused(refusal))
                }
                Err(failure) => Err(failure),
            }
        })
        .await
    }
}

/// A server that is overloaded or broken says nothing about what it can do.
fn definite(answer: Answer) -> Result<Answer, Failure> {
    match answer.status {
        501 => Ok(answer),
        429 | 500..=599 => Err(Failure::Garbled("the server is overloaded or broken")),
        _ => Ok(answer),
    }
}

fn error_code(body: &[u8]) -> Option<String> {
    let root = Element::parse(body).filter(|root| root.name == "Error")?;
    root.text_of("Code").and_then(crate::error::word)
}

fn found(capability: Capability, is_there: bool, request: &str, answer: &Answer) -> ProbedCapability {
    probed(capability, is_there, format!("{request} is answered {}", answer.describe()))
}

fn probed(capability: Capability, is_there: bool, evidence: String) -> ProbedCapability {
    ProbedCapability { capability, is_there, evidence }
}

fn unusable(request: &str, answer: &Answer) -> StorageError {
    StorageError::Other {
        reason: format!("probe capabilities: {request} is answered {}", answer.describe()),
        source: None,
    }
}

/// The same URL with another signature of the same form.
fn forged(url: &str) -> String {
    const NAME: &str = "X-Amz-Signature=";
    let Some(start) = url.find(NAME).map(|at| at + NAME.len()) else { return url.to_owned() };
    let flipped = if url[start..].starts_with('0') { "1" } else { "0" };
    let end = url[start..].chars().next().map_or(start, |first| start + first.len_utf8());
    format!("{}{flipped}{}", &url[..start], &url[end..])
}

#[cfg(test)]
mod tests {
    use super::forged;

    #[test]
    fn a_forged_url_differs_in_its_signature_alone() {
        assert_eq!(forged("http://a/b?X-Amz-Signature=0f&c=d"), "http://a/b?X-Amz-Signature=1f&c=d");
        assert_eq!(forged("http://a/b?c=d&X-Amz-Signature=ff"), "http://a/b?c=d&X-Amz-Signature=0f");
        assert_eq!(forged("http://a/b"), "http://a/b");
    }
}
