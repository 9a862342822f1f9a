//! Why bytes were refused.

use std::io;

use crate::format::{Format, Kind};

/// Why a probe gave no facts. A variant is something that a caller tells the user differently.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// There is not a single byte.
    #[error("the file is empty")]
    Empty,
    /// The bytes are something that is not accepted here.
    #[error("files of type {detected} are not accepted")]
    UnsupportedType {
        /// What the bytes are: a content type, or `unknown`.
        detected: String,
    },
    /// The declared content type contradicts the bytes.
    #[error("declared as {declared}, but the content is {detected}")]
    TypeMismatch {
        /// What the caller declared.
        declared: String,
        /// The content type of the bytes.
        detected: &'static str,
    },
    /// Sound where a picture was asked for, or the other way round.
    #[error("expected {expected}, but the content is {detected}")]
    KindMismatch {
        /// What was asked for.
        expected: Kind,
        /// The content type of the bytes.
        detected: &'static str,
    },
    /// The bytes start as the format does, and then break its rules.
    #[error("not a valid {format} file: {reason}")]
    Corrupt {
        /// The format they start as.
        format: Format,
        /// Which rule is broken.
        reason: &'static str,
    },
    /// More pixels than allowed.
    #[error("{width}x{height} is more than {limit} pixels")]
    TooManyPixels {
        /// Stored width.
        width: u32,
        /// Stored height.
        height: u32,
        /// Allowed width times height.
        limit: u64,
    },
    /// One side is longer than allowed.
    #[error("a side of {width}x{height} is longer than {limit} pixels")]
    TooLargeSide {
        /// Stored width.
        width: u32,
        /// Stored height.
        height: u32,
        /// Allowed pixels a side.
        limit: u32,
    },
    /// More frames than allowed.
    #[error("at least {actual} frames are more than {limit}")]
    TooManyFrames {
        /// Allowed frames.
        limit: u32,
        /// Frames announced, or counted before counting stopped.
        actual: u32,
    },
    /// Longer than allowed.
    #[error("{actual_ms} ms are longer than {limit_ms} ms")]
    TooLong {
        /// Allowed milliseconds.
        limit_ms: u64,
        /// Milliseconds found.
        actual_ms: u64,
    },
    /// Something follows where the format ends.
    #[error("{bytes} bytes follow the end of the {format} file")]
    TrailingData {
        /// The format that ended.
        format: Format,
        /// Bytes after its end.
        bytes: u64,
    },
    /// Finding out would cost more than allowed.
    #[error("reading the facts takes more than {limit} {resource}")]
    BudgetExceeded {
        /// What ran out: `bytes`, `seeks` or `steps`.
        resource: &'static str,
        /// How much was allowed.
        limit: u64,
    },
    /// The source failed; this says nothing about the bytes.
    #[error("the source cannot be read")]
    Read(#[source] io::Error),
}

impl MediaError {
    /// The stable machine name of the cause.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::UnsupportedType { .. } => "unsupported_type",
            Self::TypeMismatch { .. } => "type_mismatch",
            Self::KindMismatch { .. } => "kind_mismatch",
            Self::Corrupt { .. } => "corrupt",
            Self::TooManyPixels { .. } => "too_many_pixels",
            Self::TooLargeSide { .. } => "too_large_side",
            Self::TooManyFrames { .. } => "too_many_frames",
            Self::TooLong { .. } => "too_long",
            Self::TrailingData { .. } => "trailing_data",
            Self::BudgetExceeded { .. } => "budget_exceeded",
            Self::Read(_) => "read",
        }
    }

    /// The refusal of a type.
    pub(crate) fn unsupported(detected: impl Into<String>) -> Self {
        Self::UnsupportedType { detected: detected.into() }
    }
}

/// What a format reader fails with: it need not know which format it was asked to read.
#[derive(Debug)]
pub(crate) enum Fault {
    /// A rule of the format is broken.
    Corrupt(&'static str),
    /// Something follows where the format ends.
    Trailing(u64),
    /// Anything else, already complete.
    Refused(MediaError),
}

/// The bytes stop inside something that they announced.
pub(crate) const TRUNCATED: &str = "it ends before its structure does";

/// A reader panicked: a bug of ours or of a library.
pub(crate) const PANICKED: &str = "it cannot be read without a failure";

impl Fault {
    pub(crate) fn into_error(self, format: Format) -> MediaError {
        match self {
            Self::Corrupt(reason) => MediaError::Corrupt { format, reason },
            Self::Trailing(bytes) => MediaError::TrailingData { format, bytes },
            Self::Refused(error) => error,
        }
    }
}

impl From<MediaError> for Fault {
    fn from(error: MediaError) -> Self {
        Self::Refused(error)
    }
}
