use std::time::{Duration, Instant};

use bytes::Bytes;
use object_store_s3_provider::{S3Config, S3Credentials, S3Provider};
use object_store_storage::{
    Body, ByteRange, CopyOptions, ObjectKey, ObjectStorage, PutOptions, RetryClass, StorageError, collect,
};

use crate::scripted_server::{Reply, ScriptedServer};

const SECRET: &str = "the-secret-key-of-a-test";

pub(crate) async fn provider(endpoint: &str) -> S3Provider {
    let credentials = S3Credentials::Static {
        access_key_id: "the-id-of-a-test".to_owned(),
        secret_access_key: SECRET.to_owned(),
        session_token: Some("the-token-of-a-test".to_owned()),
    };
    let config = S3Config {
        idle_timeout: Duration::from_millis(300),
        work_timeout: Duration::from_millis(300),
        ..S3Config::new(Some(endpoint.to_owned()), "us-east-1", "bucket", credentials)
    };
    S3Provider::connect(config).await.unwrap()
}

pub(crate) fn key() -> ObjectKey {
    ObjectKey::parse("image/a/b").unwrap()
}

pub(crate) fn text(error: &StorageError) -> String {
    let mut text = format!("{error} {error:?}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text} {cause} {cause:?}");
        source = cause.source();
    }
    text
}

async fn put(server: &ScriptedServer) -> Result<(), StorageError> {
    let options = PutOptions { content_type: "image/png".to_owned(), content_md5: None };
    provider(&server.endpoint).await.put(&key(), Body::from(&b"bytes"[..]), &options).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_told_by_its_code() {
    for (status, code, expected) in [
        ("403 Forbidden", "InvalidAccessKeyId", "access_denied"),
        ("403 Forbidden", "SignatureDoesNotMatch", "access_denied"),
        ("403 Forbidden", "RequestTimeTooSkewed", "access_denied"),
        ("400 Bad Request", "ExpiredToken", "access_denied"),
        ("404 Not Found", "NoSuchBucket", "bucket_missing"),
        ("412 Precondition Failed", "PreconditionFailed", "precondition_failed"),
        ("400 Bad Request", "BadDigest", "corrupted"),
        ("500 Internal Server Error", "InternalError", "unavailable"),
        ("503 Slow Down", "SlowDown", "unavailable"),
        ("429 Too Many Requests", "TooManyRequests", "unavailable"),
        ("400 Bad Request", "RequestTimeout", "unavailable"),
        ("418 I'm a teapot", "Teapot", "storage_failed"),
    ] {
        let server = ScriptedServer::start(vec![Reply::error(status, code)]).await;
        let error = put(&server).await.unwrap_err();
        assert_eq!(error.code(), expected, "{status} {code}: {}", text(&error));
        for secret in [SECRET, "the-token-of-a-test", "X-Amz-Signature"] {
            assert!(!text(&error).contains(secret), "{}", text(&error));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_repeated_only_where_it_had_no_effect() {
    let ok = Reply::new("200 OK", &[("etag", "\"e\"")], "");
    let repeated = ScriptedServer::start(vec![Reply::error("503 Slow Down", "SlowDown"), ok.clone()]).await;
    put(&repeated).await.unwrap();
    assert_eq!(repeated.heads().len(), 2);

    for unknown in [Reply::Reset, Reply::Silence, Reply::error("500 Internal Server Error", "InternalError")] {
        let server = ScriptedServer::start(vec![unknown, ok.clone()]).await;
        let error = put(&server).await.unwrap_err();
        assert_eq!(error.retry_class(), RetryClass::OutcomeUnknown, "{}", text(&error));
        assert_eq!(server.heads().len(), 1, "{}", text(&error));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_and_deletes_are_repeated() {
    let script = vec![Reply::error("500 Internal Server Error", "InternalError"), Reply::Reset];
    let found = Reply::new("200 OK", &[("etag", "\"e\""), ("content-type", "image/png")], "bytes");
    let server = ScriptedServer::start([script.clone(), vec![found]].concat()).await;
    let download = provider(&server.endpoint).await.get(&key(), None).await.unwrap();
    assert_eq!(collect(download.stream).await.unwrap(), "bytes");
    assert_eq!(server.heads().len(), 3);

    let server = ScriptedServer::start([script, vec![Reply::new("204 No Content", &[], "")]].concat()).await;
    provider(&server.endpoint).await.delete(&key()).await.unwrap();
    assert_eq!(server.heads().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_ends_in_time() {
    let server = ScriptedServer::start(vec![Reply::Silence]).await;
    let provider = provider(&server.endpoint).await;
    let start = Instant::now();
    let error = provider.head(&key()).await.unwrap_err();
    assert_eq!(error.code(), "unavailable", "{}", text(&error));
    assert!(start.elapsed() < Duration::from_secs(30));

    let head = "HTTP/1.1 200 OK\r\netag: \"e\"\r\ncontent-length: 100\r\n\r\nsome";
    let server = ScriptedServer::start(vec![Reply::Stall(head.into())]).await;
    let download = self::provider(&server.endpoint).await.get(&key(), None).await.unwrap();
    assert_eq!(download.length, 100);
    assert!(collect(download.stream).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_shorter_than_promised_is_an_error() {
    let head = "HTTP/1.1 200 OK\r\netag: \"e\"\r\ncontent-length: 100\r\nconnection: close\r\n\r\nsome";
    let server = ScriptedServer::start(vec![Reply::Raw(head.into())]).await;
    let download = provider(&server.endpoint).await.get(&key(), None).await.unwrap();
    assert!(collect(download.stream).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_that_the_server_ignores_is_cut_here() {
    let whole = Reply::new("200 OK", &[("etag", "\"e\"")], "0123456789");
    let server = ScriptedServer::start(vec![whole]).await;
    let range = Some(ByteRange { start: 3, length: 4 });
    let download = provider(&server.endpoint).await.get(&key(), range).await.unwrap();
    assert_eq!((download.length, download.meta.size_bytes), (4, 10));
    assert_eq!(collect(download.stream).await.unwrap(), "3456");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed() {
    let other = ScriptedServer::start(vec![Reply::new("200 OK", &[("etag", "\"e\"")], "")]).await;
    let elsewhere = format!("{}/bucket/image/a/b", other.endpoint);
    for status in ["301 Moved Permanently", "307 Temporary Redirect"] {
        let redirect = Reply::new(status, &[("location", &elsewhere)], "");
        let server = ScriptedServer::start(vec![redirect]).await;
        let provider = provider(&server.endpoint).await;
        let errors = [
            put(&server).await.unwrap_err(),
            provider.get(&key(), None).await.unwrap_err(),
            provider.head(&key()).await.unwrap_err(),
            provider.delete(&key()).await.unwrap_err(),
            provider.list_page("", None, 10).await.unwrap_err(),
            provider.ensure_bucket().await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.retry_class(), RetryClass::Never, "{}", text(&error));
            assert!(text(&error).contains("127.0.0.1"), "where to is told: {}", text(&error));
        }
    }
    assert!(other.heads().is_empty(), "credentials must not go to another host");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_inside_a_success_is_an_error() {
    let inside = "<?xml version=\"1.0\"?><Error><Code>InternalError</Code></Error>";
    let server = ScriptedServer::start(vec![Reply::new("200 OK", &[], inside)]).await;
    let to = ObjectKey::parse("image/a/c").unwrap();
    let error = provider(&server.endpoint).await.copy(&key(), &to, &CopyOptions::default()).await.unwrap_err();
    assert_eq!(error.retry_class(), RetryClass::OutcomeUnknown, "{}", text(&error));
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_an_error_and_never_more() {
    let endless = format!("<a>{}", "<b>".repeat(200_000));
    for body in ["", "<html><body>Welcome to nginx</body></html>", "\u{0}\u{1}", "{}", "<ListBucketResult>", &endless] {
        let server = ScriptedServer::start(vec![Reply::new("200 OK", &[], body)]).await;
        let provider = provider(&server.endpoint).await;
        assert!(provider.list_page("", None, 10).await.is_err(), "{body:.40}");
        assert!(provider.list_multipart_uploads("", None).await.is_err(), "{body:.40}");
    }
    // A successful write without an entity tag is none that could be checked later.
    let server = ScriptedServer::start(vec![Reply::new("200 OK", &[], "")]).await;
    assert!(put(&server).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_says_more_without_giving_more_ends() {
    let page = "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>";
    let server = ScriptedServer::start(vec![Reply::new("200 OK", &[], page)]).await;
    let listed = provider(&server.endpoint).await.list_page("", None, 10).await;
    assert!(listed.is_err() || listed.is_ok_and(|page| page.objects.is_empty() && page.has_more));
    assert!(server.heads().len() < 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_had_no_effect() {
    let error = provider("http://127.0.0.1:1")
        .await
        .put(&key(), Body::Bytes(Bytes::new()), &PutOptions::default())
        .await
        .unwrap_err();
    assert_eq!(error.retry_class(), RetryClass::Safe, "{}", text(&error));
}
