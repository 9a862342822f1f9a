use object_store_storage::{MultipartUpload, MultipartUploadPage, ObjectKey, StorageResult};
use reqwest::Method;

use crate::answer::timestamp;
use crate::client::{Client, Request};
use crate::error::{Failure, Operation};
use crate::list::{LISTING_BYTES, is_truncated};
use crate::put::SMALL_ANSWER_BYTES;
use crate::retry::{Repeat, attempts};
use crate::target::{Resource, Target};
use crate::xml::Element;

/// What separates the two halves of a marker. No upload id contains it.
const SEPARATOR: char = '\n';

const LIST: Operation = Operation::read("list multipart uploads");
const ABORT: Operation = Operation::write("abort multipart upload");

/// One page of uploads that were begun.
pub(crate) async fn list(client: &Client, prefix: &str, marker: Option<&str>) -> StorageResult<MultipartUploadPage> {
    let prefix = client.target.full_key(prefix);
    let (prefix, after) = (prefix.as_str(), marker.map(split_marker));
    attempts(&client.patience, Repeat::Idempotent, LIST, None, || async move {
        let mut query = vec![("uploads", ""), ("max-uploads", "1000"), ("prefix", prefix)];
        if let Some((key, id)) = after {
            query.push(("key-marker", key));
            if !id.is_empty() {
                query.push(("upload-id-marker", id));
            }
        }
        let request = Request { query: &query, ..client.request(Method::GET, Resource::Contents) };
        let response = client.send(request).await?;
        let answer = client.read(response, LISTING_BYTES).await?;
        let page = read_page(&answer, &client.target)?;
        if marker.is_some() && page.next.as_deref() == marker {
            return Err(Failure::Garbled("the listing does not advance"));
        }
        Ok(page)
    })
    .await
}

/// Discards an upload. One that does not exist is a success.
pub(crate) async fn abort(client: &Client, key: &ObjectKey, upload_id: &str) -> StorageResult<()> {
    attempts(&client.patience, Repeat::Idempotent, ABORT, Some(key), || async move {
        let query = [("uploadId", upload_id)];
        let request = Request { query: &query, ..client.request(Method::DELETE, Resource::Object(key)) };
        match client.send(request).await {
            Ok(response) => client.read(response, SMALL_ANSWER_BYTES).await.map(drop),
            // Where an upload that was completed has left its name behind, Swift misses the key.
            Err(Failure::Refused(refusal)) if matches!(refusal.code.as_deref(), Some("NoSuchUpload" | "NoSuchKey")) => {
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    })
    .await
}

fn read_page(answer: &[u8], target: &Target) -> Result<MultipartUploadPage, Failure> {
    let root = Element::parse(answer).filter(|root| root.name == "ListMultipartUploadsResult");
    let root = root.ok_or(Failure::Garbled("the answer is not a listing of uploads"))?;
    let mut uploads = Vec::new();
    let mut last = None;
    for upload in root.children_named("Upload") {
        let (Some(key), Some(id)) = (upload.text_of("Key"), upload.text_of("UploadId")) else {
            return Err(Failure::Garbled("an upload has no key or no id"));
        };
        last = Some(format!("{key}{SEPARATOR}{id}"));
        if let Some(key) = target.own_key(key) {
            uploads.push(MultipartUpload {
                key: key.to_owned(),
                upload_id: id.to_owned(),
                initiated: upload.text_of("Initiated").and_then(timestamp),
            });
        }
    }
    let said = root
        .text_of("NextKeyMarker")
        .filter(|key| !key.is_empty())
        .map(|key| format!("{key}{SEPARATOR}{}", root.text_of("NextUploadIdMarker").unwrap_or_default()));
    let next = if is_truncated(&root) { said.or(last) } else { None };
    Ok(MultipartUploadPage { uploads, next })
}

fn split_marker(marker: &str) -> (&str, &str) {
    marker.rsplit_once(SEPARATOR).unwrap_or((marker, ""))
}

#[cfg(test)]
mod tests {
    use super::{read_page, split_marker};
    use crate::config::{S3Config, S3Credentials};
    use crate::target::Target;

    fn target() -> Target {
        let config = S3Config::new(Some("http://localhost:1".into()), "us-east-1", "media", S3Credentials::Default);
        Target::new(&S3Config { prefix: "app/".into(), ..config }).unwrap()
    }

    fn page(truncated: bool, markers: &str) -> String {
        format!(
            "<ListMultipartUploadsResult><IsTruncated>{truncated}</IsTruncated>{markers}\
             <Upload><Key>app/a</Key><UploadId>u1</UploadId><Initiated>2026-01-02T03:04:05.000Z</Initiated></Upload>\
             <Upload><Key>other</Key><UploadId>u2</UploadId></Upload></ListMultipartUploadsResult>"
        )
    }

    #[test]
    fn a_page_leads_to_the_next() {
        let markers = "<NextKeyMarker>app/b</NextKeyMarker><NextUploadIdMarker>u9</NextUploadIdMarker>";
        let read = read_page(page(true, markers).as_bytes(), &target()).unwrap();
        assert_eq!(read.uploads.len(), 1);
        assert_eq!((read.uploads[0].key.as_str(), read.uploads[0].upload_id.as_str()), ("a", "u1"));
        assert!(read.uploads[0].initiated.is_some());
        assert_eq!(read.next.as_deref().map(split_marker), Some(("app/b", "u9")));
    }

    #[test]
    fn without_markers_the_last_upload_is_one() {
        let read = read_page(page(true, "").as_bytes(), &target()).unwrap();
        assert_eq!(read.next.as_deref().map(split_marker), Some(("other", "u2")));
        let read = read_page(page(false, "<NextKeyMarker>x</NextKeyMarker>").as_bytes(), &target()).unwrap();
        assert_eq!(read.next, None);
    }

    #[test]
    fn what_is_no_listing_is_no_empty_page() {
        for answer in ["", "<html/>", "<ListBucketResult/>"] {
            assert!(read_page(answer.as_bytes(), &target()).is_err());
        }
    }
}
