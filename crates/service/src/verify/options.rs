use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a verify does.
#[derive(Debug, Clone)]
pub struct VerifyOptions {
    /// Whether objects that nothing names, and multipart uploads that nobody goes on with, are handed to the sweep.
    pub repair: bool,
    /// How old an object or a multipart upload has to be to be called one that nothing names, by the storage's clock. 24
    /// hours by default.
    pub grace: Duration,
    /// Whether the bytes of all objects are read and their digests compared, and at how many bytes a second at most.
    pub rehash: Option<NonZeroU64>,
    /// How much may be handed to the sweep at most; `None` for 100, or 1 % of the listed objects if that is more. Beyond
    /// it nothing is.
    pub max_orphans: Option<u64>,
    /// The key after which to begin; `None` for all. For a verify that goes on where another stopped.
    pub start_after: Option<String>,
    /// How far it is. Keep a clone to look at.
    pub progress: Arc<VerifyProgress>,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self {
            repair: false,
            grace: Duration::from_hours(24),
            rehash: None,
            max_orphans: None,
            start_after: None,
            progress: Arc::default(),
        }
    }
}

impl VerifyOptions {
    /// A verify that hands to the sweep what it confirms.
    pub fn repairing() -> Self {
        Self { repair: true, ..Self::default() }
    }
}

/// How far a verify is.
#[derive(Debug, Default)]
pub struct VerifyProgress {
    expected_rows: AtomicU64,
    rows: AtomicU64,
}

impl VerifyProgress {
    /// About how many rows there were when it began; 0 before that.
    pub fn expected_rows(&self) -> u64 {
        self.expected_rows.load(Ordering::Relaxed)
    }

    /// How many rows have been compared.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    pub(super) fn expect(&self, rows: u64) {
        self.expected_rows.store(rows, Ordering::Relaxed);
        self.rows.store(0, Ordering::Relaxed);
    }

    pub(super) fn add(&self, rows: usize) {
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
    }
}
