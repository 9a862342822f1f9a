use reqwest::Method;

use crate::client::{Answer, BUCKET, Client, Request, object, started};

const MIB: usize = 1024 * 1024;

async fn begin(client: &Client, key: &str) -> String {
    let headers = [("content-type", "audio/wav")];
    let request = Request { query: &[("uploads", "")], headers: &headers, ..Request::default() };
    client.send(Method::POST, &object(key), request).await.one("UploadId")
}

async fn put_part(client: &Client, key: &str, id: &str, number: usize, body: Vec<u8>) -> Answer {
    let number = number.to_string();
    let query = [("partNumber", number.as_str()), ("uploadId", id)];
    client.send(Method::PUT, &object(key), Request { query: &query, body, ..Request::default() }).await
}

async fn complete(client: &Client, key: &str, id: &str, parts: &[(usize, &str)], headers: &[(&str, &str)]) -> Answer {
    let parts = parts
        .iter()
        .map(|(number, etag)| format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"))
        .collect::<Vec<_>>()
        .concat();
    let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>").into_bytes();
    client.send(Method::POST, &object(key), Request { query: &[("uploadId", id)], headers, body }).await
}

async fn uploads(client: &Client, query: &[(&str, &str)]) -> Answer {
    let query = [&[("uploads", "")], query].concat();
    client.send(Method::GET, &format!("/{BUCKET}"), Request { query: &query, ..Request::default() }).await
}

async fn abort(client: &Client, key: &str, id: &str) -> Answer {
    client.send(Method::DELETE, &object(key), Request { query: &[("uploadId", id)], ..Request::default() }).await
}

#[tokio::test]
async fn parts_in_any_order_become_one_object() {
    let directory = tempfile::tempdir().unwrap();
    let (_server, client) = started(directory.path()).await;
    let key = "k".repeat(200);
    let id = begin(&client, &key).await;
    let second = put_part(&client, &key, &id, 2, vec![2; 10]).await.header("etag").unwrap().to_owned();
    put_part(&client, &key, &id, 1, vec![9; 10]).await;
    let first = put_part(&client, &key, &id, 1, vec![1; 5 * MIB]).await.header("etag").unwrap().to_owned();

    assert!(client.list(&[]).await.is_empty(), "what is under way is no object");
    assert_eq!(uploads(&client, &[]).await.all("UploadId"), [id.as_str()]);
    let request = Request { query: &[("uploadId", &id)], ..Request::default() };
    let parts = client.send(Method::GET, &object(&key), request).await;
    assert_eq!(
        (parts.all("PartNumber"), parts.all("Size")),
        (vec!["1".into(), "2".into()], vec!["5242880".into(), "10".into()])
    );

    let completed = complete(&client, &key, &id, &[(1, &first), (2, &second)], &[]).await;
    assert_eq!(completed.status, 200, "{}", completed.text());
    assert!(completed.one("ETag").contains("-2"));
    let answer = client.get(&key).await;
    assert!(answer.body == [vec![1; 5 * MIB], vec![2; 10]].concat());
    assert_eq!(answer.header("content-type"), Some("audio/wav"));
    assert!(uploads(&client, &[]).await.all("UploadId").is_empty());
    assert_eq!(complete(&client, &key, &id, &[(1, &first)], &[]).await.error(), (404, "NoSuchUpload".to_owned()));
}

#[tokio::test]
async fn a_wrong_completion_is_refused_and_can_be_mended() {
    let directory = tempfile::tempdir().unwrap();
    let (_server, client) = started(directory.path()).await;
    let id = begin(&client, "a").await;
    let first = put_part(&client, "a", &id, 1, vec![1; 10]).await.header("etag").unwrap().to_owned();
    let second = put_part(&client, "a", &id, 2, vec![2; 10]).await.header("etag").unwrap().to_owned();
    for (parts, code) in [
        (&[(1, first.as_str()), (2, second.as_str())][..], "EntityTooSmall"),
        (&[(2, &second), (1, &first)], "InvalidPartOrder"),
        (&[(1, &second)], "InvalidPart"),
        (&[(3, &first)], "InvalidPart"),
        (&[], "MalformedXML"),
    ] {
        assert_eq!(complete(&client, "a", &id, parts, &[]).await.error(), (400, code.to_owned()));
        assert_eq!(client.get("a").await.status, 404);
    }
    assert_eq!(put_part(&client, "a", &id, 10_001, vec![]).await.error(), (400, "InvalidArgument".to_owned()));
    assert_eq!(complete(&client, "a", &id, &[(1, &first)], &[]).await.status, 200);
}

#[tokio::test]
async fn a_conditional_completion_does_not_replace() {
    let directory = tempfile::tempdir().unwrap();
    let (_server, client) = started(directory.path()).await;
    let id = begin(&client, "a").await;
    let etag = put_part(&client, "a", &id, 1, vec![1; 10]).await.header("etag").unwrap().to_owned();
    client.put("a", b"was first").await;
    let completed = complete(&client, "a", &id, &[(1, &etag)], &[("if-none-match", "*")]).await;
    assert_eq!(completed.error(), (412, "PreconditionFailed".to_owned()));
    assert_eq!(client.get("a").await.body, b"was first");
}

#[tokio::test]
async fn an_aborted_upload_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let (_server, client) = started(directory.path()).await;
    let id = begin(&client, "a").await;
    put_part(&client, "a", &id, 1, vec![1; 10]).await;
    assert_eq!(abort(&client, "b", &id).await.error(), (404, "NoSuchUpload".to_owned()), "not this key's");
    assert_eq!(abort(&client, "a", &id).await.status, 204);
    assert_eq!(abort(&client, "a", &id).await.error(), (404, "NoSuchUpload".to_owned()));
    assert_eq!(put_part(&client, "a", &id, 2, vec![1]).await.error(), (404, "NoSuchUpload".to_owned()));
    for bad in ["..", "../../buckets/media", "x", &"A".repeat(32)] {
        assert_eq!(abort(&client, "a", bad).await.error(), (404, "NoSuchUpload".to_owned()), "{bad}");
    }
    assert_eq!(std::fs::read_dir(directory.path().join("tmp")).unwrap().count(), 0);
}

#[tokio::test]
async fn uploads_are_listed_over_pages_and_by_prefix() {
    let directory = tempfile::tempdir().unwrap();
    let (_server, client) = started(directory.path()).await;
    for key in ["images/1", "images/1", "images/2", "other"] {
        begin(&client, key).await;
    }
    assert_eq!(uploads(&client, &[("prefix", "images/")]).await.all("Key"), ["images/1", "images/1", "images/2"]);
    let (mut keys, mut marker) = (Vec::new(), None::<(String, String)>);
    loop {
        let mut query = vec![("max-uploads", "1")];
        if let Some((key, id)) = &marker {
            query.extend([("key-marker", key.as_str()), ("upload-id-marker", id.as_str())]);
        }
        let page = uploads(&client, &query).await;
        keys.extend(page.all("Key"));
        if page.one("IsTruncated") == "false" {
            break;
        }
        marker = Some((page.one("NextKeyMarker"), page.one("NextUploadIdMarker")));
    }
    assert_eq!(keys, ["images/1", "images/1", "images/2", "other"]);
}
