use std::net::TcpListener;

use chrono::{TimeDelta, Utc};
use object_store_embedded_s3::{EmbeddedS3, EmbeddedS3Config, EmbeddedS3Error};
use reqwest::Method;

use crate::client::{ACCESS_KEY, BUCKET, Client, Request, SECRET, config, object, started};

#[tokio::test]
async fn objects_outlive_the_server() {
    let directory = tempfile::tempdir().unwrap();
    let (server, client) = started(directory.path()).await;
    client.put("a", b"bytes").await;
    let address = server.address();
    server.shutdown().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody listens any more");

    let again = EmbeddedS3::start(EmbeddedS3Config { bind: address, ..config(directory.path()) }).await.unwrap();
    assert_eq!(again.address(), address);
    assert_eq!(client.get("a").await.body, b"bytes");
}

#[tokio::test]
async fn dropping_a_server_stops_it() {
    let directory = tempfile::tempdir().unwrap();
    let (server, client) = started(directory.path()).await;
    client.put("a", b"bytes").await;
    let address = server.address();
    drop(server);
    let gone = async {
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(5), gone).await.unwrap();
}

#[tokio::test]
async fn a_directory_has_one_server() {
    let directory = tempfile::tempdir().unwrap();
    let (server, _client) = started(directory.path()).await;
    let second = EmbeddedS3::start(config(directory.path())).await;
    assert!(matches!(second, Err(EmbeddedS3Error::InUse { .. })), "{second:?}");
    server.shutdown().await;
    EmbeddedS3::start(config(directory.path())).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_used_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let result = EmbeddedS3::start(config(&file.join("below"))).await;
    assert!(matches!(result, Err(EmbeddedS3Error::Directory { .. })), "{result:?}");

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = taken.local_addr().unwrap();
    let result = EmbeddedS3::start(EmbeddedS3Config { bind, ..config(directory.path()) }).await;
    assert!(matches!(result, Err(EmbeddedS3Error::Bind { address, .. }) if address == bind), "{result:?}");

    let empty = EmbeddedS3Config { secret_access_key: String::new(), ..config(directory.path()) };
    let result = EmbeddedS3::start(empty).await;
    assert!(matches!(result, Err(EmbeddedS3Error::EmptyCredentials)), "{result:?}");
}

#[tokio::test]
async fn only_rightly_signed_requests_are_served() {
    let directory = tempfile::tempdir().unwrap();
    let (_server, client) = started(directory.path()).await;
    client.put("a", b"bytes").await;
    let status = async |method: Method, url: &str| client.send_url(method, url, &[], b"x".to_vec()).await.status;
    let plain = format!("{}{}", client.endpoint, object("a"));
    for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE] {
        assert_eq!(status(method, &plain).await, 403);
    }
    assert_eq!(status(Method::GET, &format!("{}/{BUCKET}", client.endpoint)).await, 403);

    let signed = client.sign("GET", &object("a"), &[], &[], 60);
    assert_eq!(status(Method::GET, &signed).await, 200);
    assert_eq!(status(Method::PUT, &signed).await, 403);
    assert_eq!(status(Method::GET, &signed.replace("/a?", "/b?")).await, 403);
    let (start, last) = signed.split_at(signed.len() - 1);
    let other = if last == "0" { "1" } else { "0" };
    assert_eq!(status(Method::GET, &format!("{start}{other}")).await, 403);
    assert_eq!(status(Method::GET, &format!("{signed}0")).await, 400);
    assert_eq!(status(Method::GET, &format!("{signed}&response-content-type=text/html")).await, 403);
    let expired = client.sign_at(Utc::now() - TimeDelta::seconds(120), "GET", &object("a"), &[], &[], 60);
    assert_eq!(status(Method::GET, &expired).await, 403);
    for stranger in [Client::new(&client.endpoint, ACCESS_KEY, "x"), Client::new(&client.endpoint, "NOBODY", SECRET)] {
        assert_eq!(stranger.get("a").await.status, 403);
    }
    assert_eq!(client.get("a").await.body, b"bytes");
}

#[tokio::test]
async fn a_put_is_held_to_its_signed_headers() {
    let directory = tempfile::tempdir().unwrap();
    let (_server, client) = started(directory.path()).await;
    let signed = client.sign("PUT", &object("a"), &[], &[("content-type", "image/png"), ("content-length", "5")], 60);
    let put = async |content_type: &str, body: &str| {
        client.send_url(Method::PUT, &signed, &[("content-type", content_type)], body.into()).await.status
    };
    assert_eq!(put("text/html", "bytes").await, 403);
    assert_eq!(put("image/png", "more bytes").await, 403);
    assert_eq!(client.get("a").await.status, 404);
    assert_eq!(put("image/png", "bytes").await, 200);
}

#[tokio::test]
async fn pages_of_any_origin_may_use_signed_urls() {
    let directory = tempfile::tempdir().unwrap();
    let (_server, client) = started(directory.path()).await;
    client.put("a", b"bytes").await;
    let asked = [
        ("origin", "http://localhost:5173"),
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", "content-type,content-md5"),
    ];
    let url = client.sign("GET", &object("a"), &[], &[], 60);
    let preflight = client.send_url(Method::OPTIONS, &url, &asked, Vec::new()).await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-origin"), Some("*"));
    assert_eq!(preflight.header("access-control-allow-methods"), Some("GET, HEAD, PUT, POST"));
    assert_eq!(preflight.header("access-control-allow-headers"), Some("content-type,content-md5"));

    for url in [url, format!("{}{}", client.endpoint, object("a"))] {
        let answer = client.send_url(Method::GET, &url, &[("origin", "http://localhost:5173")], Vec::new()).await;
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{}", answer.status);
        assert!(answer.header("access-control-expose-headers").unwrap().contains("ETag"));
    }
}

#[tokio::test]
async fn requests_under_way_end_well_at_shutdown() {
    let directory = tempfile::tempdir().unwrap();
    let (server, client) = started(directory.path()).await;
    client.put("a", &vec![7; 20_000_000]).await;
    let response = reqwest::get(client.sign("GET", &object("a"), &[], &[], 60)).await.unwrap();
    let (body, ()) = tokio::join!(response.bytes(), server.shutdown());
    assert_eq!(body.unwrap().len(), 20_000_000);
}

#[test]
fn debug_shows_no_secret() {
    let text = format!("{:?}", config(std::path::Path::new("x")));
    assert!(text.contains(ACCESS_KEY) && !text.contains(SECRET), "{text}");
}

#[tokio::test]
async fn a_strange_request_gets_an_answer_or_an_end() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let directory = tempfile::tempdir().unwrap();
    let (server, client) = started(directory.path()).await;
    for bytes in [
        "\0\0\0\0\r\n\r\n",
        "GET\r\n\r\n",
        "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
        "PUT /media/../../x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx",
    ] {
        let mut stream = tokio::net::TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let mut first = [0; 12];
        if stream.read_exact(&mut first).await.is_ok() {
            assert_eq!(&first[..10], b"HTTP/1.1 4", "{bytes:?}");
        }
    }
    assert_eq!(client.send(Method::HEAD, &format!("/{BUCKET}"), Request::default()).await.status, 200);
}
