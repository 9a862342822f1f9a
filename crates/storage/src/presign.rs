use std::fmt;
use std::time::{Duration, SystemTime};

use crate::error::{StorageError, StorageResult};

/// The longest life of a presigned URL, in seconds: 7 days, the limit of Signature Version 4 (AWS API reference,
/// "Authenticating Requests: Using Query Parameters", `X-Amz-Expires`).
pub const MAX_PRESIGN_SECONDS: u32 = 7 * 24 * 60 * 60;

/// How a presigned `GET` answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresignGet {
    /// How long the URL works: whole seconds, 1 to [`MAX_PRESIGN_SECONDS`].
    pub expires_in: Duration,
    /// The `Content-Type` of the answer, in place of the stored one.
    pub content_type: Option<String>,
    /// The `Content-Disposition` of the answer. Printable ASCII.
    pub content_disposition: Option<String>,
}

/// What a presigned `PUT` accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresignPut {
    /// How long the URL works: whole seconds, 1 to [`MAX_PRESIGN_SECONDS`].
    pub expires_in: Duration,
    /// The content type that the client must send.
    pub content_type: String,
    /// The length that the client must send.
    pub content_length: u64,
    /// The MD5 that the client must send, if it is known.
    pub content_md5: Option<[u8; 16]>,
}

/// What a presigned `PUT` of a part of a multipart upload accepts. `Debug` does not show the upload's name.
#[derive(Clone, PartialEq, Eq)]
pub struct PresignPart {
    /// How long the URL works: whole seconds, 1 to [`MAX_PRESIGN_SECONDS`].
    pub expires_in: Duration,
    /// The storage's name for the upload.
    pub upload_id: String,
    /// Which part, from 1 to [`MAX_PARTS`](crate::MAX_PARTS).
    pub part_number: u16,
    /// The length that the client must send.
    pub content_length: u64,
}

/// What a presigned `POST` accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresignPost {
    /// How long the form works: whole seconds, 1 to [`MAX_PRESIGN_SECONDS`].
    pub expires_in: Duration,
    /// The content type that the client must send.
    pub content_type: String,
    /// The fewest bytes, at least 1.
    pub min_bytes: u64,
    /// The most bytes.
    pub max_bytes: u64,
}

/// A signed request that anyone who has it can send. `Debug` does not show the signature.
#[derive(Clone, PartialEq, Eq)]
pub struct PresignedUrl {
    /// The URL.
    pub url: String,
    /// The headers that must be sent with it, as signed.
    pub headers: Vec<(String, String)>,
    /// When it stops working.
    pub expires_at: SystemTime,
}

/// A signed form. The file goes last, as the field `file` (AWS API reference, "POST Object"). `Debug` does not show the
/// signature.
#[derive(Clone, PartialEq, Eq)]
pub struct PresignedPost {
    /// Where to `POST` the form, as `multipart/form-data`.
    pub url: String,
    /// The fields, in order.
    pub fields: Vec<(String, String)>,
    /// When it stops working.
    pub expires_at: SystemTime,
}

/// Checks the life of a signed URL, in whole seconds.
///
/// # Errors
/// [`StorageError::InvalidRequest`] when it is under 1 second or above [`MAX_PRESIGN_SECONDS`].
pub fn presign_seconds(expires_in: Duration) -> StorageResult<u32> {
    u32::try_from(expires_in.as_secs()).ok().filter(|seconds| (1..=MAX_PRESIGN_SECONDS).contains(seconds)).ok_or_else(
        || StorageError::InvalidRequest {
            reason: format!("a signed URL lives 1 to {MAX_PRESIGN_SECONDS} seconds, not {} s", expires_in.as_secs()),
        },
    )
}

impl fmt::Debug for PresignPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresignPart")
            .field("expires_in", &self.expires_in)
            .field("part_number", &self.part_number)
            .field("content_length", &self.content_length)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for PresignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unsigned = self.url.split('?').next().unwrap_or_default();
        f.debug_struct("PresignedUrl")
            .field("url", &unsigned)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for PresignedPost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresignedPost")
            .field("url", &self.url)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
