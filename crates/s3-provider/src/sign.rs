//! Signature Version 4 in headers, with the parts that rust-s3 has for it.

use hmac::Mac;
use object_store_storage::{StorageError, StorageResult};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use s3::Region;
use s3::creds::Credentials;
use s3::creds::time::OffsetDateTime;
use s3::error::S3Error;
use s3::signing::{self, HmacSha256};
use sha2::{Digest, Sha256};
use url::Url;

use crate::credentials::session_token;

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
    let canonical =
        signing::canonical_request(method.as_str(), url, headers, payload).map_err(|error| failed(&error))?;
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
    StorageError::Other { reason: "a request could not be signed".into(), source: None }
}
