//! The reference implementation of the port: a bucket in memory that signs URLs which it can verify.

mod client;
mod parts;
mod signed;
mod state;
mod storage;

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::key::ObjectKey;
use state::{State, StoredObject};

pub use signed::{Fetched, SignedRequestRefused};
pub use state::Calls;

/// How long the secret is: one block of SHA-256, so that HMAC takes it as it is.
const SECRET_BYTES: usize = 64;

/// A bucket in memory. Clones share it.
///
/// It has no size limit. A `put` of unknown length that exceeds [`Memory::MULTIPART_THRESHOLD`] shows up in
/// `list_multipart_uploads` until it ends, as it does in S3.
#[derive(Clone)]
pub struct Memory {
    shared: Arc<Shared>,
}

struct Shared {
    secret: [u8; SECRET_BYTES],
    state: Mutex<State>,
}

impl Memory {
    /// A body of unknown length above so many bytes is a multipart upload.
    pub const MULTIPART_THRESHOLD: usize = 8 * 1024 * 1024;

    /// An empty bucket with a secret of its own.
    pub fn new() -> Self {
        Self { shared: Arc::new(Shared { secret: random_secret(), state: Mutex::new(State::default()) }) }
    }

    /// Sets the storage's clock forward: signed URLs expire, objects that are put from now on are younger.
    pub fn advance(&self, by: Duration) {
        self.state().clock_ahead += by;
    }

    /// The storage's clock: the real time plus all that it was advanced by.
    pub fn now(&self) -> SystemTime {
        self.state().now()
    }

    /// Makes the bucket disappear (every call then answers `BucketMissing`) or brings it back with what it held.
    pub fn set_bucket_missing(&self, missing: bool) {
        self.state().bucket_missing = missing;
    }

    /// How many objects there are.
    pub fn object_count(&self) -> usize {
        self.state().objects.len()
    }

    /// The keys of all objects, ascending.
    pub fn keys(&self) -> Vec<String> {
        self.state().objects.keys().cloned().collect()
    }

    /// How often each operation was called so far.
    pub fn calls(&self) -> Calls {
        self.state().calls
    }

    /// Stores an object past the port: one whose key no [`ObjectKey`] can be, or one that got here by other means.
    /// Not counted as a call.
    pub fn insert_foreign(&self, key: &str, content_type: &str, bytes: impl Into<Bytes>) {
        let mut state = self.state();
        let object = StoredObject::new(bytes.into(), content_type, state.now());
        state.objects.insert(key.to_owned(), object);
    }

    /// Loses an object, as storage never should. True if it was there. Not counted as a call.
    pub fn lose(&self, key: &ObjectKey) -> bool {
        self.state().objects.remove(key.as_str()).is_some()
    }

    /// Begins a multipart upload that nobody completes, and returns its name. Not counted as a call.
    pub fn begin_multipart_upload(&self, key: &ObjectKey) -> String {
        self.state().begin_upload(key, "")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change under the lock is a single insert or remove, so that a panic elsewhere leaves a whole state.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("object_count", &self.object_count()).finish_non_exhaustive()
    }
}

/// The standard library seeds its hashers from the system's randomness, and cannot fail at it. That is enough for URLs
/// which live and die with this process.
fn random_secret() -> [u8; SECRET_BYTES] {
    let mut secret = [0; SECRET_BYTES];
    for (position, piece) in secret.chunks_exact_mut(8).enumerate() {
        piece.copy_from_slice(&RandomState::new().hash_one(position).to_ne_bytes());
    }
    secret
}
