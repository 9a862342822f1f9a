use async_trait::async_trait;
use bytes::Bytes;

use super::storage::slice;
use super::{Memory, SignedRequestRefused};
use crate::contract::{Response, SignedRequestClient, TransportError};
use crate::error::StorageError;
use crate::port::ByteRange;

/// Takes the signed requests of the contract's rules as an HTTP server would.
#[async_trait]
impl SignedRequestClient for Memory {
    async fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(String, String)],
        body: Bytes,
    ) -> Result<Response, TransportError> {
        let answer = match method {
            "GET" => self.answer_get(url, headers),
            "PUT" => self.submit_put(url, headers, body).map(|_| empty(200)),
            _ => Err(SignedRequestRefused::Method),
        };
        Ok(answer.unwrap_or_else(|refused| empty(status(&refused))))
    }

    async fn post_form(&self, url: &str, fields: &[(String, String)], file: Bytes) -> Result<Response, TransportError> {
        let answer = self.submit_post(url, fields, file);
        Ok(empty(answer.map_or_else(|refused| status(&refused), |_| 204)))
    }
}

impl Memory {
    fn answer_get(&self, url: &str, headers: &[(String, String)]) -> Result<Response, SignedRequestRefused> {
        let fetched = self.fetch(url)?;
        let range = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("range"));
        let (status, body) = match range.and_then(|(_, value)| parse_range(value)) {
            None => (200, fetched.bytes),
            Some(range) => {
                let outside = || SignedRequestRefused::Storage(StorageError::RangeNotSatisfiable);
                (206, slice(&fetched.bytes, range).ok_or_else(outside)?)
            }
        };
        let named = [
            ("content-type", fetched.content_type),
            ("content-disposition", fetched.content_disposition),
            ("cache-control", fetched.cache_control),
        ];
        let named = named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        // What was signed comes first, and is found first.
        let headers = named.chain(fetched.headers).collect();
        Ok(Response { status, headers, body })
    }
}

/// `bytes=FIRST-LAST`. As in HTTP, any other text asks for the whole.
fn parse_range(value: &str) -> Option<ByteRange> {
    let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
    let (start, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    Some(ByteRange { start, length: last.checked_sub(start)?.saturating_add(1) })
}

fn status(refused: &SignedRequestRefused) -> u16 {
    match refused {
        SignedRequestRefused::Malformed { .. }
        | SignedRequestRefused::Size { .. }
        | SignedRequestRefused::Storage(StorageError::Corrupted { .. }) => 400,
        SignedRequestRefused::Signature
        | SignedRequestRefused::Method
        | SignedRequestRefused::Expired
        | SignedRequestRefused::Differs { .. } => 403,
        SignedRequestRefused::Storage(
            StorageError::NotFound { .. } | StorageError::UploadMissing { .. } | StorageError::BucketMissing,
        ) => 404,
        SignedRequestRefused::Storage(StorageError::RangeNotSatisfiable) => 416,
        SignedRequestRefused::Storage(_) => 500,
    }
}

fn empty(status: u16) -> Response {
    Response { status, headers: Vec::new(), body: Bytes::new() }
}
