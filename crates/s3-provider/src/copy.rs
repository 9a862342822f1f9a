use bytes::Bytes;
use object_store_storage::{CopyCondition, ObjectKey, ObjectMeta, StorageError, StorageResult};
use reqwest::Method;
use reqwest::header::HeaderMap;
use s3::signing::uri_encode;

use crate::client::{Client, Payload, Request};
use crate::error::{Failure, Operation, Refusal};
use crate::get::head;
use crate::put::SMALL_ANSWER_BYTES;
use crate::retry::{Repeat, attempts};
use crate::sign::value;
use crate::target::Resource;
use crate::xml::Element;

const COPY: Operation = Operation::write("copy object");

/// Copies an object on the server. Objects above 5 GiB are refused by most servers.
pub(crate) async fn copy(
    client: &Client,
    from: &ObjectKey,
    to: &ObjectKey,
    condition: &CopyCondition,
) -> StorageResult<ObjectMeta> {
    let source = format!("/{}/{}", client.config.bucket, client.target.full_key(from.as_str()));
    let mut headers = HeaderMap::new();
    headers.insert("x-amz-copy-source", value(&uri_encode(&source, false))?);
    if let Some(etag) = &condition.if_match {
        headers.insert("x-amz-copy-source-if-match", value(&format!("\"{etag}\""))?);
    }
    let headers = &headers;
    attempts(Repeat::WithoutEffect, COPY, Some(from), || async move {
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
    head(client, to).await.map_err(after_the_fact)
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

/// The copy is there, whatever went wrong when it was looked at.
fn after_the_fact(error: StorageError) -> StorageError {
    match error {
        StorageError::Unavailable { reason, source, .. } => {
            StorageError::Unavailable { reason, outcome_unknown: true, source }
        }
        error @ StorageError::NotFound { .. } => StorageError::Unavailable {
            reason: "copy object: the copy cannot be found yet".into(),
            outcome_unknown: true,
            source: Some(Box::new(error)),
        },
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use object_store_storage::{ObjectKey, RetryClass, StorageError};

    use super::{COPY, after_the_fact, copied};
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
    fn a_copy_that_is_not_seen_may_be_there() {
        let unseen = StorageError::NotFound { key: ObjectKey::parse("a").unwrap() };
        assert_eq!(after_the_fact(unseen).retry_class(), RetryClass::OutcomeUnknown);
    }
}
