//! Conditional requests (RFC 9110, section 13), as S3 has them.

use std::time::{Duration, UNIX_EPOCH};

use hyper::header::{self, HeaderMap, HeaderValue};
use s3s::dto::{ETag, ETagCondition, Timestamp};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

use super::object_file::ObjectInfo;

/// The conditions of a read, or of the source of a copy.
#[derive(Debug, Default)]
#[expect(clippy::struct_field_names, reason = "they are the names of headers")]
pub(super) struct ReadConditions {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
    pub(super) if_modified_since: Option<Timestamp>,
    pub(super) if_unmodified_since: Option<Timestamp>,
}

impl ReadConditions {
    /// For a read: what the client already has is 304.
    pub(super) fn check_read(&self, info: &ObjectInfo) -> S3Result<()> {
        self.check_expectation(info)?;
        if self.client_has_it(info) { Err(not_modified(info)) } else { Ok(()) }
    }

    /// For a copy: everything is 412.
    pub(super) fn check_copy(&self, info: &ObjectInfo) -> S3Result<()> {
        self.check_expectation(info)?;
        if self.client_has_it(info) { Err(s3_error!(PreconditionFailed)) } else { Ok(()) }
    }

    fn check_expectation(&self, info: &ObjectInfo) -> S3Result<()> {
        let holds = match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) => matches(condition, info),
            (None, Some(time)) => modified(info) <= *time,
            (None, None) => true,
        };
        if holds { Ok(()) } else { Err(s3_error!(PreconditionFailed)) }
    }

    fn client_has_it(&self, info: &ObjectInfo) -> bool {
        match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) => matches(condition, info),
            (None, Some(time)) => modified(info) <= *time,
            (None, None) => false,
        }
    }
}

/// The conditions of a write: `If-None-Match: *` creates only, `If-Match` replaces only what the client knows.
pub(super) fn check_write(
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
    found: Option<&ObjectInfo>,
) -> S3Result<()> {
    if if_none_match.is_some_and(|condition| found.is_some_and(|info| matches(condition, info))) {
        return Err(s3_error!(PreconditionFailed));
    }
    match (if_match, found) {
        (Some(_), None) => Err(s3_error!(NoSuchKey)),
        (Some(condition), Some(info)) if !matches(condition, info) => Err(s3_error!(PreconditionFailed)),
        _ => Ok(()),
    }
}

/// HTTP dates have whole seconds.
pub(super) fn modified(info: &ObjectInfo) -> Timestamp {
    Timestamp::from(UNIX_EPOCH + Duration::from_secs(info.modified_milliseconds / 1_000))
}

fn matches(condition: &ETagCondition, info: &ObjectInfo) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(etag) => etag.value() == info.etag,
    }
}

fn not_modified(info: &ObjectInfo) -> S3Error {
    let mut error = S3Error::new(S3ErrorCode::NotModified);
    let etag = ETag::Strong(info.etag.clone()).to_http_header();
    if let Ok(etag) = etag.or_else(|_| HeaderValue::from_str("")) {
        error.set_headers(HeaderMap::from_iter([(header::ETAG, etag)]));
    }
    error
}
