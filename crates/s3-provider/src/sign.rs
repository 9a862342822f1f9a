//! Signature Version 4 in headers, with the parts that rust-s3 has for it.

use hmac::Mac;
use object_store_storage::{StorageError, StorageResult};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HOST, HeaderMap, HeaderValue};
use s3::Region;
use s3::creds::Credentials;
use s3::creds::time::OffsetDateTime;
use s3::error::S3Error;
use s3::signing::{self, HmacSha256};
use sha2::{Digest, Sha256};
use url::Url;

use crate::credentials::session_token;
use crate::target::{Resource, Target};

/// What is said of a body that is not hashed before it is sent.
pub(crate) const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// Adds what proves who asks; every header that is there already is signed along.
pub(crate) fn sign(
    credentials: &Credentials,
    region: &Region,
    method: &Method,
    url: &Url,
    headers: &mut HeaderMap,
    payload: &str,
) -> StorageResult<()> {
    let now = OffsetDateTime::now_utc();
    headers.insert("x-amz-date", value(&long_date(now))?);
    headers.insert("x-amz-content-sha256", value(payload)?);
    if let Some(token) = session_token(credentials) {
        headers.insert("x-amz-security-token", secret_value(token)?);
    }
    let canonical = canonical_request(method, url, headers, payload)?;
    let text = signing::string_to_sign(&now, region, &canonical).map_err(|error| failed(&error))?;
    let signature = signature(credentials, region, now, &text)?;
    let authorization = signing::authorization_header(
        credentials.access_key.as_deref().unwrap_or_default(),
        &now,
        region,
        &signing::signed_header_string(headers),
        &signature,
    )
    .map_err(|error| failed(&error))?;
    headers.insert(AUTHORIZATION, secret_value(&authorization)?);
    Ok(())
}

/// How long a signature in a URL lives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Validity {
    pub(crate) from: OffsetDateTime,
    pub(crate) seconds: u32,
}

/// A URL that proves by itself who asks (AWS API reference, "Authenticating Requests: Using Query Parameters"). Of the
/// headers, the host alone is signed.
pub(crate) fn signed_url(
    credentials: &Credentials,
    region: &Region,
    validity: Validity,
    method: &Method,
    target: &Target,
    resource: Resource<'_>,
    query: &[(&str, &str)],
) -> StorageResult<String> {
    let scope = signing::scope_string(&validity.from, region).map_err(|error| failed(&error))?;
    let identity = format!("{}/{scope}", credentials.access_key.as_deref().unwrap_or_default());
    let (date, seconds) = (long_date(validity.from), validity.seconds.to_string());
    let mut query = query.to_vec();
    query.extend([
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
        ("X-Amz-Credential", identity.as_str()),
        ("X-Amz-Date", date.as_str()),
        ("X-Amz-Expires", seconds.as_str()),
        ("X-Amz-SignedHeaders", "host"),
    ]);
    query.extend(session_token(credentials).map(|token| ("X-Amz-Security-Token", token)));
    let url = target.url(resource, &query)?;
    let mut headers = HeaderMap::new();
    headers.insert(HOST, target.host());
    let canonical = canonical_request(method, &url, &headers, UNSIGNED_PAYLOAD)?;
    let text = signing::string_to_sign(&validity.from, region, &canonical).map_err(|error| failed(&error))?;
    let signature = signature(credentials, region, validity.from, &text)?;
    Ok(format!("{url}&X-Amz-Signature={signature}"))
}

/// The request as it is signed (AWS API reference, "Create a signed AWS API request", step 1). rust-s3 sorts whole lines
/// of headers, so that `x-amz-copy-source-if-match:` comes before `x-amz-copy-source:`; names are what counts.
fn canonical_request(method: &Method, url: &Url, headers: &HeaderMap, payload: &str) -> StorageResult<String> {
    let mut lines = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        let value = value.to_str().map_err(|_| failed_to_sign())?;
        lines.push((name.as_str(), value.trim()));
    }
    lines.sort_unstable();
    let lines = lines.iter().fold(String::new(), |lines, (name, value)| lines + name + ":" + value + "\n");
    Ok(format!(
        "{method}\n{}\n{}\n{lines}\n{}\n{payload}",
        signing::canonical_uri_string(url),
        signing::canonical_query_string(url),
        signing::signed_header_string(headers),
    ))
}

/// The signature of a text, in hexadecimal.
pub(crate) fn signature(
    credentials: &Credentials,
    region: &Region,
    now: OffsetDateTime,
    text: &str,
) -> StorageResult<String> {
    let secret = credentials.secret_key.as_deref().unwrap_or_default();
    let key = signing::signing_key(&now, secret, region, "s3").map_err(|error| failed(&error))?;
    let mut hmac = HmacSha256::new_from_slice(&key).map_err(|error| StorageError::Other {
        reason: "a request could not be signed".into(),
        source: Some(Box::new(error)),
    })?;
    hmac.update(text.as_bytes());
    Ok(hex(&hmac.finalize().into_bytes()))
}

/// `20261125T161122Z`.
pub(crate) fn long_date(now: OffsetDateTime) -> String {
    let (year, month, day) = now.to_calendar_date();
    let (hour, minute, second) = now.to_hms();
    format!("{year:04}{:02}{day:02}T{hour:02}{minute:02}{second:02}Z", u8::from(month))
}

pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Whether a text consists of printable ASCII.
pub(crate) fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// A header's value. Signers differ in what they do to runs of spaces, so there must be none.
pub(crate) fn value(text: &str) -> StorageResult<HeaderValue> {
    if !is_printable(text) || text.trim() != text || text.contains("  ") {
        return Err(StorageError::InvalidRequest {
            reason: "a header's value is printable ASCII without spaces at its ends or in a row".into(),
        });
    }
    HeaderValue::from_str(text).map_err(|error| StorageError::Other {
        reason: "a header could not be built".into(),
        source: Some(Box::new(error)),
    })
}

fn secret_value(text: &str) -> StorageResult<HeaderValue> {
    let mut value = value(text)?;
    value.set_sensitive(true);
    Ok(value)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

// The error of rust-s3 is not kept as a source: some of its variants hold what was to be signed.
fn failed(_: &S3Error) -> StorageError {
    failed_to_sign()
}

fn failed_to_sign() -> StorageError {
    StorageError::Other { reason: "a request could not be signed".into(), source: None }
}

#[cfg(test)]
mod tests {
    use reqwest::Method;
    use reqwest::header::{HeaderMap, HeaderValue};
    use url::Url;

    use super::canonical_request;

    #[test]
    fn headers_are_sorted_by_their_names() {
        let mut headers = HeaderMap::new();
        for name in ["x-amz-copy-source-if-match", "x-amz-copy-source", "host"] {
            headers.insert(name, HeaderValue::from_static(" v "));
        }
        let url = Url::parse("http://s3.example.org/bucket/a%20b?b=2&a=1/").unwrap();
        let canonical = canonical_request(&Method::PUT, &url, &headers, "hash").unwrap();
        let expected = "PUT\n/bucket/a%20b\na=1%2F&b=2\nhost:v\nx-amz-copy-source:v\nx-amz-copy-source-if-match:v\n\n\
                        host;x-amz-copy-source;x-amz-copy-source-if-match\nhash";
        assert_eq!(canonical, expected);
    }
}
