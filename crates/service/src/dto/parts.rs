use std::fmt;

use object_store_models::Timestamp;
use serde::Serialize;

/// What has arrived of a direct upload in parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UploadParts {
    /// The size of the whole file.
    pub size_bytes: u64,
    /// The size of each part but the last, which has what is left: part `n` begins at byte `(n - 1) * part_bytes`.
    pub part_bytes: u64,
    /// How many parts there are, numbered from 1.
    pub part_count: u16,
    /// Those that storage has, ascending.
    pub received: Vec<ReceivedPart>,
    /// The numbers of those that are still to be sent, ascending. None: complete the upload.
    pub missing: Vec<u16>,
    /// Until when they can be sent.
    pub expires_at: Timestamp,
}

/// A part that storage has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReceivedPart {
    /// Which one.
    pub number: u16,
    /// Its size.
    pub size_bytes: u64,
    /// Its entity tag; `None` once the parts were joined.
    pub etag: Option<String>,
}

/// Where a client puts one part. `Debug` does not show the signature.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct SignedPart {
    /// Which one.
    pub number: u16,
    /// How many bytes it has: no more and no fewer are taken.
    pub size_bytes: u64,
    /// Where to `PUT` its bytes.
    pub url: String,
    /// The headers to send. Browsers send `content-length` by themselves.
    pub headers: Vec<(String, String)>,
    /// Until when.
    pub expires_at: Timestamp,
}

impl fmt::Debug for SignedPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unsigned = self.url.split('?').next().unwrap_or_default();
        f.debug_struct("SignedPart")
            .field("number", &self.number)
            .field("size_bytes", &self.size_bytes)
            .field("url", &unsigned)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
