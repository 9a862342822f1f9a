//! Runs the storage contract against a server: `OBJECT_STORE_S3_ENDPOINT`, `…_BUCKET`, `…_ACCESS_KEY_ID`,
//! `…_SECRET_ACCESS_KEY` and `…_REGION` say which. Arguments name what the server is known to lack:
//! `verifies_signatures`, `post_policy`, `copy_condition`, `digest_of_signed_put`.

use std::error::Error;

use object_store_s3_provider::{S3Config, S3Credentials, S3Provider};
use object_store_storage::ObjectStorage;
use object_store_storage::contract::{Capabilities, Outcome, run_all};

#[path = "../tests/it/http_client.rs"]
mod http_client;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let setting = |name: &str| std::env::var(format!("OBJECT_STORE_S3_{name}"));
    let credentials = S3Credentials::Static {
        access_key_id: setting("ACCESS_KEY_ID")?,
        secret_access_key: setting("SECRET_ACCESS_KEY")?,
        session_token: setting("SESSION_TOKEN").ok(),
    };
    let region = setting("REGION").unwrap_or_else(|_| "us-east-1".to_owned());
    let provider =
        S3Provider::connect(S3Config::new(setting("ENDPOINT").ok(), region, setting("BUCKET")?, credentials)).await?;
    provider.ensure_bucket().await?;

    let outcomes = run_all(&provider, &http_client::HttpClient::new()?, &capabilities()?).await;
    for outcome in &outcomes {
        println!("{outcome}");
    }
    let count = |wanted: fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| wanted(&outcome.outcome)).count();
    let broken = count(|outcome| matches!(outcome, Outcome::Broken(_)));
    let skipped = count(|outcome| matches!(outcome, Outcome::Skipped { .. }));
    println!("{} held, {broken} broken, {skipped} skipped", outcomes.len() - broken - skipped);
    if broken == 0 { Ok(()) } else { Err("the contract is broken".into()) }
}

fn capabilities() -> Result<Capabilities, Box<dyn Error>> {
    let mut capabilities = Capabilities::ALL;
    for lacking in std::env::args().skip(1) {
        match lacking.as_str() {
            "verifies_signatures" => capabilities.verifies_signatures = false,
            "post_policy" => capabilities.post_policy = false,
            "copy_condition" => capabilities.copy_condition = false,
            "digest_of_signed_put" => capabilities.digest_of_signed_put = false,
            other => return Err(format!("{other} is no capability of the contract").into()),
        }
    }
    Ok(capabilities)
}
