use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::{Digest, Md5};
use reqwest::Method;
use sha2::Sha256;

use crate::client::{BUCKET, Client, Request, object, started};

fn headers<'a>(headers: &'a [(&'a str, &'a str)]) -> Request<'a> {
    Request { headers, ..Request::default() }
}

#[tokio::test]
async fn an_object_comes_back_with_what_was_stored() {
    let directory = tempfile::tempdir().unwrap();
    let (_server, client) = started(directory.path()).await;
    let stored = [
        ("content-type", "image/png"),
        ("content-disposition", "inline"),
        ("cache-control", "max-age=60"),
        ("x-amz-meta-note", "kept"),
    ];
    let request = Request { body: b"bytes".to_vec(), ..headers(&stored) };
    let put = client.send(Method::PUT, &object("a"), request).await;
    assert_eq!(put.status, 200);
    let etag = format!("\"{}\"", crate::client::hex(&Md5::digest("bytes")));
    assert_eq!(put.header("etag"), Some(etag.as_str()));

    for method in [Method::GET, Method::HEAD] {
        let answer = client.send(method, &object("a"), Request::default()).await;
        assert_eq!(answer.status, 200);
        for (name, value) in stored {
            assert_eq!(answer.header(name), Some(value));
        }
        assert_eq!(answer.header("content-length"), Some("5"));
        assert_eq!(answer.header("etag"), Some(etag.as_str()));
        assert!(answer.header("last-modified").is_some());
    }
    assert_eq!(client.get("a").await.body, b"bytes");

    assert_eq!(client.send(Method::DELETE, &object("a"), Request::default()).await.status, 204);
    assert_eq!(client.send(Method::DELETE, &object("a"), Request::default()).await.status, 204);
    assert_eq!(client.get("a").await.error(), (404, "NoSuchKey".to_owned()));
}

#[tokio::test]
async fn a_signed_get_chooses_its_headers() {
    let directory = tempfile::tempdir().unwrap();
    let (_server, client) = started(directory.path()).await;
    client.put("a", b"bytes").await;
    let disposition = "attachment; filename=\"a \\\"b\\\"  c.png\"; filename*=UTF-8''%F0%9F%8E%B5.png";
    let query = [("response-content-type", "image/webp"), ("response-content-disposition", disposition)];
    let answer = client.send(Method::GET, &object("a"), Request { query: &query, ..Request::default() }).await;
    assert_eq!(answer.header("content-type"), Some("image/webp"));
    assert_eq!(answer.header("content-disposition"), Some(disposition));
}

#[tokio::test]
async fn ranges_and_conditions_of_a_get() {
    let directory = tempfile::tempdir().unwrap();
    let (_server, client) = started(directory.path()).await;
    let etag = client.put("a", b"0123456789").await.header("etag").unwrap().to_owned();
    let get = async |name: &str, value: &str| client.send(Method::GET, &object("a"), headers(&[(name, value)])).await;

    let answer = get("range", "bytes=2-4").await;
    assert_eq!((answer.status, answer.body.as_slice()), (206, &b"234"[..]));
    assert_eq!(answer.header("content-range"), Some("bytes 2-4/10"));
    assert_eq!(get("range", "bytes=8-99").await.body, b"89");
    assert_eq!(get("range", "bytes=7-").await.body, b"789");
    assert_eq!(get("range", "bytes=-2").await.body, b"89");
    assert_eq!(get("range", "bytes=10-").await.error(), (416, "InvalidRange".to_owned()));

    let unchanged = get("if-none-match", &etag).await;
    assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
    assert_eq!(get("if-none-match", "\"other\"").await.status, 200);
    assert_eq!(get("if-match", &etag).await.status, 200);
    assert_eq!(get("if-match", "\"other\"").await.status, 412);
}

#[tokio::test]
async fn a_wrong_digest_stores_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (_server, client) = started(directory.path()).await;
    let md5 = BASE64.encode(Md5::digest("other"));
    let sha256 = BASE64.encode(Sha256::digest("other"));
    for (name, value, code) in [
        ("content-md5", md5.as_str(), "BadDigest"),
        ("content-md5", "nonsense", "InvalidDigest"),
        ("x-amz-checksum-sha256", sha256.as_str(), "BadDigest"),
        ("x-amz-checksum-crc32", "AAAAAA==", "BadDigest"),
    ] {
        let request = Request { body: b"bytes".to_vec(), headers: &[(name, value)], ..Request::default() };
        let answer = client.send(Method::PUT, &object("a"), request).await;
        assert_eq!(answer.error(), (400, code.to_owned()), "{name}: {value}");
        assert_eq!(client.get("a").await.status, 404);
    }
    let right = BASE64.encode(Sha256::digest("bytes"));
    let right = [("x-amz-checksum-sha256", right.as_str())];
    let request = Request { body: b"bytes".to_vec(), ..headers(&right) };
    assert_eq!(client.send(Method::PUT, &object("a"), request).await.status, 200);
    assert_eq!(std::fs::read_dir(directory.path().join("tmp")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_create_only_one_succeeds() {
    let directory = tempfile::tempdir().unwrap();
    let (_server, client) = started(directory.path()).await;
    for round in 0..5 {
        let key = object(&format!("contended-{round}"));
        let attempts = (0..8).map(|number| {
            let request = Request { body: vec![number; 50_000], ..headers(&[("if-none-match", "*")]) };
            client.send(Method::PUT, &key, request)
        });
        let mut statuses: Vec<u16> =
            futures::future::join_all(attempts).await.into_iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412, 412, 412, 412, 412, 412, 412]);
    }
}

#[tokio::test]
async fn a_missing_bucket_stays_missing() {
    let directory = tempfile::tempdir().unwrap();
    let (_server, client) = started(directory.path()).await;
    for (method, path, query) in [
        (Method::PUT, "/absent/a", &[][..]),
        (Method::GET, "/absent/a", &[]),
        (Method::DELETE, "/absent/a", &[]),
        (Method::GET, "/absent", &[("list-type", "2")]),
        (Method::GET, "/absent", &[("uploads", "")]),
        (Method::POST, "/absent/a", &[("uploads", "")]),
        (Method::GET, "/absent", &[("location", "")]),
    ] {
        let answer = client.send(method.clone(), path, Request { query, ..Request::default() }).await;
        assert_eq!(answer.error(), (404, "NoSuchBucket".to_owned()), "{method} {path} {query:?}");
    }
    assert!(!directory.path().join("buckets/absent").exists());
}

#[tokio::test]
async fn buckets_are_made_listed_and_removed() {
    let directory = tempfile::tempdir().unwrap();
    let (_server, client) = started(directory.path()).await;
    let send = async |method: Method, path: &str| client.send(method, path, Request::default()).await;
    assert_eq!(send(Method::PUT, "/media").await.error(), (409, "BucketAlreadyOwnedByYou".to_owned()));
    assert_eq!(send(Method::PUT, "/other").await.status, 200);
    let listed = send(Method::GET, "/").await;
    assert_eq!(listed.all("Name"), ["media", "other"]);
    assert_eq!(listed.one("DisplayName"), "embedded");
    assert_eq!(send(Method::HEAD, "/other").await.status, 200);
    assert_eq!(send(Method::HEAD, "/absent").await.status, 404);

    client.put("a", b"bytes").await;
    assert_eq!(send(Method::DELETE, "/media").await.error(), (409, "BucketNotEmpty".to_owned()));
    assert_eq!(send(Method::DELETE, "/other").await.status, 204);
    assert_eq!(send(Method::HEAD, "/other").await.status, 404);
}

#[tokio::test]
async fn keys_of_every_kind_are_kept_apart() {
    let directory = tempfile::tempdir().unwrap();
    let (_server, client) = started(directory.path()).await;
    let long = "k/".repeat(512);
    let mut keys = ["a", "a/b", "a//b", "a/", "A", "a,b", "a b+c&d=e", "é/画/🎵", "-._~", &long];
    for key in keys {
        assert_eq!(client.put(key, key.as_bytes()).await.status, 200, "{key}");
    }
    for key in keys {
        assert_eq!(client.get(key).await.text(), key);
    }
    keys.sort_unstable();
    let listed: Vec<_> = client.list(&[]).await.iter().map(|key| key.replace("&amp;", "&")).collect();
    assert_eq!(listed, keys);
    assert_eq!(client.put(&format!("{long}x"), b"").await.error(), (400, "KeyTooLongError".to_owned()));
}

#[tokio::test]
async fn listings_have_pages_prefixes_and_starts() {
    let directory = tempfile::tempdir().unwrap();
    let (_server, client) = started(directory.path()).await;
    for key in ["images/1", "images/2", "images2/1", "a", "z"] {
        client.put(key, b"x").await;
    }
    assert_eq!(client.list(&[("prefix", "images/")]).await, ["images/1", "images/2"]);
    assert_eq!(client.list(&[("start-after", "images/1")]).await, ["images/2", "images2/1", "z"]);
    assert_eq!(client.list(&[("start-after", "b"), ("max-keys", "1")]).await, ["images/1"]);
    assert_eq!(client.list(&[("delimiter", "/")]).await, ["a", "z"]);

    let (mut token, mut all) = (None::<String>, Vec::new());
    loop {
        let mut query = vec![("list-type", "2"), ("max-keys", "2")];
        query.extend(token.as_deref().map(|token| ("continuation-token", token)));
        let answer =
            client.send(Method::GET, &format!("/{BUCKET}"), Request { query: &query, ..Request::default() }).await;
        all.extend(answer.all("Key"));
        token = answer.all("NextContinuationToken").pop();
        assert_eq!(answer.one("IsTruncated"), token.is_some().to_string());
        if token.is_none() {
            break;
        }
    }
    assert_eq!(all, ["a", "images/1", "images/2", "images2/1", "z"]);

    let request = Request { query: &[("marker", "a")], ..Request::default() };
    let first_version = client.send(Method::GET, &format!("/{BUCKET}"), request).await;
    assert_eq!(first_version.all("Key"), ["images/1", "images/2", "images2/1", "z"]);
}

#[tokio::test]
async fn a_copy_keeps_or_replaces_its_headers() {
    let directory = tempfile::tempdir().unwrap();
    let (_server, client) = started(directory.path()).await;
    let request = Request { body: b"bytes".to_vec(), ..headers(&[("content-type", "image/png")]) };
    let etag = client.send(Method::PUT, &object("a"), request).await.header("etag").unwrap().to_owned();
    let copy = async |to: &str, more: &[(&str, &str)]| {
        let headers = [&[("x-amz-copy-source", "/media/a")], more].concat();
        client.send(Method::PUT, &object(to), Request { headers: &headers, ..Request::default() }).await
    };

    assert_eq!(copy("b", &[("x-amz-copy-source-if-match", &etag)]).await.status, 200);
    assert_eq!(client.get("b").await.header("content-type"), Some("image/png"));
    let replaced = [("x-amz-metadata-directive", "REPLACE"), ("content-type", "image/gif")];
    assert_eq!(copy("a", &replaced).await.status, 200);
    let answer = client.get("a").await;
    assert_eq!((answer.header("content-type"), answer.body.as_slice()), (Some("image/gif"), &b"bytes"[..]));
    assert_eq!(copy("c", &[("x-amz-copy-source-if-match", "\"other\"")]).await.status, 412);
    assert_eq!(client.get("c").await.status, 404);
}

#[tokio::test]
async fn a_form_is_held_to_its_policy() {
    let directory = tempfile::tempdir().unwrap();
    let (_server, client) = started(directory.path()).await;
    let range = r#"["content-length-range",2,10]"#;
    let form = client.form("a", "image/png", range);
    for (size, status) in [(1, 400), (11, 400), (0, 400), (2, 204), (10, 204)] {
        let answer = client.post(&form, &vec![b'x'; size]).await;
        assert_eq!(answer.status, status, "{size}: {}", answer.text());
        assert_eq!(client.get("a").await.status == 200, status == 204, "{size}");
    }
    assert_eq!(client.get("a").await.header("content-type"), Some("image/png"));

    let mut other_key = form.clone();
    other_key[0].1 = "b".to_owned();
    assert_eq!(client.post(&other_key, b"xxx").await.status, 400);
    assert_eq!(client.get("b").await.status, 404);
    let stranger = Client::new(&client.endpoint, crate::client::ACCESS_KEY, "another-secret");
    assert_eq!(client.post(&stranger.form("a", "image/png", range), b"xxx").await.status, 403);
}
