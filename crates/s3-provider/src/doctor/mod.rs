//! Looks for what is set up wrongly, from the connection up: what hangs on something that fails is not asked for.

mod access;
mod cors;
mod endpoint;
mod lifecycle;
mod public_endpoint;
mod server;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use object_store_storage::{Capability, Check, CheckStatus, CheckupOptions, Fix, StorageError, StorageResult};
use tokio::time::timeout;

use crate::client::Client;
use crate::presign::Presigner;

/// How long one thing may take to look at. Requests that fail in a way that may pass are tried again within it.
const TIME: Duration = Duration::from_secs(20);

/// Everything that can be looked at, in the order in which one hangs on the other.
const NAMES: [&str; 9] =
    ["endpoint", "tls", "clock", "credentials", "region", "bucket", "multipart_cleanup", "public_endpoint", "cors"];

pub(crate) async fn check_up(client: &Arc<Client>, presigner: &Presigner, options: &CheckupOptions) -> Vec<Check> {
    let mut checks = endpoint::look(client).await;
    if is_well(&checks) {
        let access = access::look(client).await;
        // A signed answer tells more of the endpoint and the clock than the one before.
        checks.retain(|check| access.iter().all(|better| better.name != check.name));
        checks.extend(access);
    }
    if is_well(&checks) {
        checks.extend(server::look(client).await);
    }
    if is_well(&checks) {
        checks.push(bounded("multipart_cleanup", lifecycle::look(client)).await);
        checks.push(bounded("public_endpoint", public_endpoint::look(client, presigner)).await);
    }
    // Pages ask the server that signed URLs name.
    if is_well(&checks) {
        checks.extend(cors::look(client, presigner, &options.origins).await);
    }
    let broken = checks.iter().find(|check| check.status == CheckStatus::Error).map(|check| check.name);
    for name in NAMES {
        if !checks.iter().any(|check| check.name == name) {
            checks.push(Check::skipped(name, format!("hangs on {}", broken.unwrap_or("what is above"))));
        }
    }
    checks
}

/// Changes the bucket's settings, and keeps what is there.
pub(crate) async fn apply(client: &Client, fix: &Fix) -> StorageResult<()> {
    match fix {
        Fix::AllowOrigins(origins) => cors::allow(client, origins).await,
        Fix::AbortOldUploads { days } => lifecycle::abort_old_uploads(client, *days).await,
    }
}

fn is_well(checks: &[Check]) -> bool {
    // A server that checks no signatures can be asked for the rest.
    checks.iter().all(|check| check.status != CheckStatus::Error || check.name == Capability::VerifiesSignatures.name())
}

/// A look that ends.
async fn bounded(name: &'static str, look: impl Future<Output = Check>) -> Check {
    timeout(TIME, look).await.unwrap_or_else(|_| late(name))
}

fn late(name: &'static str) -> Check {
    let found = format!("no answer within {} s", TIME.as_secs());
    Check::error(name, found, "Look at the server's load and at the network between")
}

/// What else an answer or its absence means.
fn failed(name: &'static str, error: &StorageError) -> Check {
    Check::error(name, error.to_string(), "Look at the server's log; the line says which request it was")
}
