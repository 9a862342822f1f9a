//! What S3 calls a failure of the file system.

use std::io;

use hyper::StatusCode;
use s3s::{S3Error, S3ErrorCode};

/// Translates an error of the file system. The message says what a developer can do about it, and names no path.
pub(super) fn failed(error: io::Error) -> S3Error {
    let (message, status) = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            ("the disk of the embedded S3 server is full", StatusCode::INSUFFICIENT_STORAGE)
        }
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            ("the embedded S3 server may not write to its directory", StatusCode::INTERNAL_SERVER_ERROR)
        }
        io::ErrorKind::InvalidData => {
            ("a file of the embedded S3 server is damaged", StatusCode::INTERNAL_SERVER_ERROR)
        }
        _ => ("the embedded S3 server cannot use its directory", StatusCode::INTERNAL_SERVER_ERROR),
    };
    tracing::error!(error = &error as &dyn std::error::Error, "{message}");
    let mut failure = S3Error::with_message(S3ErrorCode::InternalError, message);
    failure.set_status_code(status);
    failure.set_source(Box::new(error));
    failure
}

/// Nothing has this name. A name below a file, or one too long for the file system, cannot have anything either.
pub(super) fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::failed;

    #[test]
    fn a_failure_says_what_can_be_done() {
        for (kind, status, message) in [
            (ErrorKind::StorageFull, 507, "the disk of the embedded S3 server is full"),
            (ErrorKind::ReadOnlyFilesystem, 500, "the embedded S3 server may not write to its directory"),
            (ErrorKind::PermissionDenied, 500, "the embedded S3 server may not write to its directory"),
            (ErrorKind::InvalidData, 500, "a file of the embedded S3 server is damaged"),
        ] {
            let failure = failed(Error::from(kind));
            assert_eq!(failure.status_code().map(|status| status.as_u16()), Some(status), "{kind}");
            assert_eq!(failure.message(), Some(message), "{kind}");
        }
    }
}
