use std::fmt;
use std::time::Duration;

use object_store_repo::RepoError;
use object_store_storage::{RetryClass, StorageError};

use crate::dto::CursorError;
use crate::translate::CorruptRow;
use crate::verify::VerifyReport;

/// The result of a use case.
pub type Result<T, E = ObjectStoreError> = std::result::Result<T, E>;

/// Why a use case failed. A variant is something that the caller does differently; [`ObjectStoreError::code`] names the
/// cause for programs, and the same cause has the same code from every use case.
///
/// Messages hold no secrets, no SQL and nothing about what belongs to others.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectStoreError {
    /// The request or the uploaded bytes are not acceptable, and nothing was stored. Tell the user.
    #[error(transparent)]
    Invalid(#[from] ValidationError),
    /// There is no such image or audio.
    #[error("not found")]
    NotFound,
    /// It exists, and the actor may not do this with it. To the outside, tell it like [`ObjectStoreError::NotFound`].
    #[error("forbidden")]
    Forbidden,
    /// The upload took too long, or was given up: its object is or will be removed. The same call will not succeed any
    /// more; upload again.
    #[error("the upload has expired")]
    UploadExpired,
    /// Something that was done before excludes this.
    #[error(transparent)]
    Conflict(#[from] ConflictError),
    /// The same request is still being worked on. Ask again in a while.
    #[error("the same request is still in progress")]
    InProgress,
    /// The client has not sent the bytes of a direct upload yet, or is still changing them. Complete it later.
    #[error("the bytes of the upload have not been received")]
    NotReceived,
    /// The client has not sent all parts of a direct upload yet. Let it send those, and complete it then.
    #[error("{0}")]
    Incomplete(MissingParts),
    /// A verify that was to repair has found more to remove than it may, and has removed nothing. Make sure that this is
    /// the right database for this bucket.
    #[error("{found} objects and uploads have no name, more than the {limit} that may be removed; nothing was")]
    TooManyOrphans {
        /// How many would go.
        found: u64,
        /// How many may.
        limit: u64,
    },
    /// A verify could not go on. What it had found until then is in its report.
    #[error("the verify stopped")]
    VerifyStopped {
        /// What was found. Its `compared_until` is where the next verify may begin.
        report: Box<VerifyReport>,
        /// Why it stopped. It also gives the code.
        source: Box<ObjectStoreError>,
    },
    /// The upload does not fit into what the user may have. Nothing was stored. Tell the user, who can delete something;
    /// over HTTP this is a 413.
    #[error(
        "{asked} bytes more are too many: of {limit}, {used} are used and {reserved} are reserved by uploads under way"
    )]
    QuotaExceeded {
        /// How many bytes the user may have.
        limit: u64,
        /// How many the user's files have.
        used: u64,
        /// How many the user's uploads under way hold.
        reserved: u64,
        /// How many more were asked for.
        asked: u64,
    },
    /// The host could not say how much the user may have. Nothing was stored.
    #[error("it could not be found out how much the user may have")]
    QuotaUnknown(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The bytes of the upload could not be read from where they come. Nothing was stored.
    #[error("the bytes of the upload could not be read")]
    Body(#[source] std::io::Error),
    /// Storage failed.
    #[error("storage failed")]
    Storage(#[source] StorageError),
    /// The database failed.
    #[error("the database failed")]
    Database(#[source] RepoError),
    /// The database holds a row that this module cannot have written.
    #[error("the database is inconsistent")]
    Inconsistent(#[source] CorruptRow),
    /// A method that must be called inside a transaction was given a connection without one, and has done nothing. Pass
    /// a [`Transaction`](object_store_repo::Transaction), or your own connection inside Diesel's `transaction`.
    #[error("an open transaction is needed")]
    NoTransaction,
    /// The module is set up wrongly.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A part of the module stopped working: a thread of the runtime panicked or the runtime is shutting down.
    #[error("interrupted: {0}")]
    Interrupted(&'static str),
}

/// The parts of a direct upload that have not arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingParts {
    numbers: Vec<u16>,
    part_count: u16,
}

impl MissingParts {
    pub(crate) fn new(numbers: Vec<u16>, part_count: u16) -> Self {
        Self { numbers, part_count }
    }

    /// Their numbers, ascending.
    pub fn numbers(&self) -> &[u16] {
        &self.numbers
    }

    /// How many parts the upload has.
    pub fn part_count(&self) -> u16 {
        self.part_count
    }
}

/// Names the first ten.
impl fmt::Display for MissingParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMED: usize = 10;
        let (missing, named) = (self.numbers.len(), self.numbers.iter().take(NAMED));
        write!(f, "{missing} of {} parts have not been received:", self.part_count)?;
        for (position, number) in named.enumerate() {
            write!(f, "{} {number}", if position == 0 { "" } else { "," })?;
        }
        if missing > NAMED { f.write_str(", …") } else { Ok(()) }
    }
}

/// What was done before, and excludes what is asked for now.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConflictError {
    /// The id or the object key is taken, or another module's row refers to what is to be deleted.
    #[error("conflicts with what is already stored")]
    Taken(#[source] RepoError),
    /// The idempotency key came with another request before.
    #[error("the idempotency key was used for another request")]
    IdempotencyKey,
    /// The upload that is to be cancelled was completed.
    #[error("the upload was completed")]
    Completed,
}

impl ConflictError {
    /// A stable word for the cause.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Taken(_) => "conflict",
            Self::IdempotencyKey => "idempotency_key_reused",
            Self::Completed => "upload_completed",
        }
    }
}

/// A setting that is missing or wrong. Its message names the setting and what is allowed, never a secret.
#[derive(Debug, thiserror::Error)]
#[error("{setting} {problem}")]
pub struct ConfigError {
    /// The setting, as the operator knows it.
    pub setting: String,
    /// What is wrong and what is allowed.
    pub problem: String,
    /// The cause, where there is one.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ConfigError {
    /// A setting and what is wrong with it.
    pub fn new(setting: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { setting: setting.into(), problem: problem.into(), source: None }
    }

    /// With its cause.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(cause.into());
        self
    }
}

/// What was not acceptable, and what would have been.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValidationError {
    /// No bytes.
    #[error("the file is empty")]
    Empty,
    /// More bytes than allowed. Noticed while reading, so that `actual` may be a lower bound.
    #[error("the file has {actual} bytes or more; at most {limit} are allowed")]
    TooLarge {
        /// The most bytes allowed.
        limit: u64,
        /// How many bytes were announced or seen.
        actual: u64,
    },
    /// The number of bytes is not what was announced.
    #[error("the file has {actual} bytes where {announced} were announced")]
    LengthMismatch {
        /// The announced number of bytes.
        announced: u64,
        /// The number seen; a lower bound where there were more than announced.
        actual: u64,
    },
    /// Of a type that is not accepted, whatever its name or declared type says.
    #[error("files of type {detected} are not accepted")]
    UnsupportedType {
        /// What the bytes are, as far as can be told.
        detected: String,
    },
    /// The declared content type contradicts the bytes.
    #[error("declared as {declared}, but the bytes are {detected}")]
    TypeMismatch {
        /// The declared content type, or the kind of media that was asked for.
        declared: String,
        /// What the bytes are.
        detected: String,
    },
    /// The bytes begin like a format, but are not whole or not sound.
    #[error("not a sound {format} file: {reason}")]
    Corrupt {
        /// The name of the format.
        format: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Bytes follow the end of the image or audio.
    #[error("{bytes} bytes follow the end of the {format} data")]
    TrailingData {
        /// The name of the format.
        format: &'static str,
        /// How many.
        bytes: u64,
    },
    /// More pixels than allowed.
    #[error("the image has {width} x {height} pixels; at most {limit} in all are allowed")]
    TooManyPixels {
        /// The most pixels allowed.
        limit: u64,
        /// The width in pixels.
        width: u32,
        /// The height in pixels.
        height: u32,
    },
    /// A side is longer than allowed.
    #[error("the image has {width} x {height} pixels; at most {limit} a side are allowed")]
    SideTooLong {
        /// The longest side allowed, in pixels.
        limit: u32,
        /// The width in pixels.
        width: u32,
        /// The height in pixels.
        height: u32,
    },
    /// More frames than allowed.
    #[error("the image has {actual} frames or more; at most {limit} are allowed")]
    TooManyFrames {
        /// The most frames allowed.
        limit: u32,
        /// How many there are.
        actual: u32,
    },
    /// Longer than allowed.
    #[error("the audio plays {} ms; at most {} ms are allowed", actual.as_millis(), limit.as_millis())]
    TooLong {
        /// The longest time allowed.
        limit: Duration,
        /// How long it plays.
        actual: Duration,
    },
    /// Built so that finding its facts would take more work than allowed.
    #[error("the facts of the file take more than {limit} {resource} to find")]
    TooComplex {
        /// What ran out: bytes, seeks or steps.
        resource: &'static str,
        /// How much was allowed.
        limit: u64,
    },
    /// Not a cursor that a page of this listing gave.
    #[error(transparent)]
    BadCursor(#[from] CursorError),
    /// A page that is too short or too long.
    #[error("a page has 1 to {limit} items, not {actual}")]
    BadPageSize {
        /// The longest page allowed.
        limit: u16,
        /// What was asked for.
        actual: u16,
    },
    /// A life of a signed URL that is too short or too long.
    #[error("a signed URL lives 1 to {} seconds, not {}", limit.as_secs(), actual.as_secs())]
    BadUrlLife {
        /// The longest life allowed.
        limit: Duration,
        /// What was asked for.
        actual: Duration,
    },
    /// A range outside the object, or empty.
    #[error("the range lies outside the object's {size_bytes} bytes")]
    BadRange {
        /// The size of the object.
        size_bytes: u64,
    },
    /// Not an idempotency key.
    #[error("an idempotency key has 1 to {limit} visible ASCII characters, which this one of {actual} bytes has not")]
    BadIdempotencyKey {
        /// The most characters allowed.
        limit: usize,
        /// The length of what was given, in bytes.
        actual: usize,
    },
    /// A direct upload by `PUT` or in parts whose size was not said.
    #[error("a direct upload by PUT or in parts needs the exact size")]
    SizeRequired,
    /// A direct upload that was not begun as a resumable one has no parts.
    #[error("the upload was not begun as one in parts")]
    NotInParts,
    /// A part that the direct upload does not have.
    #[error("a part of this upload has a number from 1 to {limit}, not {actual}")]
    BadPartNumber {
        /// The greatest number.
        limit: u16,
        /// What was asked for.
        actual: u16,
    },
    /// More parts than are signed at once.
    #[error("at most {limit} parts are signed at once, not {actual}")]
    TooManyParts {
        /// The most.
        limit: usize,
        /// How many were asked for.
        actual: usize,
    },
    /// A way of direct upload that the storage does not have.
    #[error("the storage takes no direct uploads by {method}; use {alternative}")]
    MethodUnsupported {
        /// The way that was asked for.
        method: &'static str,
        /// The way that works.
        alternative: &'static str,
    },
}

impl ObjectStoreError {
    /// A stable word for the cause, the same from every use case.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid(error) => error.code(),
            Self::NotFound => "not_found",
            Self::Forbidden => "forbidden",
            Self::UploadExpired => "upload_expired",
            Self::Conflict(error) => error.code(),
            Self::InProgress => "in_progress",
            Self::NotReceived => "upload_not_received",
            Self::Incomplete(_) => "upload_incomplete",
            Self::TooManyOrphans { .. } => "too_many_orphans",
            Self::VerifyStopped { source, .. } => source.code(),
            Self::QuotaExceeded { .. } => "quota_exceeded",
            Self::QuotaUnknown(_) => "quota_unknown",
            Self::Body(_) => "body_unreadable",
            Self::Storage(error) => storage_code(error),
            Self::Database(error) => database_code(error),
            Self::Inconsistent(_) => "database_inconsistent",
            Self::NoTransaction => "no_transaction",
            Self::Config(_) => "misconfigured",
            Self::Interrupted(_) => "interrupted",
        }
    }

    /// Whether the same request may succeed later without anyone mending anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Storage(error) => error.retry_class() != RetryClass::Never,
            Self::Database(error) => error.is_retryable(),
            Self::VerifyStopped { source, .. } => source.is_retryable(),
            Self::InProgress
            | Self::NotReceived
            | Self::Incomplete(_)
            | Self::QuotaUnknown(_)
            | Self::Interrupted(_) => true,
            Self::Invalid(_)
            | Self::NotFound
            | Self::Forbidden
            | Self::UploadExpired
            | Self::NoTransaction
            | Self::TooManyOrphans { .. }
            | Self::QuotaExceeded { .. }
            | Self::Conflict(_)
            | Self::Body(_)
            | Self::Inconsistent(_)
            | Self::Config(_) => false,
        }
    }
}

impl ValidationError {
    /// A stable word for the cause.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLarge { .. } => "too_large",
            Self::LengthMismatch { .. } => "length_mismatch",
            Self::UnsupportedType { .. } => "unsupported_type",
            Self::TypeMismatch { .. } => "type_mismatch",
            Self::Corrupt { .. } => "corrupt",
            Self::TrailingData { .. } => "trailing_data",
            Self::TooManyPixels { .. } => "too_many_pixels",
            Self::SideTooLong { .. } => "side_too_long",
            Self::TooManyFrames { .. } => "too_many_frames",
            Self::TooLong { .. } => "too_long",
            Self::TooComplex { .. } => "too_complex",
            Self::BadCursor(_) => "bad_cursor",
            Self::BadPageSize { .. } => "bad_page_size",
            Self::BadUrlLife { .. } => "bad_url_life",
            Self::BadRange { .. } => "bad_range",
            Self::BadIdempotencyKey { .. } => "bad_idempotency_key",
            Self::SizeRequired => "size_required",
            Self::NotInParts => "upload_not_in_parts",
            Self::BadPartNumber { .. } => "bad_part_number",
            Self::TooManyParts { .. } => "too_many_parts",
            Self::MethodUnsupported { .. } => "upload_method_unsupported",
        }
    }
}

fn storage_code(error: &StorageError) -> &'static str {
    match error {
        StorageError::NotFound { .. } => "storage_object_missing",
        StorageError::BucketMissing => "storage_bucket_missing",
        StorageError::AccessDenied { .. } => "storage_access_denied",
        StorageError::Unavailable { .. } => "storage_unavailable",
        StorageError::Corrupted { .. } => "storage_corrupted",
        StorageError::PreconditionFailed
        | StorageError::UploadMissing { .. }
        | StorageError::RangeNotSatisfiable
        | StorageError::Body(_)
        | StorageError::Unsupported { .. }
        | StorageError::InvalidRequest { .. }
        | StorageError::Other { .. } => "storage_failed",
    }
}

fn database_code(error: &RepoError) -> &'static str {
    match error {
        RepoError::Unavailable { .. } | RepoError::Serialization { .. } => "database_unavailable",
        RepoError::CommitUnknown { .. } => "database_commit_unknown",
        RepoError::MigrationsPending { .. } => "database_migrations_pending",
        RepoError::UnsupportedUrl | RepoError::Misconfigured { .. } => "database_misconfigured",
        RepoError::Conflict { .. }
        | RepoError::Aborted { .. }
        | RepoError::Migration { .. }
        | RepoError::Query { .. } => "database_failed",
    }
}

impl From<StorageError> for ObjectStoreError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<RepoError> for ObjectStoreError {
    fn from(error: RepoError) -> Self {
        match error {
            RepoError::Conflict { .. } => Self::Conflict(ConflictError::Taken(error)),
            error => Self::Database(error),
        }
    }
}

impl From<CorruptRow> for ObjectStoreError {
    fn from(error: CorruptRow) -> Self {
        Self::Inconsistent(error)
    }
}

/// An error with its causes, for a log line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
