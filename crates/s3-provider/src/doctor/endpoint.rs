//! Whether there is a server, how it is reached, and what time it has.

use std::error::Error as StdError;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use object_store_storage::{Check, ClockSkew};
use reqwest::Method;
use reqwest::header::HeaderMap;
use tokio::time::timeout;

use super::{TIME, late};
use crate::bucket::clock_skew;
use crate::client::Client;
use crate::error::Failure;
use crate::target::Resource;

/// From here on the clocks should be set.
const SKEW_WARNING: Duration = Duration::from_mins(1);

/// From here on signatures are refused (AWS API reference, "Authenticating Requests", `RequestTimeTooSkewed`).
const SKEW_ERROR: Duration = Duration::from_mins(15);

/// Asks without a signature, so that nothing but the way to the server matters.
pub(super) async fn look(client: &Client) -> Vec<Check> {
    let endpoint = client.region.endpoint();
    let url = match client.target.url(Resource::Contents, &[]) {
        Ok(url) => url,
        Err(error) => return vec![super::failed("endpoint", &error)],
    };
    let asked = client.send_as_it_is(Method::GET, url.as_str(), HeaderMap::new(), Bytes::new());
    let answer = match timeout(TIME, asked).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(failure)) => return vec![unreachable(client, &endpoint, failure)],
        Err(_) => return vec![late("endpoint")],
    };
    let style = if client.config.path_style { "bucket in the path" } else { "bucket in the host name" };
    vec![
        Check::ok("endpoint", format!("{endpoint} answers {}; {style}", answer.status)),
        encryption(client, &endpoint),
        clock(clock_skew(&answer.headers, SystemTime::now())),
    ]
}

fn unreachable(client: &Client, endpoint: &str, failure: Failure) -> Check {
    match failure {
        Failure::Tls(error) => Check::error(
            "tls",
            format!("{endpoint}: {error}"),
            "Check that the endpoint's scheme and port are those of a TLS server, and that its certificate is valid for \
             its name, has not expired and was issued by an authority that this system trusts",
        ),
        Failure::Connect(error) => {
            let cause = root_cause(&error.without_url());
            let advice = if client.config.path_style {
                "Check OBJECT_STORE_S3_ENDPOINT: the host, the port, and that the server runs and may be reached from here"
            } else {
                "Check OBJECT_STORE_S3_ENDPOINT; where the server has no host name for each bucket, set \
                 OBJECT_STORE_S3_PATH_STYLE=true"
            };
            Check::error("endpoint", format!("no connection to {endpoint}: {cause}"), advice)
        }
        other => {
            let error = crate::error::translate(other, crate::error::Operation::read("GET"), None);
            let advice = "Check OBJECT_STORE_S3_ENDPOINT: what answers there does not speak HTTP as it should";
            Check::error("endpoint", format!("{endpoint}: {error}"), advice)
        }
    }
}

/// The innermost reason, which is the one that names the host or the port.
fn root_cause(error: &dyn StdError) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn encryption(client: &Client, endpoint: &str) -> Check {
    if endpoint.starts_with("https:") {
        Check::ok("tls", "the certificate is trusted")
    } else if client.target.is_loopback() {
        Check::ok("tls", "none, on loopback")
    } else {
        Check::warning(
            "tls",
            "none: whoever is between sees and changes files and signed URLs",
            "Use an endpoint with https",
        )
    }
}

fn clock(skew: Option<ClockSkew>) -> Check {
    let (distance, side) = match skew {
        Some(ClockSkew::Ahead(distance)) => (distance, "ahead of"),
        Some(ClockSkew::Behind(distance)) => (distance, "behind"),
        None => return Check::skipped("clock", "the server does not tell its time"),
    };
    let found = format!("the server's clock is {} s {side} ours", distance.as_secs());
    let advice = "Set this machine's clock by NTP, or the server's";
    match distance {
        _ if distance >= SKEW_ERROR => Check::error("clock", found, advice),
        _ if distance >= SKEW_WARNING => Check::warning("clock", found, advice),
        _ => Check::ok("clock", found),
    }
}
