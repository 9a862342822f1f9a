use serde::Serialize;

/// What the erasure of a user's media has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct EraseReport {
    /// Images that were deleted.
    pub images: u64,
    /// Audio files that were deleted.
    pub audios: u64,
    /// Uploads under way, or staged and not committed, that were ended.
    pub uploads: u64,
}

impl EraseReport {
    /// How many objects the next sweeps remove.
    pub fn total(&self) -> u64 {
        self.images + self.audios + self.uploads
    }
}
