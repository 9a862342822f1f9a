use std::error::Error as StdError;

use crate::key::ObjectKey;

/// The result of a storage call.
pub type StorageResult<T> = Result<T, StorageError>;

type Source = Box<dyn StdError + Send + Sync>;

/// Why a storage call failed. A variant is something that the caller does differently.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// No object has this key.
    #[error("no object {key} in storage")]
    NotFound {
        /// The key that was asked for.
        key: ObjectKey,
    },
    /// No multipart upload of this name is open for the key: it was completed, aborted or never begun.
    #[error("no such multipart upload for {key}")]
    UploadMissing {
        /// The key that the upload was to create.
        key: ObjectKey,
    },
    /// The bucket does not exist. Never means that an object is gone.
    #[error("the bucket does not exist")]
    BucketMissing,
    /// The credentials are unknown, expired or may not do this.
    #[error("storage refuses the credentials or the operation ({code})")]
    AccessDenied {
        /// What the server calls it, such as `InvalidAccessKeyId` or `SignatureDoesNotMatch`.
        code: String,
    },
    /// The object is not, or no longer, what a condition of the call asked for.
    #[error("a precondition of the storage call does not hold")]
    PreconditionFailed,
    /// The range starts at or after the end of the object, or is empty.
    #[error("the range lies outside the object")]
    RangeNotSatisfiable,
    /// The bytes that arrived are not those that were announced.
    #[error("the stored or received bytes differ from those announced: {reason}")]
    Corrupted {
        /// What differs: length or digest.
        reason: &'static str,
    },
    /// The body's own reader failed, before or while it was sent. Nothing is wrong with the storage.
    #[error("the body could not be read")]
    Body(#[source] std::io::Error),
    /// This storage cannot do that at all.
    #[error("storage does not support {operation}")]
    Unsupported {
        /// The operation, in words.
        operation: &'static str,
    },
    /// The call itself is wrong: a duration, size or option that no storage accepts.
    #[error("invalid storage request: {reason}")]
    InvalidRequest {
        /// What is wrong and what is allowed.
        reason: String,
    },
    /// Overloaded, unreachable, or answered with something that is no answer. Trying again later may help.
    #[error("storage is unavailable ({reason})")]
    Unavailable {
        /// A status, a server's code, or a kind of transport failure.
        reason: String,
        /// Whether the call may have taken effect, now or later: its reply was lost, or a proxy gave up on it.
        outcome_unknown: bool,
        /// The cause, where there is one.
        #[source]
        source: Option<Source>,
    },
    /// Anything that trying again will not mend.
    #[error("storage failed ({reason})")]
    Other {
        /// A status, a server's code, or what could not be understood.
        reason: String,
        /// The cause, where there is one.
        #[source]
        source: Option<Source>,
    },
}

/// What a caller may do about a failed storage call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryClass {
    /// The same call will fail the same way.
    Never,
    /// The call had no effect: the same call may succeed later.
    Safe,
    /// The call may have had its effect, or may still have it. Repeat it only where it is idempotent, and never take its
    /// failure as proof that nothing happened.
    OutcomeUnknown,
}

impl StorageError {
    /// What a caller may do about it.
    pub fn retry_class(&self) -> RetryClass {
        match self {
            Self::Unavailable { outcome_unknown: true, .. } => RetryClass::OutcomeUnknown,
            Self::Unavailable { outcome_unknown: false, .. } => RetryClass::Safe,
            Self::NotFound { .. }
            | Self::UploadMissing { .. }
            | Self::BucketMissing
            | Self::AccessDenied { .. }
            | Self::PreconditionFailed
            | Self::RangeNotSatisfiable
            | Self::Corrupted { .. }
            | Self::Body(_)
            | Self::Unsupported { .. }
            | Self::InvalidRequest { .. }
            | Self::Other { .. } => RetryClass::Never,
        }
    }

    /// A stable word for logs and for the column `last_error`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "object_missing",
            Self::UploadMissing { .. } => "upload_missing",
            Self::BucketMissing => "bucket_missing",
            Self::AccessDenied { .. } => "access_denied",
            Self::PreconditionFailed => "precondition_failed",
            Self::RangeNotSatisfiable => "range_not_satisfiable",
            Self::Corrupted { .. } => "corrupted",
            Self::Body(_) => "body_unreadable",
            Self::Unsupported { .. } => "unsupported",
            Self::InvalidRequest { .. } => "invalid_request",
            Self::Unavailable { .. } => "unavailable",
            Self::Other { .. } => "storage_failed",
        }
    }
}
