//! What is welcome, and how much may be spent to find out.

use crate::error::MediaError;
use crate::format::{FormatSet, Kind};

/// What a caller accepts.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Formats that are welcome.
    pub accepted: FormatSet,
    /// The kind that was asked for; `None` when either will do.
    pub expected: Option<Kind>,
    /// The content type that the uploader declared. `None`, an empty one and `application/octet-stream` say nothing.
    pub declared: Option<String>,
    /// Bounds on facts and on work.
    pub limits: Limits,
}

/// Bounds on what the facts may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Stored width times height; 50 megapixels by default.
    pub max_pixels: u64,
    /// Stored pixels a side; 16,384 by default.
    pub max_side: u32,
    /// Frames of an animation; 1,000 by default.
    pub max_frames: u32,
    /// Milliseconds of sound; 24 hours by default.
    pub max_duration_ms: u64,
    /// What one probe may spend.
    pub budget: Budget,
}

/// What one probe may spend before it gives up. Together they bound its time, whatever the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Bytes fetched from the source; 64 MiB by default.
    pub bytes: u64,
    /// Seeks of the source: over a remote object, requests; 16,384 by default.
    pub seeks: u64,
    /// Steps of the readers; 500,000 by default. One step is a chunk, box, page or frame, a look at fetched bytes, or 64
    /// bytes that are looked through.
    pub steps: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { bytes: 64 << 20, seeks: 16_384, steps: 500_000 }
    }
}

/// What a probe spent of its [`Budget`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// Bytes fetched from the source.
    pub bytes: u64,
    /// Seeks of the source, besides the one that finds its length.
    pub seeks: u64,
    /// Steps of the readers.
    pub steps: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_pixels: 50_000_000,
            max_side: 16_384,
            max_frames: 1_000,
            max_duration_ms: 24 * 60 * 60 * 1000,
            budget: Budget::default(),
        }
    }
}

impl Limits {
    /// Checks the stored size of a picture, as soon as the header has told it. Zero is the format reader's affair.
    pub(crate) fn check_size(&self, width: u32, height: u32) -> Result<(), MediaError> {
        if u64::from(width) * u64::from(height) > self.max_pixels {
            return Err(MediaError::TooManyPixels { width, height, limit: self.max_pixels });
        }
        if width.max(height) > self.max_side {
            return Err(MediaError::TooLargeSide { width, height, limit: self.max_side });
        }
        Ok(())
    }

    pub(crate) fn check_frames(&self, actual: u32) -> Result<(), MediaError> {
        if actual > self.max_frames {
            return Err(MediaError::TooManyFrames { limit: self.max_frames, actual });
        }
        Ok(())
    }

    pub(crate) fn check_duration(&self, actual_ms: Option<u64>) -> Result<(), MediaError> {
        match actual_ms {
            Some(actual_ms) if actual_ms > self.max_duration_ms => {
                Err(MediaError::TooLong { limit_ms: self.max_duration_ms, actual_ms })
            }
            _ => Ok(()),
        }
    }
}
