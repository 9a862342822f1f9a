//! What the bytes are, and the module's words for why they are refused.

use std::io::{Cursor, Read, Seek};
use std::time::Duration;

use bytes::Bytes;
use object_store_media::{Facts, Format, FormatSet, Kind, MediaError, Policy, Probe};
use object_store_storage::StorageError;

use crate::error::{ObjectStoreError, Result, ValidationError};
use crate::settings::Limits;

/// The media crate's policy for one upload.
pub(crate) fn policy(limits: &Limits, expected: Option<Kind>, declared: Option<String>) -> Policy {
    Policy {
        accepted: limits.formats.iter().copied().collect::<FormatSet>(),
        expected,
        declared,
        limits: object_store_media::Limits {
            max_pixels: limits.max_pixels,
            max_side: limits.max_side,
            max_frames: limits.max_frames,
            max_duration_ms: u64::try_from(limits.max_duration.as_millis()).unwrap_or(u64::MAX),
            ..object_store_media::Limits::default()
        },
    }
}

/// The largest file that can turn out to be acceptable.
pub(crate) fn max_bytes(limits: &Limits, kind: Option<Kind>) -> u64 {
    match kind {
        Some(Kind::Image) => limits.max_image_bytes,
        Some(Kind::Audio) => limits.max_audio_bytes,
        None => limits.max_image_bytes.max(limits.max_audio_bytes),
    }
}

/// Type and facts of bytes in memory.
pub(crate) fn of_bytes(bytes: &Bytes, policy: &Policy) -> Result<(Format, Facts)> {
    of_source(Cursor::new(bytes), policy)
}

/// Type and facts of whatever can be read and seeked. Blocks.
pub(crate) fn of_source(source: impl Read + Seek, policy: &Policy) -> Result<(Format, Facts)> {
    let Probe { format, facts, .. } = object_store_media::probe(source, policy).map_err(translate)?;
    Ok((format, facts))
}

/// The type of a file of which only the beginning is there.
pub(crate) fn format_of_head(head: &[u8], policy: &Policy) -> Result<Format> {
    object_store_media::identify(head, policy).map_err(translate)
}

fn translate(error: MediaError) -> ObjectStoreError {
    let invalid = match error {
        MediaError::Empty => ValidationError::Empty,
        MediaError::UnsupportedType { detected } => ValidationError::UnsupportedType { detected },
        MediaError::TypeMismatch { declared, detected } => {
            ValidationError::TypeMismatch { declared, detected: detected.to_owned() }
        }
        MediaError::KindMismatch { expected, detected } => {
            ValidationError::TypeMismatch { declared: expected.name().to_owned(), detected: detected.to_owned() }
        }
        MediaError::Corrupt { format, reason } => {
            ValidationError::Corrupt { format: format.name(), reason: reason.to_owned() }
        }
        MediaError::TrailingData { format, bytes } => ValidationError::TrailingData { format: format.name(), bytes },
        MediaError::TooManyPixels { width, height, limit } => ValidationError::TooManyPixels { limit, width, height },
        MediaError::TooLargeSide { width, height, limit } => ValidationError::SideTooLong { limit, width, height },
        MediaError::TooManyFrames { actual, limit } => ValidationError::TooManyFrames { limit, actual },
        MediaError::TooLong { actual_ms, limit_ms } => ValidationError::TooLong {
            limit: Duration::from_millis(limit_ms),
            actual: Duration::from_millis(actual_ms),
        },
        MediaError::BudgetExceeded { resource, limit } => ValidationError::TooComplex { resource, limit },
        MediaError::Read(error) => return unreadable(error),
    };
    invalid.into()
}

/// A failed read is storage's fault when the bytes are read back from there.
fn unreadable(error: std::io::Error) -> ObjectStoreError {
    match error.downcast::<StorageError>() {
        Ok(error) => ObjectStoreError::Storage(error),
        Err(error) => ObjectStoreError::Body(error),
    }
}
