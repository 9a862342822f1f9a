//! Whether pages of other origins may send and read files, asked for as browsers ask (Fetch standard, "CORS-preflight
//! fetch").

use bytes::Bytes;
use object_store_storage::{Check, Fix, Origin, StorageResult};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName};
use tokio::time::timeout;

use super::settings::{Found, Kind, add, read};
use super::{TIME, failed, late};
use crate::client::{Client, header};
use crate::error::{Operation, translate};
use crate::presign::Presigner;
use crate::sign::value;

const CORS: Kind = Kind { query: "cors", root: "CORSConfiguration", none: "NoSuchCORSConfiguration" };

const NAME: &str = "cors";

/// What pages do: read files, send forms, and send files and parts.
const METHODS: [&str; 3] = ["GET", "POST", "PUT"];

const PREFLIGHT: Operation = Operation::read("OPTIONS");

pub(super) async fn look(client: &Client, presigner: &Presigner, origins: &[Origin]) -> Vec<Check> {
    if origins.is_empty() {
        return vec![Check::skipped(
            NAME,
            "no origin was named; needed where scripts of web pages send files to storage",
        )];
    }
    let mut checks = Vec::new();
    for origin in origins {
        checks.push(timeout(TIME, of_origin(client, presigner, origin)).await.unwrap_or_else(|_| late(NAME)));
    }
    checks
}

async fn of_origin(client: &Client, presigner: &Presigner, origin: &Origin) -> Check {
    let mut refused = Vec::new();
    for method in METHODS {
        match is_allowed(client, presigner, origin, method).await {
            Ok(true) => {}
            Ok(false) => refused.push(method),
            Err(error) => return failed(NAME, &error),
        }
    }
    if refused.is_empty() {
        return Check::ok(NAME, format!("pages of {origin} may read and send files"));
    }
    let warning = Check::warning(
        NAME,
        format!("pages of {origin} may not {}", refused.join(", ")),
        "Allow the origin by a CORS rule of the bucket, where the server has them, or of the proxy in front of it",
    );
    match read(client, CORS).await {
        Ok(Found::Rules(..) | Found::None) => warning.with_fix(Fix::AllowOrigins(vec![origin.clone()])),
        // A server without such rules has the origin allowed elsewhere, or nowhere.
        Ok(Found::Unknown(_)) | Err(_) => warning,
    }
}

async fn is_allowed(client: &Client, presigner: &Presigner, origin: &Origin, method: &str) -> StorageResult<bool> {
    let mut headers = HeaderMap::new();
    headers.insert(HeaderName::from_static("origin"), value(origin.as_str())?);
    headers.insert(HeaderName::from_static("access-control-request-method"), value(method)?);
    if method == "PUT" {
        headers.insert(HeaderName::from_static("access-control-request-headers"), value("content-type")?);
    }
    let url = format!("{}/probe", presigner.bucket_url().trim_end_matches('/'));
    let asked = client.send_as_it_is(Method::OPTIONS, &url, headers, Bytes::new()).await;
    let answer = asked.map_err(|failure| translate(failure, PREFLIGHT, None))?;
    let allows = |name: &str, wanted: &str| {
        let allowed = header(&answer.headers, name).unwrap_or_default();
        allowed.split(',').any(|one| one.trim() == "*" || one.trim().eq_ignore_ascii_case(wanted))
    };
    Ok(answer.is_success()
        && allows("access-control-allow-origin", origin.as_str())
        && allows("access-control-allow-methods", method))
}

pub(super) async fn allow(client: &Client, origins: &[Origin]) -> StorageResult<()> {
    let origins: String =
        origins.iter().map(|origin| format!("<AllowedOrigin>{origin}</AllowedOrigin>")).collect::<Vec<_>>().concat();
    let methods: String = METHODS.map(|method| format!("<AllowedMethod>{method}</AllowedMethod>")).concat();
    // Parts are completed by the ETags that a page has seen.
    let rule = format!(
        "<CORSRule>{origins}{methods}<AllowedHeader>*</AllowedHeader><ExposeHeader>ETag</ExposeHeader>\
         <MaxAgeSeconds>3600</MaxAgeSeconds></CORSRule>"
    );
    add(client, CORS, &rule).await
}
