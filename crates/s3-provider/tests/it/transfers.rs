use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt;
use object_store_storage::{
    Body, ByteStream, CopyOptions, ObjectKey, ObjectStorage, PutOptions, RetryClass, StorageError, collect,
};

use crate::failures::{key, provider, text};
use crate::scripted_server::{Reply, ScriptedServer};

const PART: usize = 8 << 20;

const ID: &str = "<InitiateMultipartUploadResult><UploadId>up/1+ü</UploadId></InitiateMultipartUploadResult>";

fn part() -> Reply {
    Reply::new("200 OK", &[("etag", "\"part\"")], "")
}

/// A server that knows multipart uploads and answers their completion as told.
async fn multipart_server(completion: Reply) -> ScriptedServer {
    ScriptedServer::answering(move |head| match head.split(' ').next() {
        Some("post") if head.contains("?uploads ") => Reply::new("200 OK", &[], ID),
        Some("post") => completion.clone(),
        Some("put") => part(),
        Some("head") => Reply::new("200 OK", &[("etag", "\"whole\"")], ""),
        _ => Reply::new("204 No Content", &[], ""),
    })
    .await
}

fn stream(pieces: Vec<io::Result<Bytes>>) -> ByteStream {
    futures::stream::iter(pieces).boxed()
}

fn bytes(length: usize) -> Bytes {
    vec![7; length].into()
}

async fn put(server: &ScriptedServer, stream: ByteStream, length: Option<u64>) -> Result<u64, StorageError> {
    let provider = provider(&server.endpoint).await;
    let stored = provider.put(&key(), Body::Stream { stream, length }, &PutOptions::default()).await?;
    Ok(stored.size_bytes)
}

fn count(server: &ScriptedServer, start: &str) -> usize {
    server.heads().iter().filter(|head| head.starts_with(start)).count()
}

const ABORT: &str = "delete /bucket/image/a/b?uploadid=up%2f1%2b%c3%bc ";

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_unknown_length_goes_in_parts() {
    let done = "<CompleteMultipartUploadResult><ETag>\"e-2\"</ETag></CompleteMultipartUploadResult>";
    let server = multipart_server(Reply::new("200 OK", &[], done)).await;
    assert_eq!(put(&server, stream(vec![Ok(bytes(PART)), Ok(bytes(5))]), None).await.unwrap(), PART as u64 + 5);
    assert_eq!((count(&server, "put"), count(&server, "post"), count(&server, "delete")), (2, 2, 0));
    let small = ScriptedServer::start(vec![part()]).await;
    assert_eq!(put(&small, stream(vec![Ok(bytes(PART - 1))]), None).await.unwrap(), PART as u64 - 1);
    assert_eq!(small.heads().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completion_that_fails_is_aborted() {
    let inside = Reply::new("200 OK", &[], "  <Error><Code>InternalError</Code></Error>");
    let html = Reply::new("200 OK", &[], "<html></html>");
    let silent = Reply::Silence;
    let refused = Reply::error("400 Bad Request", "InvalidPart");
    let cases = [
        (inside, RetryClass::OutcomeUnknown),
        (html, RetryClass::OutcomeUnknown),
        (silent, RetryClass::OutcomeUnknown),
        (refused, RetryClass::Never),
    ];
    for (completion, class) in cases {
        let server = multipart_server(completion).await;
        let error = put(&server, stream(vec![Ok(bytes(PART + 5))]), None).await.unwrap_err();
        assert_eq!(error.retry_class(), class, "{}", text(&error));
        assert_eq!((count(&server, "post"), count(&server, ABORT)), (2, 1), "{:#?}", server.heads());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completion_without_an_entity_tag_is_looked_at() {
    let done = "<CompleteMultipartUploadResult><ETag></ETag></CompleteMultipartUploadResult>";
    let server = multipart_server(Reply::new("200 OK", &[], done)).await;
    let provider = provider(&server.endpoint).await;
    let body = Body::Stream { stream: stream(vec![Ok(bytes(PART))]), length: None };
    let stored = provider.put(&key(), body, &PutOptions::default()).await.unwrap();
    assert_eq!(stored.etag, "whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_fails_in_the_middle_is_aborted() {
    let server = multipart_server(Reply::Silence).await;
    let broken = stream(vec![Ok(bytes(PART + 5)), Err(io::Error::other("disk"))]);
    let error = put(&server, broken, None).await.unwrap_err();
    assert!(matches!(&error, StorageError::Body(cause) if cause.to_string() == "disk"), "{}", text(&error));
    assert_eq!((count(&server, "post"), count(&server, ABORT)), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_put_is_aborted() {
    for after in ["post", "put"] {
        let server = multipart_server(Reply::Silence).await;
        let endless = stream(vec![Ok(bytes(PART + 5))]).chain(futures::stream::pending()).boxed();
        let endpoint = server.endpoint.clone();
        let running = tokio::spawn(async move {
            let body = Body::Stream { stream: endless, length: None };
            provider(&endpoint).await.put(&key(), body, &PutOptions::default()).await
        });
        server.until_asked(after).await;
        running.abort();
        server.until_asked(ABORT).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_is_repeated_and_its_failure_leaves_nothing() {
    let server = ScriptedServer::answering(|head| match head.split(' ').next() {
        Some("post") => Reply::new("200 OK", &[], ID),
        Some("put") => Reply::error("500 Internal Server Error", "InternalError"),
        _ => Reply::new("204 No Content", &[], ""),
    })
    .await;
    let error = put(&server, stream(vec![Ok(bytes(PART))]), None).await.unwrap_err();
    assert_eq!(error.retry_class(), RetryClass::Safe, "{}", text(&error));
    assert_eq!((count(&server, "put"), count(&server, ABORT)), (5, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_body_lives_as_long_as_it_moves() {
    let server = ScriptedServer::start(vec![part()]).await;
    let slow = futures::stream::iter(0..10)
        .then(|_| async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok(bytes(10))
        })
        .boxed();
    // Three times the idle timeout of these tests.
    assert_eq!(put(&server, slow, Some(100)).await.unwrap(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_says_nothing_is_to_blame_itself() {
    let server = ScriptedServer::start(vec![part()]).await;
    let stuck = stream(vec![Ok(bytes(10))]).chain(futures::stream::pending()).boxed();
    let error = put(&server, stuck, Some(100)).await.unwrap_err();
    let is_timeout = matches!(&error, StorageError::Body(cause) if cause.kind() == io::ErrorKind::TimedOut);
    assert!(is_timeout, "{}", text(&error));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_body_says_so() {
    let server = ScriptedServer::start(vec![part()]).await;
    for body in [Body::Bytes(Bytes::new()), Body::Stream { stream: stream(vec![]), length: Some(0) }] {
        provider(&server.endpoint).await.put(&key(), body, &PutOptions::default()).await.unwrap();
    }
    for head in server.heads() {
        assert!(head.contains("\r\ncontent-length: 0"), "{head}");
        assert!(head.contains("\r\ncontent-md5: 1b2m2y8asgtpgamy7phcfg=="), "{head}");
        assert!(!head.contains("transfer-encoding"), "{head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stall_in_the_middle_of_an_object_is_told() {
    let head = "HTTP/1.1 200 OK\r\netag: \"e\"\r\ncontent-length: 100\r\n\r\nsome";
    for (reply, kind) in
        [(Reply::Stall(head.into()), io::ErrorKind::TimedOut), (Reply::Raw(head.into()), io::ErrorKind::UnexpectedEof)]
    {
        let server = ScriptedServer::start(vec![reply]).await;
        let mut download = provider(&server.endpoint).await.get(&key(), None).await.unwrap();
        assert_eq!(download.stream.next().await.unwrap().unwrap(), "some");
        assert_eq!(download.stream.next().await.unwrap().unwrap_err().kind(), kind);
        assert!(download.stream.next().await.is_none() && download.stream.next().await.is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_404_that_says_nothing_is_about_the_key_only_if_the_bucket_is_there() {
    let to_bucket = |head: &str| head.starts_with("head /bucket/ ");
    for (bucket, gets, deletes) in [
        ("200 OK", "object_missing", None),
        ("403 Forbidden", "object_missing", None),
        ("404 Not Found", "bucket_missing", Some("bucket_missing")),
        ("500 Internal Server Error", "unavailable", Some("unavailable")),
    ] {
        let server = ScriptedServer::answering(move |head| {
            Reply::new(if to_bucket(head) { bucket } else { "404 Not Found" }, &[], "")
        })
        .await;
        let provider = provider(&server.endpoint).await;
        assert_eq!(provider.head(&key()).await.unwrap_err().code(), gets, "{bucket}");
        assert_eq!(provider.get(&key(), None).await.unwrap_err().code(), gets, "{bucket}");
        let deleted = provider.delete(&key()).await;
        assert_eq!(deleted.as_ref().err().map(StorageError::code), deletes, "{bucket}: {deleted:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_that_the_server_ignores_is_held_here() {
    let to = ObjectKey::parse("image/a/c").unwrap();
    let (expected, other) = ("0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210");
    let condition = CopyOptions { if_match: Some(expected.to_owned()), ..CopyOptions::default() };
    // The source is replaced between the look at it and the copy.
    let server = ScriptedServer::answering(move |head| match head.split(' ').next() {
        Some("head") if head.contains("image/a/b") => Reply::new("200 OK", &[("etag", expected)], ""),
        Some("head") => Reply::new("200 OK", &[("etag", other)], ""),
        Some("put") => Reply::new("200 OK", &[], "<CopyObjectResult><ETag>x</ETag></CopyObjectResult>"),
        _ => Reply::new("204 No Content", &[], ""),
    })
    .await;
    let copied = provider(&server.endpoint).await.copy(&key(), &to, &condition).await;
    assert!(matches!(copied, Err(StorageError::PreconditionFailed)), "{copied:?}");
    assert_eq!(count(&server, "delete /bucket/image/a/c "), 1);
    let copy = server.heads().into_iter().find(|head| head.starts_with("put ")).unwrap();
    assert!(copy.contains("x-amz-metadata-directive: replace"), "nothing of the source's headers is kept: {copy}");
    // The source was replaced before.
    let server = ScriptedServer::start(vec![Reply::new("200 OK", &[("etag", other)], "")]).await;
    let copied = provider(&server.endpoint).await.copy(&key(), &to, &condition).await;
    assert!(matches!(copied, Err(StorageError::PreconditionFailed)), "{copied:?}");
    assert_eq!(count(&server, "put"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_endless_size_is_cut() {
    let huge = format!("<ListBucketResult>{}", " ".repeat(17 << 20));
    let server = ScriptedServer::start(vec![Reply::new("200 OK", &[], &huge)]).await;
    let start = Instant::now();
    let error = provider(&server.endpoint).await.list_page("", None, 10).await.unwrap_err();
    assert_eq!(error.code(), "unavailable", "{}", text(&error));
    let refusal = Reply::new("403 Forbidden", &[], &huge);
    let server = ScriptedServer::start(vec![refusal]).await;
    let error = provider(&server.endpoint).await.list_page("", None, 10).await.unwrap_err();
    assert!(matches!(&error, StorageError::AccessDenied { code } if code == "403"), "{}", text(&error));
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_somebody_made_first_is_there() {
    for (code, expected) in [("BucketAlreadyOwnedByYou", Ok(false)), ("BucketAlreadyExists", Err("access_denied"))] {
        let refusal = Reply::error("409 Conflict", code);
        let server = ScriptedServer::answering(move |head| {
            if head.starts_with("head") { Reply::new("404 Not Found", &[], "") } else { refusal.clone() }
        })
        .await;
        let created = provider(&server.endpoint).await.ensure_bucket().await;
        assert_eq!(created.map_err(|error| error.code()), expected, "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_can_be_downloaded_piece_by_piece() {
    let body = "x".repeat(3 << 20);
    let server = ScriptedServer::start(vec![Reply::new("200 OK", &[("etag", "e")], &body)]).await;
    let download = provider(&server.endpoint).await.get(&key(), None).await.unwrap();
    assert_eq!(collect(download.stream).await.unwrap(), body);
}
