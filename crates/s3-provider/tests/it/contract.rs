use std::time::Duration;

use object_store_embedded_s3::{Embedded, connect_or_start};
use object_store_s3_provider::{S3Config, S3Credentials, S3Provider};
use object_store_storage::contract::{Capabilities, run_all};
use object_store_storage::{Capability, CopyOptions, ObjectKey, ObjectStorage, PresignPost, StorageError};
use tempfile::TempDir;

use crate::failures;
use crate::http_client::HttpClient;
use crate::scripted_server::{Reply, ScriptedServer};

fn config(embedded: &Embedded, prefix: &str) -> S3Config {
    let credentials = S3Credentials::Static {
        access_key_id: embedded.access_key_id.clone(),
        secret_access_key: embedded.secret_access_key.clone(),
        session_token: None,
    };
    let endpoint = Some(embedded.endpoint.clone());
    S3Config { prefix: prefix.to_owned(), ..S3Config::new(endpoint, embedded.region.clone(), "contract", credentials) }
}

async fn assert_keeps_the_contract(prefix: &str) {
    let directory = TempDir::new().unwrap();
    let embedded = connect_or_start(directory.path()).await.unwrap();
    let provider = S3Provider::connect(config(&embedded, prefix)).await.unwrap();
    provider.ensure_bucket().await.unwrap();
    let outcomes = run_all(&provider, &HttpClient::new().unwrap(), &Capabilities::ALL).await;
    let broken: Vec<_> = outcomes.iter().filter(|outcome| outcome.violation().is_some()).collect();
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(outcomes.len() > 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_embedded_server_can_do_is_found_and_nothing_is_left() {
    let directory = TempDir::new().unwrap();
    let embedded = connect_or_start(directory.path()).await.unwrap();
    for prefix in ["", "some/where/"] {
        // Clients know another host, which cannot be reached from here.
        let public_endpoint = Some("http://127.0.0.1:1".to_owned());
        let config = S3Config { public_endpoint, ..config(&embedded, prefix) };
        let provider = S3Provider::connect(config).await.unwrap();
        provider.ensure_bucket().await.unwrap();
        let probed = provider.probe_capabilities().await.unwrap();
        assert_eq!(probed.iter().map(|one| one.capability).collect::<Vec<_>>(), Capability::ALL);
        let lacking: Vec<_> = probed.iter().filter(|one| !one.is_there).collect();
        assert!(lacking.is_empty(), "{lacking:#?}");
        assert!(provider.list_page("", None, 10).await.unwrap().objects.is_empty());
        assert!(provider.list_multipart_uploads("", None).await.unwrap().uploads.is_empty());
    }
}

/// What a server says to each request of a probe that can do nothing of it, or checks nothing.
fn careless(head: &str) -> Reply {
    let etag = [("etag", "\"e\"")];
    match head {
        _ if head.starts_with("post") && head.contains("?uploads") => Reply::new(
            "200 OK",
            &[],
            "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>",
        ),
        _ if head.starts_with("post") && !head.contains('?') => {
            Reply::error("405 Method Not Allowed", "MethodNotAllowed")
        }
        _ if head.starts_with("post") && head.contains("?uploadid") => {
            Reply::new("200 OK", &[], "<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>")
        }
        // Whatever is asked for, these are the parts.
        _ if head.starts_with("get") && head.contains("max-parts") => {
            let part = "<Part><PartNumber>1</PartNumber><ETag>e</ETag><Size>5</Size></Part>";
            Reply::new("200 OK", &[], &format!("<ListPartsResult>{part}</ListPartsResult>"))
        }
        _ if head.starts_with("put") && head.contains("partnumber=10000") => {
            Reply::error("400 Bad Request", "InvalidArgument")
        }
        _ if head.starts_with("get") && head.contains("max-uploads") => {
            Reply::new("200 OK", &[], "<ListMultipartUploadsResult></ListMultipartUploadsResult>")
        }
        _ if head.starts_with("put") && head.contains("x-amz-copy-source") => {
            Reply::new("200 OK", &[], "<CopyObjectResult><ETag>e</ETag></CopyObjectResult>")
        }
        _ if head.starts_with("delete") => Reply::new("204 No Content", &[], ""),
        _ => Reply::new("200 OK", &etag, if head.starts_with("get") { "probe" } else { "" }),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_lacks_is_found_with_its_answer_and_is_not_asked_for_any_more() {
    let server = ScriptedServer::answering(careless).await;
    let provider = failures::provider(&server.endpoint).await;
    let probed = provider.probe_capabilities().await.unwrap();
    for one in &probed {
        assert!(
            !one.is_there && one.evidence.contains(|character: char| character.is_ascii_digit() || character == '['),
            "{one:?}"
        );
    }
    let asked = server.heads().len();
    let form = PresignPost {
        expires_in: Duration::from_mins(1),
        content_type: "image/png".to_owned(),
        min_bytes: 1,
        max_bytes: 9,
    };
    let copy = CopyOptions { content_type: "image/png".to_owned(), if_match: Some("e".to_owned()) };
    let (key, to) = (failures::key(), ObjectKey::parse("image/a/c").unwrap());
    for refused in [provider.presign_post(&key, &form).await.map(drop), provider.copy(&key, &to, &copy).await.map(drop)]
    {
        assert!(matches!(refused, Err(StorageError::Unsupported { .. })), "{refused:?}");
    }
    assert_eq!(server.heads().len(), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_guessed_about_a_server_that_is_broken() {
    let server = ScriptedServer::answering(|head| {
        let is_put = head.starts_with("put") && !head.contains("x-amz-copy-source");
        if is_put || head.starts_with("get") { careless(head) } else { Reply::error("503 Slow Down", "SlowDown") }
    })
    .await;
    let provider = failures::provider(&server.endpoint).await;
    let error = provider.probe_capabilities().await.unwrap_err();
    assert_eq!(error.code(), "unavailable", "{error:?}");
    assert!(
        provider
            .presign_post(
                &failures::key(),
                &PresignPost {
                    expires_in: Duration::from_mins(1),
                    content_type: "image/png".to_owned(),
                    min_bytes: 1,
                    max_bytes: 9,
                }
            )
            .await
            .is_ok()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_is_kept_on_the_embedded_server() {
    assert_keeps_the_contract("").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_is_kept_below_a_prefix() {
    assert_keeps_the_contract("some/where/").await;
}
