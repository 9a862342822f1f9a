//! Multipart uploads whose parts others send, on servers that answer whatever a test wants.

use std::time::Duration;

use object_store_storage::{ObjectStorage, PresignPart, RetryClass, StorageError, UploadedPart};

use crate::failures::{key, provider, text};
use crate::scripted_server::{Reply, ScriptedServer};

const ID: &str = "up/1+ü &=?";
const ENCODED_ID: &str = "up%2F1%2B%C3%BC%20%26%3D%3F";

fn parts(numbers: &[u16]) -> Vec<UploadedPart> {
    numbers.iter().map(|number| UploadedPart { number: *number, size_bytes: 1, etag: "e".to_owned() }).collect()
}

async fn join(reply: Reply) -> (Result<(), StorageError>, usize) {
    let server = ScriptedServer::start(vec![reply]).await;
    let joined = provider(&server.endpoint).await.complete_multipart_upload(&key(), ID, &parts(&[1, 2])).await;
    assert!(server.heads()[0].starts_with("post /bucket/image/a/b?uploadid="), "{:?}", server.heads());
    (joined, server.heads().len())
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_are_joined_as_the_answers_body_says() {
    let done = "<CompleteMultipartUploadResult><ETag>\"e-2\"</ETag></CompleteMultipartUploadResult>";
    let (joined, _) = join(Reply::new("200 OK", &[], done)).await;
    joined.unwrap();
    let gone = [Reply::error("404 Not Found", "NoSuchUpload"), Reply::error("200 OK", "NoSuchUpload")];
    for reply in gone {
        let (joined, requests) = join(reply).await;
        assert!(matches!(joined, Err(StorageError::UploadMissing { .. })), "{joined:?}");
        assert_eq!(requests, 1);
    }
    let (joined, _) = join(Reply::error("400 Bad Request", "InvalidPart")).await;
    assert!(matches!(joined, Err(StorageError::PreconditionFailed)), "{joined:?}");
    for lost in [Reply::error("200 OK", "InternalError"), Reply::new("200 OK", &[], "<html/>"), Reply::Silence] {
        let (joined, requests) = join(lost).await;
        assert_eq!(joined.unwrap_err().retry_class(), RetryClass::OutcomeUnknown);
        assert_eq!(requests, 1, "it may be done already");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_storage_joins_is_not_asked_for() {
    let server = ScriptedServer::start(vec![Reply::Silence]).await;
    let provider = provider(&server.endpoint).await;
    for wrong in [&[][..], &[2, 1], &[1, 1]] {
        let joined = provider.complete_multipart_upload(&key(), ID, &parts(wrong)).await;
        assert!(matches!(joined, Err(StorageError::InvalidRequest { .. })), "{wrong:?}: {joined:?}");
    }
    for limit in [0, 1_001] {
        let page = provider.list_parts(&key(), ID, None, limit).await;
        assert!(matches!(page, Err(StorageError::InvalidRequest { .. })), "{limit}: {page:?}");
    }
    assert!(server.heads().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_parts_is_asked_for_by_number() {
    let page = "<ListPartsResult><IsTruncated>true</IsTruncated><NextPartNumberMarker>1</NextPartNumberMarker>\
                <Part><PartNumber>8</PartNumber><ETag>\"e\"</ETag><Size>5</Size></Part></ListPartsResult>";
    let busy = Reply::error("503 Service Unavailable", "SlowDown");
    let server = ScriptedServer::start(vec![busy, Reply::new("200 OK", &[], page)]).await;
    let page = provider(&server.endpoint).await.list_parts(&key(), ID, Some(7), 3).await.unwrap();
    assert_eq!((page.parts[0].number, page.parts[0].size_bytes, page.parts[0].etag.as_str()), (8, 5, "e"));
    assert!(page.has_more);
    let query =
        format!("get /bucket/image/a/b?max-parts=3&uploadid={}&part-number-marker=7 ", ENCODED_ID.to_lowercase());
    assert!(server.heads().iter().all(|head| head.starts_with(&query)), "{query}: {:?}", server.heads());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_listing_is_no_empty_listing() {
    for (reply, expected) in [
        (Reply::error("404 Not Found", "NoSuchUpload"), "upload_missing"),
        (Reply::error("404 Not Found", "NoSuchBucket"), "bucket_missing"),
        (Reply::error("403 Forbidden", "AccessDenied"), "access_denied"),
        (Reply::new("404 Not Found", &[], "<html/>"), "storage_failed"),
        (Reply::new("200 OK", &[], "<html/>"), "unavailable"),
        (Reply::new("200 OK", &[], ""), "unavailable"),
    ] {
        let server = ScriptedServer::start(vec![reply]).await;
        let error = provider(&server.endpoint).await.list_parts(&key(), ID, None, 10).await.unwrap_err();
        assert_eq!(error.code(), expected, "{}", text(&error));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_may_have_begun_is_not_begun_again() {
    for reply in [Reply::new("200 OK", &[], "<InitiateMultipartUploadResult/>"), Reply::Silence] {
        let server = ScriptedServer::start(vec![reply]).await;
        let error = provider(&server.endpoint).await.create_multipart_upload(&key(), "image/png").await.unwrap_err();
        assert_eq!(error.retry_class(), RetryClass::OutcomeUnknown, "{}", text(&error));
        assert_eq!(server.heads().len(), 1);
        assert!(server.heads()[0].contains("content-type: image/png"), "{:?}", server.heads());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_part_names_upload_and_number_and_tells_its_length() {
    let provider = provider("http://127.0.0.1:1").await;
    let part = PresignPart {
        expires_in: Duration::from_mins(1),
        upload_id: ID.to_owned(),
        part_number: 10_000,
        content_length: 5,
    };
    let signed = provider.presign_part(&key(), &part).await.unwrap();
    for piece in ["partNumber=10000", "&X-Amz-Signature=", "SignedHeaders=content-length%3Bhost", "X-Amz-Expires=60"] {
        assert!(signed.url.contains(piece), "{piece} in {}", signed.url);
    }
    assert!(signed.url.contains(&format!("uploadId={ENCODED_ID}")), "{}", signed.url);
    assert_eq!(signed.headers, [("content-length".to_owned(), "5".to_owned())]);
    assert!(!format!("{signed:?} {part:?}").contains("up/1"));

    let too_large = PresignPart { content_length: (5 << 30) + 1, ..part };
    assert!(matches!(provider.presign_part(&key(), &too_large).await, Err(StorageError::InvalidRequest { .. })));
}
