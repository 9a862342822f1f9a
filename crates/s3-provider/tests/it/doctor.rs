//! The doctor names what is wrong, and nothing else.

use std::time::{Duration, SystemTime};

use object_store_embedded_s3::{Embedded, connect_or_start};
use object_store_s3_provider::{S3Config, S3Credentials, S3Provider};
use object_store_storage::{Check, CheckStatus, CheckupOptions, Fix, ObjectStorage, Origin};
use tempfile::TempDir;

use crate::failures::text;
use crate::hostile::raw_server;
use crate::scripted_server::{Reply, ScriptedServer};

fn config(embedded: &Embedded) -> S3Config {
    let credentials = S3Credentials::Static {
        access_key_id: embedded.access_key_id.clone(),
        secret_access_key: embedded.secret_access_key.clone(),
        session_token: None,
    };
    let config = S3Config::new(Some(embedded.endpoint.clone()), embedded.region.clone(), "checked", credentials);
    S3Config { connect_timeout: Duration::from_secs(2), operation_timeout: Duration::from_secs(5), ..config }
}

async fn look(config: S3Config) -> Vec<Check> {
    let provider = S3Provider::connect(config).await.unwrap();
    let options = CheckupOptions { origins: vec![Origin::parse("https://app.example.org").unwrap()] };
    provider.check_up(&options).await
}

fn errors(checks: &[Check]) -> Vec<&'static str> {
    checks.iter().filter(|check| check.status == CheckStatus::Error).map(|check| check.name).collect()
}

/// That one thing is wrong, what was found, and that something is to be done; what hangs on it is not called wrong.
fn assert_wrong(checks: &[Check], name: &str, found: &str) {
    assert_eq!(errors(checks), [name], "{checks:#?}");
    let check = checks.iter().find(|check| check.name == name).unwrap();
    assert!(check.found.contains(found), "{check:?}");
    assert!(check.advice.as_ref().is_some_and(|advice| advice.len() > 20), "{check:?}");
    let told = format!("{checks:?}");
    assert!(!told.contains("wrong-secret") && !told.contains("X-Amz-Signature"), "{told}");
}

async fn embedded() -> (TempDir, Embedded) {
    let directory = TempDir::new().unwrap();
    let embedded = connect_or_start(directory.path()).await.unwrap();
    S3Provider::connect(config(&embedded)).await.unwrap().ensure_bucket().await.unwrap();
    (directory, embedded)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_server_is_well_and_nothing_is_left_there() {
    let (_directory, embedded) = embedded().await;
    let checks = look(config(&embedded)).await;
    assert_eq!(errors(&checks), [""; 0], "{checks:#?}");
    for name in ["endpoint", "tls", "clock", "credentials", "region", "bucket", "read_write", "cors", "public_endpoint"]
    {
        assert!(
            checks.iter().any(|check| check.name == name && check.status == CheckStatus::Ok),
            "{name}: {checks:#?}"
        );
    }
    let provider = S3Provider::connect(config(&embedded)).await.unwrap();
    assert!(provider.list_page("", None, 10).await.unwrap().objects.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_endpoint_is_named() {
    let (_directory, embedded) = embedded().await;
    let at = |endpoint: &str| S3Config { endpoint: Some(endpoint.to_owned()), ..config(&embedded) };
    assert_wrong(&look(at("http://127.0.0.1:1")).await, "endpoint", "no connection to http://127.0.0.1:1");
    let page = ScriptedServer::start(vec![Reply::new("200 OK", &[], "<html><body>Welcome</body></html>")]).await;
    assert_wrong(&look(at(&page.endpoint)).await, "endpoint", "not S3");
    let garbage = raw_server(|connection| async move {
        let _ = connection.readable().await;
        let _ = connection.try_write(b"SSH-2.0-OpenSSH_9.2\r\n");
    });
    let garbage = format!("http://127.0.0.1:{}", garbage.await);
    assert_wrong(&look(at(&garbage)).await, "endpoint", &garbage);
    let no_tls = embedded.endpoint.replace("http:", "https:");
    let checks = look(at(&no_tls)).await;
    assert!(errors(&checks) == ["tls"] || errors(&checks) == ["endpoint"], "{checks:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_named() {
    let (_directory, embedded) = embedded().await;
    let with = |id: &str| {
        let credentials = S3Credentials::Static {
            access_key_id: id.to_owned(),
            secret_access_key: "wrong-secret".to_owned(),
            session_token: None,
        };
        S3Config { credentials, ..config(&embedded) }
    };
    assert_wrong(&look(with(&embedded.access_key_id)).await, "credentials", "SignatureDoesNotMatch");
    let unknown = look(with("nobody")).await;
    assert_eq!(errors(&unknown), ["credentials"], "{unknown:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_bucket_is_named() {
    let (_directory, embedded) = embedded().await;
    let config = S3Config { bucket: "no-such-bucket".to_owned(), ..config(&embedded) };
    assert_wrong(&look(config).await, "bucket", "there is no bucket no-such-bucket");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_public_endpoint_is_named() {
    let (_directory, embedded) = embedded().await;
    let by = |public: &str| S3Config { public_endpoint: Some(public.to_owned()), ..config(&embedded) };
    assert_wrong(&look(by("http://127.0.0.1:1")).await, "public_endpoint", "http://127.0.0.1:1");
    let page = ScriptedServer::start(vec![Reply::new("404 Not Found", &[], "<html></html>")]).await;
    assert_wrong(&look(by(&page.endpoint)).await, "public_endpoint", "404");
    let told = Reply::error("403 Forbidden", "SignatureDoesNotMatch");
    let proxy = ScriptedServer::start(vec![told]).await;
    assert_wrong(&look(by(&proxy.endpoint)).await, "public_endpoint", "SignatureDoesNotMatch");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_skewed_clock_and_a_wrong_region_are_named() {
    let (_directory, embedded) = embedded().await;
    let at = |endpoint: &str| S3Config { endpoint: Some(endpoint.to_owned()), ..config(&embedded) };
    let body = "<Error><Code>RequestTimeTooSkewed</Code></Error>";
    let date = httpdate::fmt_http_date(SystemTime::now() - Duration::from_hours(1));
    let late = ScriptedServer::start(vec![Reply::new("403 Forbidden", &[("date", &date)], body)]).await;
    assert_wrong(&look(at(&late.endpoint)).await, "clock", "behind ours");
    let silent = ScriptedServer::start(vec![Reply::new("403 Forbidden", &[], body)]).await;
    let checks = look(at(&silent.endpoint)).await;
    assert_eq!(errors(&checks), ["clock"], "{checks:#?}");

    let body = "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>";
    let elsewhere = ScriptedServer::start(vec![Reply::new("400 Bad Request", &[], body)]).await;
    assert_wrong(&look(at(&elsewhere.endpoint)).await, "region", "eu-west-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_added_to_those_that_are_there() {
    let (_directory, embedded) = embedded().await;
    let there =
        "<CORSConfiguration><CORSRule><AllowedOrigin>https://old</AllowedOrigin></CORSRule></CORSConfiguration>";
    let server = ScriptedServer::start(vec![Reply::new("200 OK", &[], there)]).await;
    let provider =
        S3Provider::connect(S3Config { endpoint: Some(server.endpoint.clone()), ..config(&embedded) }).await.unwrap();
    let origin = Origin::parse("https://app.example.org").unwrap();
    provider.apply_fix(&Fix::AllowOrigins(vec![origin])).await.unwrap();
    let heads = server.heads();
    assert!(heads[0].starts_with("get /checked/?cors") && heads[1].starts_with("put /checked/?cors"), "{heads:?}");
    assert!(heads[1].contains("content-md5: ") && heads[1].contains("content-type: application/xml"), "{heads:?}");

    // A server without such settings is not written to.
    let listing = ScriptedServer::start(vec![Reply::new("200 OK", &[], "<ListBucketResult/>")]).await;
    let provider =
        S3Provider::connect(S3Config { endpoint: Some(listing.endpoint.clone()), ..config(&embedded) }).await.unwrap();
    let error = provider.apply_fix(&Fix::AbortOldUploads { days: 7 }).await.unwrap_err();
    assert_eq!(error.code(), "unsupported", "{}", text(&error));
    assert_eq!(listing.heads().len(), 1);
}
