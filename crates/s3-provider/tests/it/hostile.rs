//! Servers that are none of S3, or want to do harm: every operation ends in time, with an error that says which operation
//! it was and never with a wrong answer.

use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use object_store_s3_provider::{S3Config, S3Credentials, S3Provider};
use object_store_storage::{
    Body, CopyOptions, ObjectKey, ObjectStorage, PutOptions, RetryClass, StorageError, StorageResult, UploadedPart,
    collect,
};

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::failures::{key, text};
use crate::scripted_server::{Reply, ScriptedServer};

/// What an operation may take here. Tests wait for it where a server is silent.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(2);

/// Far above that, for a busy machine.
const SOON: Duration = Duration::from_secs(40);

pub(crate) async fn provider(endpoint: &str) -> S3Provider {
    let credentials = S3Credentials::Static {
        access_key_id: "the-id-of-a-test".to_owned(),
        secret_access_key: "the-secret-key-of-a-test".to_owned(),
        session_token: None,
    };
    let config = S3Config {
        connect_timeout: Duration::from_secs(1),
        idle_timeout: Duration::from_millis(400),
        operation_timeout: OPERATION_TIMEOUT,
        work_timeout: Duration::from_millis(400),
        ..S3Config::new(Some(endpoint.to_owned()), "us-east-1", "bucket", credentials)
    };
    S3Provider::connect(config).await.unwrap()
}

fn parts() -> [UploadedPart; 1] {
    [UploadedPart { number: 1, size_bytes: 5, etag: "e".to_owned() }]
}

type Call = for<'a> fn(&'a S3Provider) -> BoxFuture<'a, StorageResult<()>>;

/// Every operation that sends a request, with the words that its errors begin with.
const OPERATIONS: [(&str, Call); 13] = [
    ("put object", |provider| {
        Box::pin(async { provider.put(&key(), Body::from(&b"bytes"[..]), &PutOptions::default()).await.map(drop) })
    }),
    ("put object", |provider| {
        Box::pin(async {
            let stream = Body::Stream { stream: Body::from(&b"bytes"[..]).into_stream(), length: Some(5) };
            provider.put(&key(), stream, &PutOptions::default()).await.map(drop)
        })
    }),
    ("get object", |provider| {
        Box::pin(async {
            let download = provider.get(&key(), None).await?;
            collect(download.stream).await.map(drop)
        })
    }),
    ("head object", |provider| Box::pin(async { provider.head(&key()).await.map(drop) })),
    ("copy object", |provider| {
        Box::pin(async {
            let to = ObjectKey::parse("image/a/c").unwrap();
            provider.copy(&key(), &to, &CopyOptions::default()).await.map(drop)
        })
    }),
    ("delete object", |provider| Box::pin(async { provider.delete(&key()).await })),
    ("list objects", |provider| Box::pin(async { provider.list_page("", None, 10).await.map(drop) })),
    ("list multipart uploads", |provider| {
        Box::pin(async { provider.list_multipart_uploads("", None).await.map(drop) })
    }),
    ("begin multipart upload", |provider| {
        Box::pin(async { provider.create_multipart_upload(&key(), "image/png").await.map(drop) })
    }),
    ("list parts", |provider| Box::pin(async { provider.list_parts(&key(), "u", None, 10).await.map(drop) })),
    ("complete multipart upload", |provider| {
        Box::pin(async { provider.complete_multipart_upload(&key(), "u", &parts()).await })
    }),
    ("abort multipart upload", |provider| Box::pin(async { provider.abort_multipart_upload(&key(), "u").await })),
    ("list bucket", |provider| Box::pin(async { provider.bucket_info().await.map(drop) })),
];

const WRITES: [&str; 6] = [
    "put object",
    "copy object",
    "delete object",
    "begin multipart upload",
    "complete multipart upload",
    "abort multipart upload",
];

/// What every operation makes of a server, and that it is soon over.
async fn errors_of_all(endpoint: &str) -> Vec<(&'static str, Result<(), StorageError>)> {
    let provider = provider(endpoint).await;
    let all = OPERATIONS.map(|(name, call)| {
        let provider = provider.clone();
        tokio::spawn(async move {
            let start = Instant::now();
            let outcome = call(&provider).await;
            assert!(start.elapsed() < SOON, "{name}: {outcome:?} after {:?}", start.elapsed());
            (name, outcome)
        })
    });
    let mut outcomes = Vec::new();
    for one in all {
        outcomes.push(one.await.unwrap());
    }
    outcomes
}

/// As all of them fail, with the operation's name in the error.
async fn all_fail(what: &str, endpoint: &str) -> Vec<(&'static str, StorageError)> {
    let outcomes = errors_of_all(endpoint).await;
    outcomes
        .into_iter()
        .map(|(name, outcome)| {
            let Err(error) = outcome else { panic!("{what}: {name} succeeded") };
            let told = text(&error);
            // Absence is told by the bucket.
            let of = [name, "head bucket", "get object"];
            assert!(of.iter().any(|name| told.contains(name)), "{what}: {name}: {told}");
            assert!(!told.contains("the-secret-key") && !told.contains("the-id-of"), "{what}: {name}: {told}");
            (name, error)
        })
        .collect()
}

fn html(status: &str) -> Reply {
    let page = "<!DOCTYPE html><html><head><title>Welcome</title></head><body><p>Sign in<br></body></html>";
    Reply::new(status, &[("content-type", "text/html")], page)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_breaks_off_is_no_answer() {
    let whole = "<?xml version=\"1.0\"?><Error><Code>NoSuchBucket</Code><Message>m</Message></Error>";
    for status in ["400 Bad Request", "404 Not Found", "409 Conflict"] {
        for (length, sent) in [(whole.len(), 40), (whole.len(), 0), (40, 40)] {
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            let server = ScriptedServer::start(vec![Reply::Raw([head.as_bytes(), &whole.as_bytes()[..sent]].concat())]);
            for (name, outcome) in errors_of_all(&server.await.endpoint).await {
                // An answer to HEAD has no body that could be missing.
                if name == "head object" {
                    continue;
                }
                let error = outcome.unwrap_err();
                let expected = if WRITES.contains(&name) { RetryClass::OutcomeUnknown } else { RetryClass::Safe };
                assert_eq!(error.retry_class(), expected, "{status}, {sent} of {length}: {name}: {}", text(&error));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_broke_off_is_asked_for_again() {
    let cut = "HTTP/1.1 404 Not Found\r\ncontent-length: 90\r\nconnection: close\r\n\r\n<Error><Code>NoSuch";
    let script = vec![Reply::Raw(cut.into()), Reply::error("404 Not Found", "NoSuchBucket")];
    let server = ScriptedServer::start(script.clone()).await;
    let error = provider(&server.endpoint).await.get(&key(), None).await.unwrap_err();
    assert!(matches!(error, StorageError::BucketMissing), "{}", text(&error));
    assert_eq!(server.heads().len(), 2);

    // What may be done already is not done again.
    let server = ScriptedServer::start(script).await;
    let provider = provider(&server.endpoint).await;
    let put = provider.put(&key(), Body::from(&b"bytes"[..]), &PutOptions::default()).await.unwrap_err();
    assert_eq!(put.retry_class(), RetryClass::OutcomeUnknown, "{}", text(&put));
    assert_eq!(server.heads().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_server_at_all_has_done_nothing() {
    for endpoint in ["http://127.0.0.1:1", "http://no-such-host.invalid", "https://127.0.0.1:1"] {
        for (name, error) in all_fail(endpoint, endpoint).await {
            assert_eq!(error.retry_class(), RetryClass::Safe, "{endpoint}: {name}: {}", text(&error));
        }
    }
}

/// A server that does this with every connection, and its port.
pub(crate) async fn raw_server<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> u16
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(serve(connection));
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_that_cannot_be_had_is_told_at_once() {
    let plain = raw_server(|mut connection| async move {
        let _ = connection.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
        let _ = tokio::io::copy(&mut connection, &mut tokio::io::sink()).await;
    });
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into();
    let config = rustls::ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let untrusted = raw_server(move |connection| {
        let acceptor = acceptor.clone();
        async move { acceptor.accept(connection).await.map(drop).unwrap_or_default() }
    });
    for (what, port) in [("no TLS", plain.await), ("a certificate of its own", untrusted.await)] {
        for (name, error) in all_fail(what, &format!("https://localhost:{port}")).await {
            assert_eq!(error.retry_class(), RetryClass::Never, "{what}: {name}: {}", text(&error));
            assert!(text(&error).contains("TLS") && text(&error).contains("check"), "{what}: {name}: {}", text(&error));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_page_is_no_answer() {
    for status in
        ["200 OK", "400 Bad Request", "403 Forbidden", "404 Not Found", "405 Method Not Allowed", "502 Bad Gateway"]
    {
        let server = ScriptedServer::start(vec![html(status)]).await;
        for (name, outcome) in errors_of_all(&server.endpoint).await {
            match (name, status, outcome) {
                // A delete and an abort have no answer that could be looked at; after a 404, the bucket is asked for.
                ("delete object" | "abort multipart upload", "200 OK", Ok(()))
                | ("get object" | "head object" | "delete object", "404 Not Found", Err(StorageError::BucketMissing)) =>
                    {}
                (_, _, Err(error)) if text(&error).contains(name) || error.code() == "access_denied" => {}
                (_, _, outcome) => panic!("{status}: {name}: {outcome:?}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_are_none_end() {
    let endless = format!("<?xml version=\"1.0\"?><Error>{}", "<Code>".repeat(400_000));
    let deep = format!("<ListBucketResult>{}", "<a>".repeat(300_000));
    let entity = "<!DOCTYPE a [<!ENTITY b \"bbbb\"><!ENTITY c \"&b;&b;\">]><Error><Code>&c;</Code></Error>";
    for body in [endless.as_str(), &deep, entity, "\u{0}\u{1}\u{2}", "<Error>", "{\"error\":1}"] {
        for status in ["200 OK", "400 Bad Request", "500 Internal Server Error"] {
            let server = ScriptedServer::start(vec![Reply::new(status, &[("etag", "\"e\"")], body)]).await;
            for (name, outcome) in errors_of_all(&server.endpoint).await {
                // An object may be anything, and what is told by the head alone is told.
                let by_head = ["put object", "get object", "head object", "delete object", "abort multipart upload"];
                assert!(outcome.is_err() || (status == "200 OK" && by_head.contains(&name)), "{name}: {body:.30}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_and_drips_end() {
    for (what, reply) in [
        ("silence", Reply::Silence),
        ("half a head", Reply::Stall(b"HTTP/1.1 200 OK\r\netag: \"e\"\r\n".to_vec())),
        ("a head that drips", Reply::Drip { at_once: b"HTTP/1.1 200 OK\r\n".to_vec(), then: b"x-a: b\r\n" }),
        (
            "a body that drips",
            Reply::Drip {
                at_once: b"HTTP/1.1 200 OK\r\netag: \"e\"\r\ncontent-length: 9000\r\n\r\n".to_vec(),
                then: b"<!",
            },
        ),
        (
            "a refusal that drips",
            Reply::Drip { at_once: b"HTTP/1.1 404 Not Found\r\ncontent-length: 9000\r\n\r\n".to_vec(), then: b"<" },
        ),
    ] {
        let server = ScriptedServer::start(vec![reply]).await;
        for (name, outcome) in errors_of_all(&server.endpoint).await {
            let told_by_head = name == "head object" && what == "a body that drips";
            assert!(outcome.is_err() || told_by_head, "{what}: {name}: {outcome:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_without_what_matters_are_none() {
    for head in
        ["", "etag: \"\"\r\n", "content-length: 5\r\n", "etag: \"e\"\r\n", "content-length: many\r\netag: \"e\"\r\n"]
    {
        let raw = format!("HTTP/1.1 200 OK\r\n{head}connection: close\r\n\r\nbytes");
        let server = ScriptedServer::start(vec![Reply::Raw(raw.into_bytes())]).await;
        let provider = provider(&server.endpoint).await;
        let read = provider.get(&key(), None).await.map(drop).unwrap_err();
        let seen = provider.head(&key()).await.map(drop).unwrap_err();
        for error in [read, seen] {
            assert_eq!(error.retry_class(), RetryClass::Safe, "{head:?}: {}", text(&error));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_another_length_than_promised_is_cut_or_an_error() {
    let longer = "HTTP/1.1 200 OK\r\netag: \"e\"\r\ncontent-length: 4\r\nconnection: close\r\n\r\nsome and more";
    let server = ScriptedServer::start(vec![Reply::Raw(longer.into())]).await;
    let download = provider(&server.endpoint).await.get(&key(), None).await.unwrap();
    assert_eq!((download.length, collect(download.stream).await.unwrap()), (4, "some".into()));

    let shorter = "HTTP/1.1 200 OK\r\netag: \"e\"\r\ncontent-length: 40\r\nconnection: close\r\n\r\nsome";
    let server = ScriptedServer::start(vec![Reply::Raw(shorter.into())]).await;
    let download = provider(&server.endpoint).await.get(&key(), None).await.unwrap();
    assert!(collect(download.stream).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_that_a_server_asks_for_is_kept_or_not_waited_for() {
    let busy =
        |after: &str| Reply::new("503 Slow Down", &[("retry-after", after)], "<Error><Code>SlowDown</Code></Error>");
    let found = Reply::new("200 OK", &[("etag", "\"e\"")], "bytes");
    let server = ScriptedServer::start(vec![busy("1"), found.clone()]).await;
    let start = Instant::now();
    provider(&server.endpoint).await.get(&key(), None).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));

    let year = httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_hours(24 * 365));
    for after in ["3600", &year] {
        let server = ScriptedServer::start(vec![busy(after), found.clone()]).await;
        let error = provider(&server.endpoint).await.get(&key(), None).await.map(drop).unwrap_err();
        assert_eq!(error.retry_class(), RetryClass::Safe, "{}", text(&error));
        assert_eq!(server.heads().len(), 1, "nobody waits an hour");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_transfer_that_moves_outlives_every_time() {
    // 3 s of a body, above the time of an operation and above that without progress.
    let body = vec![b'x'; 1024];
    let mut at_once = b"HTTP/1.1 200 OK\r\netag: \"e\"\r\ncontent-length: 20480\r\n\r\n".to_vec();
    at_once.extend_from_slice(&body);
    let server = ScriptedServer::start(vec![Reply::Drip { at_once, then: &[b'x'; 1024] }]).await;
    let download = provider(&server.endpoint).await.get(&key(), None).await.unwrap();
    assert_eq!(collect(download.stream).await.unwrap().len(), 20 << 10);
}
