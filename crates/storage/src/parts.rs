use crate::error::{StorageError, StorageResult};

/// How many parts an object has at most (AWS user guide, "Amazon S3 multipart upload limits").
pub const MAX_PARTS: u16 = 10_000;

/// Every part but the last has at least so many bytes (same source).
pub const MIN_PART_BYTES: u64 = 5 << 20;

/// A part that storage has received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadedPart {
    /// From 1 to [`MAX_PARTS`].
    pub number: u16,
    /// Its size.
    pub size_bytes: u64,
    /// The entity tag, without quotes.
    pub etag: String,
}

/// One page of the parts of a multipart upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartPage {
    /// Ascending by number.
    pub parts: Vec<UploadedPart>,
    /// Whether storage has more after the last of them. A page that has more is not empty.
    pub has_more: bool,
}

/// Checks the number of a part.
///
/// # Errors
/// [`StorageError::InvalidRequest`] when it is not 1 to [`MAX_PARTS`].
pub fn part_number(number: u16) -> StorageResult<u16> {
    if (1..=MAX_PARTS).contains(&number) {
        return Ok(number);
    }
    Err(StorageError::InvalidRequest { reason: format!("a part has a number from 1 to {MAX_PARTS}, not {number}") })
}
