use object_store_embedded_s3::{Embedded, connect_or_start};
use object_store_s3_provider::{S3Config, S3Credentials, S3Provider};
use object_store_storage::ObjectStorage;
use object_store_storage::contract::{Capabilities, run_all};
use tempfile::TempDir;

use crate::http_client::HttpClient;

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
async fn the_contract_is_kept_on_the_embedded_server() {
    assert_keeps_the_contract("").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_is_kept_below_a_prefix() {
    assert_keeps_the_contract("some/where/").await;
}
