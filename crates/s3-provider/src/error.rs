//! What can go wrong on the way to an answer, and what the port calls it.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use object_store_storage::{ObjectKey, StorageError};
use reqwest::StatusCode;

use crate::xml::Element;

/// An operation, as far as its failure is concerned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation {
    /// What it does, for messages.
    pub(crate) name: &'static str,
    /// Whether it leaves something behind in storage.
    pub(crate) writes: bool,
    /// How long it may take.
    pub(crate) lasts: Lasts,
}

/// How long an operation may take, all attempts included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lasts {
    /// [`S3Config::operation_timeout`](crate::S3Config::operation_timeout).
    Moments,
    /// As long as its body moves; it is not begun again after that time.
    AsLongAsItMoves,
    /// That time and [`S3Config::work_timeout`](crate::S3Config::work_timeout).
    AsLongAsItWorks,
}

impl Operation {
    pub(crate) const fn read(name: &'static str) -> Self {
        Self { name, writes: false, lasts: Lasts::Moments }
    }

    pub(crate) const fn write(name: &'static str) -> Self {
        Self { name, writes: true, lasts: Lasts::Moments }
    }

    /// The same, with a body on its way.
    pub(crate) const fn transferring(self) -> Self {
        Self { lasts: Lasts::AsLongAsItMoves, ..self }
    }

    /// The same, with work for the server before it answers.
    pub(crate) const fn working(self) -> Self {
        Self { lasts: Lasts::AsLongAsItWorks, ..self }
    }
}

/// Why an attempt has failed, before it is known what that means to the caller.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server said no.
    Refused(Refusal),
    /// No connection: nothing was sent.
    Connect(reqwest::Error),
    /// The connection broke after the request was begun.
    Lost(reqwest::Error),
    /// No connection, since the two sides do not agree on TLS, or the server's certificate is not trusted.
    Tls(rustls::Error),
    /// The server made no progress for this long.
    Stalled(Duration),
    /// All attempts together took this long.
    Late(Duration),
    /// The answer is none that S3 gives.
    Garbled(&'static str),
    /// Already in the port's words.
    Storage(StorageError),
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl Failure {
    /// Why there is no connection.
    pub(crate) fn to_connect(error: reqwest::Error) -> Self {
        match tls_error(&error) {
            Some(error) => Self::Tls(error),
            None => Self::Connect(error),
        }
    }

    /// Whether the server has too much to do.
    pub(crate) fn is_throttling(&self) -> bool {
        let Self::Refused(refusal) = self else { return false };
        matches!(refusal.status, 429 | 503)
            || matches!(refusal.code.as_deref(), Some("SlowDown" | "ServiceUnavailable" | "TooManyRequests"))
    }
}

fn tls_error(error: &reqwest::Error) -> Option<rustls::Error> {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(found) = current.downcast_ref::<rustls::Error>() {
            return Some(found.clone());
        }
        // What an `io::Error` is made of is not its source.
        let inside = current.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = match inside {
            Some(inside) => Some(inside),
            None => current.source(),
        };
    }
    None
}

/// A server's no.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// S3's word for it, if the answer has one.
    pub(crate) code: Option<String>,
    /// Where the server says that the bucket is: a region or a host.
    pub(crate) elsewhere: Option<String>,
    /// When to come back.
    pub(crate) retry_after: Option<Duration>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, body: &Bytes) -> Self {
        let mut refusal = Self { status: status.as_u16(), ..Self::default() };
        if let Some(root) = Element::parse(body) {
            refusal.read(&root);
        }
        refusal
    }

    /// Whether it is for credentials that were good until lately.
    pub(crate) fn is_of_expired_credentials(&self) -> bool {
        matches!(self.code.as_deref(), Some("ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired"))
    }

    /// The error that an answer of status 200 carries, if it does: copies and completions of multipart uploads are
    /// answered before they are done.
    pub(crate) fn inside_success(root: &Element) -> Option<Self> {
        let mut refusal = Self { status: 200, ..Self::default() };
        (root.name == "Error").then(|| {
            refusal.read(root);
            refusal
        })
    }

    /// Whether a status says all by itself. What is missing of other refusals could say that the bucket is not there
    /// as well as that the key is not, or that the server was too slow as well as that it was asked for nonsense.
    pub(crate) fn is_clear_without_code(status: StatusCode) -> bool {
        status.is_server_error()
            || status.is_redirection()
            || matches!(status.as_u16(), 401 | 403 | 405 | 408 | 412 | 416 | 429)
    }

    fn read(&mut self, root: &Element) {
        let error = match root.name.as_str() {
            "Error" => Some(root),
            // AWS's other services, and gateways that imitate them, wrap it.
            "ErrorResponse" => root.children_named("Error").next(),
            _ => None,
        };
        let Some(error) = error else { return };
        self.code = error.text_of("Code").and_then(word);
        self.elsewhere = error.text_of("Region").or_else(|| error.text_of("Endpoint")).and_then(word);
    }

    pub(crate) fn describe(&self) -> String {
        let mut text = match (&self.code, self.status) {
            (Some(code), status) => format!("{status} {code}"),
            (None, status) => format!("{status}"),
        };
        if let Some(elsewhere) = &self.elsewhere {
            text.push_str(", the server points to ");
            text.push_str(elsewhere);
        }
        text
    }
}

/// A server's word, if it looks like one: nothing else of an answer gets into a message.
pub(crate) fn word(text: &str) -> Option<String> {
    let fits = (1..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':'));
    fits.then(|| text.to_owned())
}

/// Says in the port's words why an operation has failed. The only place where this is decided.
pub(crate) fn translate(failure: Failure, operation: Operation, key: Option<&ObjectKey>) -> StorageError {
    let unavailable = |reason: String, may_have_happened: bool| StorageError::Unavailable {
        reason: format!("{}: {reason}", operation.name),
        outcome_unknown: operation.writes && may_have_happened,
        source: None,
    };
    match failure {
        Failure::Storage(error) => error,
        Failure::Refused(refusal) => translate_refusal(&refusal, operation, key),
        Failure::Stalled(time) => unavailable(format!("no progress for {} s", time.as_secs_f32()), true),
        Failure::Late(time) => unavailable(format!("not done within {} s", time.as_secs_f32()), true),
        Failure::Garbled(what) => unavailable(format!("{what}; check that the endpoint is an S3 server's"), true),
        Failure::Tls(error) => StorageError::Other {
            reason: format!(
                "{}: no TLS connection ({error}); check the endpoint's scheme and port, and that its certificate is \
                 valid for its name and issued by an authority that this system trusts",
                operation.name
            ),
            source: Some(Box::new(error)),
        },
        Failure::Connect(error) => StorageError::Unavailable {
            reason: format!("{}: no connection", operation.name),
            outcome_unknown: false,
            source: Some(Box::new(error.without_url())),
        },
        Failure::Lost(error) if error.is_builder() => StorageError::Other {
            reason: format!("{}: the request could not be built", operation.name),
            source: Some(Box::new(error.without_url())),
        },
        Failure::Lost(error) => StorageError::Unavailable {
            reason: format!("{}: the connection was lost", operation.name),
            outcome_unknown: operation.writes,
            source: Some(Box::new(error.without_url())),
        },
    }
}

// Codes: AWS API reference, "Error responses", "List of error codes".
fn translate_refusal(refusal: &Refusal, operation: Operation, key: Option<&ObjectKey>) -> StorageError {
    let unavailable = |may_have_happened: bool| StorageError::Unavailable {
        reason: format!("{}: {}", operation.name, refusal.describe()),
        outcome_unknown: operation.writes && may_have_happened,
        source: None,
    };
    let other = |advice: &str| StorageError::Other {
        reason: format!("{}: {}{advice}", operation.name, refusal.describe()),
        source: None,
    };
    let denied = |code: &str| StorageError::AccessDenied { code: code.to_owned() };
    let not_found = || match key {
        Some(key) => StorageError::NotFound { key: key.clone() },
        None => other(""),
    };
    match (refusal.code.as_deref(), refusal.status) {
        (Some("NoSuchBucket"), _) => StorageError::BucketMissing,
        (Some("NoSuchKey"), _) => not_found(),
        (Some("NoSuchUpload"), _) => match key {
            Some(key) => StorageError::UploadMissing { key: key.clone() },
            None => other(""),
        },
        // An invalid part of a completion is not there, or has another entity tag by now.
        (Some("InvalidPart" | "PreconditionFailed"), _) | (None, 412) => StorageError::PreconditionFailed,
        (Some("InvalidRange"), _) | (None, 416) => StorageError::RangeNotSatisfiable,
        (Some("BadDigest" | "InvalidDigest" | "XAmzContentSHA256Mismatch" | "XAmzContentChecksumMismatch"), _) => {
            StorageError::Corrupted { reason: "the server counted another digest" }
        }
        (Some("IncompleteBody"), _) => StorageError::Corrupted { reason: "the server received fewer bytes" },
        (
            Some(
                code @ ("AccessDenied"
                | "AccountProblem"
                | "AllAccessDisabled"
                | "BucketAlreadyExists"
                | "ExpiredToken"
                | "InvalidAccessKeyId"
                | "InvalidSecurity"
                | "InvalidToken"
                | "NotSignedUp"
                | "RequestTimeTooSkewed"
                | "SignatureDoesNotMatch"
                | "TokenRefreshRequired"),
            ),
            _,
        ) => denied(code),
        (Some("AuthorizationHeaderMalformed" | "IllegalLocationConstraintException"), _) => other(": check the region"),
        // Not begun, or, of the last two, not begun because of another request for the same key or bucket.
        (
            Some(
                "SlowDown"
                | "ServiceUnavailable"
                | "RequestTimeout"
                | "RequestTimeOut"
                | "TooManyRequests"
                | "OperationAborted"
                | "ConditionalRequestConflict",
            ),
            _,
        )
        | (_, 408 | 429) => unavailable(false),
        (Some("NotImplemented"), _) | (None, 501) => StorageError::Unsupported { operation: operation.name },
        // Proxies have numbers of their own for a server that did not answer them in time.
        (Some("InternalError"), _) | (_, 500..=599) => unavailable(true),
        (code, 401 | 403) => denied(code.unwrap_or(if refusal.status == 401 { "401" } else { "403" })),
        (_, 300..=399) => other(": check the endpoint and the region; redirects are not followed"),
        (None, 404 | 405) => other(": check the endpoint, which does not answer as S3 does"),
        _ => other(""),
    }
}

/// A write has succeeded, and what failed is the look at what it left.
pub(crate) fn after_the_fact(error: StorageError, operation: Operation) -> StorageError {
    match error {
        StorageError::Unavailable { reason, source, .. } => {
            StorageError::Unavailable { reason, outcome_unknown: true, source }
        }
        error @ StorageError::NotFound { .. } => StorageError::Unavailable {
            reason: format!("{}: its result cannot be found yet", operation.name),
            outcome_unknown: true,
            source: Some(Box::new(error)),
        },
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use object_store_storage::{ObjectKey, RetryClass, StorageError};
    use reqwest::StatusCode;

    use super::{Failure, Operation, Refusal, after_the_fact, translate};

    fn answer(operation: Operation, status: u16, body: &str) -> StorageError {
        let key = ObjectKey::parse("image/a/b").unwrap();
        let refusal = Refusal::new(StatusCode::from_u16(status).unwrap(), &Bytes::copy_from_slice(body.as_bytes()));
        translate(Failure::Refused(refusal), operation, Some(&key))
    }

    fn code(operation: Operation, status: u16, code: &str) -> StorageError {
        let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>m</Message></Error>");
        answer(operation, status, &body)
    }

    const READ: Operation = Operation::read("get object");
    const WRITE: Operation = Operation::write("put object");

    #[test]
    fn absence_of_a_key_is_not_absence_of_the_bucket() {
        assert!(matches!(code(READ, 404, "NoSuchKey"), StorageError::NotFound { .. }));
        assert!(matches!(code(READ, 404, "NoSuchBucket"), StorageError::BucketMissing));
        assert!(matches!(code(WRITE, 404, "NoSuchBucket"), StorageError::BucketMissing));
        assert!(matches!(answer(READ, 404, "<html><body>Not Found</body></html>"), StorageError::Other { .. }));
    }

    #[test]
    fn an_upload_that_is_gone_is_not_a_part_that_is() {
        assert!(matches!(code(READ, 404, "NoSuchUpload"), StorageError::UploadMissing { .. }));
        assert!(matches!(code(WRITE, 200, "NoSuchUpload"), StorageError::UploadMissing { .. }));
        assert!(matches!(code(WRITE, 400, "InvalidPart"), StorageError::PreconditionFailed));
    }

    #[test]
    fn a_refusal_of_credentials_keeps_the_servers_word() {
        for word in ["AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestTimeTooSkewed"] {
            let error = code(WRITE, 403, word);
            assert!(matches!(&error, StorageError::AccessDenied { code } if code == word), "{error:?}");
        }
        for word in ["ExpiredToken", "InvalidToken"] {
            let error = code(WRITE, 400, word);
            assert!(matches!(&error, StorageError::AccessDenied { code } if code == word), "{error:?}");
        }
        assert!(matches!(answer(READ, 403, ""), StorageError::AccessDenied { code } if code == "403"));
        assert!(matches!(code(READ, 403, "Unheard"), StorageError::AccessDenied { code } if code == "Unheard"));
    }

    #[test]
    fn conditions_ranges_and_digests_have_errors_of_their_own() {
        assert!(matches!(code(READ, 412, "PreconditionFailed"), StorageError::PreconditionFailed));
        assert!(matches!(answer(READ, 412, ""), StorageError::PreconditionFailed));
        assert!(matches!(code(READ, 416, "InvalidRange"), StorageError::RangeNotSatisfiable));
        assert!(matches!(answer(READ, 416, "nonsense"), StorageError::RangeNotSatisfiable));
        assert!(matches!(code(WRITE, 400, "BadDigest"), StorageError::Corrupted { .. }));
        assert!(matches!(code(WRITE, 400, "InvalidDigest"), StorageError::Corrupted { .. }));
        assert!(matches!(code(WRITE, 501, "NotImplemented"), StorageError::Unsupported { operation: "put object" }));
    }

    #[test]
    fn an_overloaded_server_did_nothing_and_a_broken_one_may_have() {
        for (status, word) in [(503, "SlowDown"), (503, "ServiceUnavailable"), (400, "RequestTimeout"), (429, "X")] {
            assert_eq!(code(WRITE, status, word).retry_class(), RetryClass::Safe, "{status} {word}");
        }
        for status in [500, 502, 503, 504] {
            assert_eq!(answer(WRITE, status, "<html>").retry_class(), RetryClass::OutcomeUnknown, "{status}");
            assert_eq!(answer(READ, status, "<html>").retry_class(), RetryClass::Safe, "{status}");
        }
        assert_eq!(code(WRITE, 500, "InternalError").retry_class(), RetryClass::OutcomeUnknown);
        assert_eq!(code(WRITE, 200, "InternalError").retry_class(), RetryClass::OutcomeUnknown);
    }

    #[test]
    fn a_redirect_says_what_to_check() {
        let body = "<Error><Code>PermanentRedirect</Code><Endpoint>b.s3.eu-west-1.amazonaws.com</Endpoint></Error>";
        let text = answer(READ, 301, body).to_string();
        assert!(text.contains("b.s3.eu-west-1.amazonaws.com") && text.contains("region"), "{text}");
        let body = "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>";
        let text = answer(READ, 400, body).to_string();
        assert!(text.contains("eu-west-1") && text.contains("check the region"), "{text}");
    }

    #[test]
    fn only_words_get_into_messages() {
        let wrapped = "<ErrorResponse><Error><Code>SlowDown</Code></Error></ErrorResponse>";
        assert_eq!(answer(WRITE, 503, wrapped).retry_class(), RetryClass::Safe);
        let long = "A".repeat(1000);
        for word in ["<b>bold</b>", "a b", "\u{202e}x", long.as_str(), ""] {
            let error = code(READ, 400, word);
            assert_eq!(error.to_string(), "storage failed (get object: 400)", "{word}");
        }
    }

    #[test]
    fn a_result_that_is_not_seen_may_be_there() {
        let unseen = StorageError::NotFound { key: ObjectKey::parse("a").unwrap() };
        assert_eq!(after_the_fact(unseen, WRITE).retry_class(), RetryClass::OutcomeUnknown);
    }

    #[test]
    fn what_comes_before_an_answer() {
        let key = ObjectKey::parse("image/a/b").unwrap();
        let stalled = || Failure::Stalled(std::time::Duration::from_secs(30));
        assert_eq!(translate(stalled(), WRITE, Some(&key)).retry_class(), RetryClass::OutcomeUnknown);
        assert_eq!(translate(stalled(), READ, Some(&key)).retry_class(), RetryClass::Safe);
        let text = translate(Failure::Garbled("no ETag in the answer"), WRITE, None).to_string();
        assert_eq!(
            text,
            "storage is unavailable (put object: no ETag in the answer; check that the endpoint is an S3 server's)"
        );
    }
}
