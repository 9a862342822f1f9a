//! What the heads of answers say about objects.

use std::time::SystemTime;

use object_store_storage::ObjectMeta;
use reqwest::header::HeaderMap;
use s3::creds::time::OffsetDateTime;
use s3::creds::time::format_description::well_known::Rfc3339;

use crate::client::header;
use crate::error::Failure;

/// The entity tag without quotes. Every S3 server gives one for every object, so that without one it is no S3 server.
pub(crate) fn etag(headers: &HeaderMap) -> Result<String, Failure> {
    let tag = header(headers, "etag").map(plain_etag).unwrap_or_default();
    if tag.is_empty() { Err(Failure::Garbled("the answer has no ETag")) } else { Ok(tag) }
}

pub(crate) fn plain_etag(tag: &str) -> String {
    tag.trim().trim_start_matches("W/").trim_matches('"').to_owned()
}

pub(crate) fn content_length(headers: &HeaderMap) -> Result<u64, Failure> {
    header(headers, "content-length")
        .and_then(|length| length.parse().ok())
        .ok_or(Failure::Garbled("the answer has no Content-Length"))
}

pub(crate) fn meta(headers: &HeaderMap, size_bytes: u64) -> Result<ObjectMeta, Failure> {
    Ok(ObjectMeta {
        size_bytes,
        etag: etag(headers)?,
        content_type: header(headers, "content-type").map(ToOwned::to_owned),
        last_modified: header(headers, "last-modified").and_then(|date| httpdate::parse_http_date(date).ok()),
    })
}

/// A time as XML answers have it.
pub(crate) fn timestamp(text: &str) -> Option<SystemTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok().map(SystemTime::from)
}

/// What a `Content-Range` says: the first byte, how many bytes, and the size of the whole (RFC 9110, section 14.4).
pub(crate) fn content_range(headers: &HeaderMap) -> Option<(u64, u64, u64)> {
    let (range, size) = header(headers, "content-range")?.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, size): (u64, u64, u64) = (first.parse().ok()?, last.parse().ok()?, size.parse().ok()?);
    (first <= last && last < size).then(|| (first, last - first + 1, size))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use reqwest::header::HeaderMap;

    use super::{content_range, etag, meta, timestamp};

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn an_etag_loses_its_quotes() {
        for tag in ["\"abc-2\"", "abc-2", "W/\"abc-2\"", " \"abc-2\" "] {
            let mut headers = HeaderMap::new();
            headers.insert("etag", tag.parse().unwrap());
            assert_eq!(etag(&headers).unwrap(), "abc-2");
        }
        assert!(etag(&headers(&[])).is_err() && etag(&headers(&[("etag", "\"\"")])).is_err());
    }

    #[test]
    fn what_cannot_be_read_is_unknown() {
        let meta = meta(&headers(&[("etag", "a"), ("last-modified", "yesterday")]), 3).unwrap();
        assert_eq!((meta.size_bytes, meta.content_type, meta.last_modified), (3, None, None));
    }

    #[test]
    fn times_are_read() {
        let expected = SystemTime::UNIX_EPOCH + Duration::from_millis(1_257_894_000_250);
        assert_eq!(timestamp("2009-11-10T23:00:00.250Z"), Some(expected));
        assert_eq!(timestamp("soon"), None);
    }

    #[test]
    fn a_range_must_make_sense() {
        let range = |text: &'static str| content_range(&headers(&[("content-range", text)]));
        assert_eq!(range("bytes 2-5/10"), Some((2, 4, 10)));
        assert_eq!(range("bytes 0-0/1"), Some((0, 1, 1)));
        for text in
            ["bytes 5-2/10", "bytes 2-10/10", "bytes */10", "bytes 2-5/*", "2-5/10", "bytes 2-18446744073709551616/9"]
        {
            assert_eq!(range(text), None, "{text}");
        }
    }
}
