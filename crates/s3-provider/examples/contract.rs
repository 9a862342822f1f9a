//! Runs the storage contract against a server: `OBJECT_STORE_S3_ENDPOINT`, `…_BUCKET`, `…_ACCESS_KEY_ID`,
//! `…_SECRET_ACCESS_KEY` and `…_REGION` say which. What it can do is found out first. An
//! argument names a file for the outcome as JSON.

use std::error::Error;

use object_store_s3_provider::{S3Config, S3Credentials, S3Provider};
use object_store_storage::contract::{Outcome, RuleOutcome, run_all};
use object_store_storage::{ObjectStorage, ProbedCapability};
use serde_json::json;

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

    let probed = provider.probe_capabilities().await?;
    for one in &probed {
        println!("{} {}: {}", if one.is_there { "yes" } else { "NO " }, one.capability, one.evidence);
    }
    let capabilities = probed.iter().cloned().collect();
    let outcomes = run_all(&provider, &http_client::HttpClient::new()?, &capabilities).await;
    for outcome in &outcomes {
        println!("{outcome}");
    }
    if let Some(path) = std::env::args_os().nth(1) {
        std::fs::write(path, report(&probed, &outcomes).to_string())?;
    }
    let count = |wanted: fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| wanted(&outcome.outcome)).count();
    let broken = count(|outcome| matches!(outcome, Outcome::Broken(_)));
    let skipped = count(|outcome| matches!(outcome, Outcome::Skipped { .. }));
    println!("{} held, {broken} broken, {skipped} skipped", outcomes.len() - broken - skipped);
    if broken == 0 { Ok(()) } else { Err("the contract is broken".into()) }
}

/// For whoever makes a table of it.
fn report(probed: &[ProbedCapability], outcomes: &[RuleOutcome]) -> serde_json::Value {
    let capabilities: Vec<_> = probed
        .iter()
        .map(|one| {
            json!({
                "name": one.capability.name(),
                "purpose": one.capability.purpose(),
                "without": one.capability.without(),
                "is_there": one.is_there,
                "evidence": one.evidence,
            })
        })
        .collect();
    let rules: Vec<_> = outcomes
        .iter()
        .map(|rule| {
            let outcome = match &rule.outcome {
                Outcome::Held => "held".to_owned(),
                Outcome::Skipped { lacks } => format!("skipped: {lacks}"),
                Outcome::Broken(violation) => format!("broken: {violation:#}"),
            };
            json!({ "name": rule.name, "outcome": outcome })
        })
        .collect();
    json!({ "capabilities": capabilities, "rules": rules })
}
