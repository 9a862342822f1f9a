use bytes::Bytes;
use object_store_storage::{CopyOptions, ObjectKey, ObjectMeta, PutOptions, StorageError, StorageResult};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderValue};
use s3::signing::uri_encode;

use crate::client::{Client, Payload, Request, header};
use crate::delete::delete;
use crate::error::{Failure, Operation, Refusal, after_the_fact};
use crate::get::{head, head_with_headers};
use crate::put::{SMALL_ANSWER_BYTES, object_headers};
use crate::retry::{Repeat, attempts};
use crate::sign::value;
use crate::target::Resource;
use crate::xml::Element;

const COPY: Operation = Operation::write("copy object").working();

/// Copies an object on the server. Objects above 5 GiB are refused by most servers.
///
/// Without the directive, a copy keeps what the writer of the source has sent along: a signature covers the headers that
/// it names, and the writer may add others, such as `Content-Encoding`.
///
/// Some servers ignore the condition without a word. So the source's entity tag is compared before, and the copy's
/// after: where tags are digests, a copy of other bytes is removed and is no copy.
pub(crate) async fn copy(
    client: &Client,
    from: &ObjectKey,
    to: &ObjectKey,
    options: &CopyOptions,
) -> StorageResult<ObjectMeta> {
    let source = format!("/{}/{}", client.config.bucket, client.target.full_key(from.as_str()));
    let stored = PutOptions { content_type: options.content_type.clone(), content_md5: None };
    let mut headers = object_headers(&stored)?;
    headers.insert("x-amz-metadata-directive", HeaderValue::from_static("REPLACE"));
    headers.insert("x-amz-copy-source", value(&uri_encode(&source, false))?);
    if let Some(etag) = &options.if_match {
        if head(client, from).await?.etag != *etag {
            return Err(StorageError::PreconditionFailed);
        }
        headers.insert("x-amz-copy-source-if-match", value(&format!("\"{etag}\""))?);
        // Ceph RGW reads the condition from a header of this name.
        headers.insert("x-amz-copy-if-match", value(&format!("\"{etag}\""))?);
    }
    let headers = &headers;
    attempts(&client.patience, Repeat::WithoutEffect, COPY, Some(from), || async move {
        let request = Request {
            headers: headers.clone(),
            payload: Payload::Bytes(Bytes::new()),
            patience: client.config.work_timeout,
            ..client.request(Method::PUT, Resource::Object(to))
        };
        let response = client.send(request).await?;
        copied(&client.read(response, SMALL_ANSWER_BYTES).await?)
    })
    .await?;
    let (copy, headers) = head_with_headers(client, to).await.map_err(|error| after_the_fact(error, COPY))?;
    if let Some(etag) = &options.if_match
        && are_other_bytes(etag, &copy.etag, &headers)
    {
        delete(client, to).await.map_err(|error| after_the_fact(error, COPY))?;
        return Err(StorageError::PreconditionFailed);
    }
    Ok(copy)
}

/// Whether entity tags prove that two objects have other bytes. They do if both are MD5s: not those of objects that came
/// in parts, nor of objects that the server encrypts with keys from elsewhere (AWS API reference, "Object", `ETag`).
fn are_other_bytes(one: &str, other: &str, headers: &HeaderMap) -> bool {
    let is_md5 = |etag: &str| etag.len() == 32 && etag.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_encrypted = header(headers, "x-amz-server-side-encryption").is_some_and(|kind| kind != "AES256")
        || headers.contains_key("x-amz-server-side-encryption-customer-algorithm");
    is_md5(one) && is_md5(other) && !is_encrypted && !one.eq_ignore_ascii_case(other)
}

/// Whether a copy was made. Its status says nothing: it was sent before the work was done.
fn copied(answer: &Bytes) -> Result<(), Failure> {
    let root = Element::parse(answer).ok_or(Failure::Garbled("the answer is not XML"))?;
    if let Some(refusal) = Refusal::inside_success(&root) {
        return Err(Failure::Refused(refusal));
    }
    if root.name == "CopyObjectResult" {
        Ok(())
    } else {
        Err(Failure::Garbled("the answer is not the result of a copy"))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use object_store_storage::{ObjectKey, RetryClass, StorageError};

    use reqwest::header::{HeaderMap, HeaderValue};

    use super::{COPY, are_other_bytes, copied};
    use crate::error::translate;

    #[test]
    fn a_copy_is_what_its_body_says() {
        let key = ObjectKey::parse("a").unwrap();
        let answer = |text: &'static str| copied(&Bytes::from_static(text.as_bytes()));
        assert!(answer("  <CopyObjectResult><ETag>a</ETag></CopyObjectResult>").is_ok());
        let error = |text| translate(answer(text).unwrap_err(), COPY, Some(&key));
        assert!(matches!(error("<Error><Code>PreconditionFailed</Code></Error>"), StorageError::PreconditionFailed));
        assert!(matches!(error("<Error><Code>NoSuchKey</Code></Error>"), StorageError::NotFound { .. }));
        assert_eq!(error("<Error><Code>InternalError</Code></Error>").retry_class(), RetryClass::OutcomeUnknown);
        assert_eq!(error("<html/>").retry_class(), RetryClass::OutcomeUnknown);
        assert_eq!(error("").retry_class(), RetryClass::OutcomeUnknown);
    }

    #[test]
    fn only_digests_prove_that_bytes_differ() {
        let (one, other) = ("0123456789abcdef0123456789abcdef", "1123456789abcdef0123456789abcdef");
        let mut headers = HeaderMap::new();
        assert!(are_other_bytes(one, other, &headers));
        assert!(!are_other_bytes(one, one, &headers));
        assert!(!are_other_bytes(one, "1123456789abcdef0123456789abcdef-2", &headers));
        headers.insert("x-amz-server-side-encryption", HeaderValue::from_static("AES256"));
        assert!(are_other_bytes(one, other, &headers));
        headers.insert("x-amz-server-side-encryption", HeaderValue::from_static("aws:kms"));
        assert!(!are_other_bytes(one, other, &headers));
    }
}
