//! Storage that fails when a test says so.

mod late;
mod storage;
mod stream;

#[cfg(test)]
mod tests;

use std::fmt;
use std::future::{Future, pending};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use object_store_storage::{ObjectKey, ObjectStorage, StorageError, StorageResult};

/// An operation of [`ObjectStorage`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// [`ObjectStorage::put`].
    Put,
    /// [`ObjectStorage::get`].
    Get,
    /// [`ObjectStorage::head`].
    Head,
    /// [`ObjectStorage::copy`].
    Copy,
    /// [`ObjectStorage::delete`].
    Delete,
    /// [`ObjectStorage::list_page`].
    ListPage,
    /// [`ObjectStorage::list_multipart_uploads`].
    ListMultipartUploads,
    /// [`ObjectStorage::abort_multipart_upload`].
    AbortMultipartUpload,
    /// [`ObjectStorage::create_multipart_upload`].
    CreateMultipartUpload,
    /// [`ObjectStorage::list_parts`].
    ListParts,
    /// [`ObjectStorage::complete_multipart_upload`].
    CompleteMultipartUpload,
    /// [`ObjectStorage::presign_get`].
    PresignGet,
    /// [`ObjectStorage::presign_put`].
    PresignPut,
    /// [`ObjectStorage::presign_part`].
    PresignPart,
    /// [`ObjectStorage::presign_post`].
    PresignPost,
    /// [`ObjectStorage::probe_capabilities`].
    ProbeCapabilities,
    /// [`ObjectStorage::check_up`], which never fails: its findings are its answer.
    CheckUp,
    /// [`ObjectStorage::apply_fix`].
    ApplyFix,
    /// [`ObjectStorage::bucket_info`].
    BucketInfo,
    /// [`ObjectStorage::ensure_bucket`].
    EnsureBucket,
}

/// Which calls fail, counted from 1 and from when the fault was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Only the n-th.
    Nth(usize),
    /// The n-th and all later ones.
    From(usize),
    /// Every one.
    Always,
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Refused before it had an effect, and the caller can know that: a refused connection, a 503.
    Unavailable,
    /// It had no effect, but the caller cannot know: a request that was lost on its way.
    RequestLost,
    /// It had its effect, but the caller cannot know: an answer that was lost on its way. Whatever the storage itself
    /// answered, an error included, is lost with it.
    ReplyLost,
    /// Never answers, and has no effect.
    HangBefore,
    /// Has its effect, and never answers.
    HangAfter,
    /// Refused: the credentials may not do this.
    AccessDenied,
    /// Refused: there is no bucket.
    BucketMissing,
    /// Refused: the bytes are not those announced.
    Corrupted,
    /// Refused: this storage cannot do that.
    Unsupported,
    /// Refused: a condition of the call does not hold.
    PreconditionFailed,
    /// A download whose connection breaks after so many bytes. Only for [`Operation::Get`]. One that has no more bytes
    /// than that arrives whole, and then breaks.
    CutDownload {
        /// How many bytes arrive.
        after_bytes: u64,
    },
    /// A download of the right length in which one bit differs, unnoticed by the transport. Only for
    /// [`Operation::Get`]; nothing differs when there are not so many bytes.
    FlipDownload {
        /// Which byte, counted from 0 and from the start of the range that is read.
        at: u64,
    },
    /// A page of a listing that ends after so many objects or multipart uploads, and says that it is the last. Only for
    /// [`Operation::ListPage`] and [`Operation::ListMultipartUploads`].
    CutListing {
        /// How many are listed.
        after_objects: usize,
    },
}

/// One call, as it reached the storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// What was asked for.
    pub operation: Operation,
    /// Of which object. A copy's destination; `None` for calls that are not about one object.
    pub key: Option<ObjectKey>,
    /// A copy's source.
    pub source: Option<ObjectKey>,
    /// How it was made to fail, if it was.
    pub fault: Option<Fault>,
}

/// A storage in front of another one: it notes every call, and fails those that a test asks it to.
///
/// Without faults it is the storage behind it. Shared by `Arc`, it can be told new faults while it is in use.
pub struct FaultyStorage {
    inner: Arc<dyn ObjectStorage>,
    suspending: bool,
    timeless: bool,
    swaps_copies: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    calls: Vec<Call>,
    /// Whether each change is under way.
    changes: Vec<bool>,
    /// How often the calls were forgotten.
    round: usize,
    keeps_late_changes: bool,
    late: Vec<late::LateChange>,
}

struct Rule {
    /// `None` is any operation.
    operation: Option<Operation>,
    when: When,
    fault: Fault,
    matched: usize,
}

impl FaultyStorage {
    /// In front of `inner`, without any fault.
    pub fn new(inner: Arc<dyn ObjectStorage>) -> Self {
        Self {
            inner,
            suspending: false,
            timeless: false,
            swaps_copies: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }

    /// Makes every call wait once before its effect and once after it, as calls over a network do. So a future can be
    /// dropped ([`drop_at_suspension`](crate::suspension::drop_at_suspension)) on both sides of the effect even when
    /// the storage behind never waits.
    #[must_use]
    pub fn suspending(mut self) -> Self {
        self.suspending = true;
        self
    }

    /// Does not tell when objects were written, as not every storage does.
    #[must_use]
    pub fn timeless(mut self) -> Self {
        self.timeless = true;
        self
    }

    /// Makes calls of one operation fail. Faults asked for earlier come first; each counts the calls for itself.
    ///
    /// # Panics
    /// When a fault of downloads is asked for another operation than [`Operation::Get`], or one of listings for another
    /// than a listing.
    pub fn fail(&self, operation: Operation, when: When, fault: Fault) {
        assert!(
            operation == Operation::Get || !fault.is_of_downloads(),
            "{fault:?} can only happen to a get, not to {operation:?}"
        );
        assert!(
            operation.is_listing() || !fault.is_of_listings(),
            "{fault:?} can only happen to a listing, not to {operation:?}"
        );
        self.lock().rules.push(Rule { operation: Some(operation), when, fault, matched: 0 });
    }

    /// Makes calls fail, whatever they ask for, counted over all operations.
    ///
    /// # Panics
    /// When a fault of downloads or of listings is asked for.
    pub fn fail_any(&self, when: When, fault: Fault) {
        assert!(!fault.is_of_downloads(), "{fault:?} can only happen to a get, not to any operation");
        assert!(!fault.is_of_listings(), "{fault:?} can only happen to a listing, not to any operation");
        self.lock().rules.push(Rule { operation: None, when, fault, matched: 0 });
    }

    /// Makes every copy be of other bytes than were there, in one bit, without a condition failing: what a client does
    /// that has two files with the same MD5, and puts the second between the look at the first and its copy.
    pub fn swap_copies(&self) {
        self.swaps_copies.store(true, Ordering::Relaxed);
    }

    /// Forgets all faults: from now on nothing fails. Calls that hang go on hanging.
    pub fn heal(&self) {
        self.swaps_copies.store(false, Ordering::Relaxed);
        self.lock().rules.clear();
    }

    /// All calls since the beginning, or since [`FaultyStorage::forget_calls`], in their order.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// How many of the noted calls were of this operation.
    pub fn count(&self, operation: Operation) -> usize {
        self.lock().calls.iter().filter(|call| call.operation == operation).count()
    }

    /// Forgets the noted calls.
    pub fn forget_calls(&self) {
        let mut state = self.lock();
        state.calls.clear();
        state.changes.clear();
        state.round += 1;
    }

    /// Notes a call and does it, or fails it.
    async fn run<T>(
        &self,
        subject: Subject<'_>,
        call: impl Future<Output = StorageResult<T>> + Send,
    ) -> StorageResult<T> {
        let fault = self.note(subject);
        self.do_or_fail(fault, call).await
    }

    async fn do_or_fail<T>(
        &self,
        fault: Option<Fault>,
        call: impl Future<Output = StorageResult<T>> + Send,
    ) -> StorageResult<T> {
        self.suspend().await;
        match fault {
            None | Some(Fault::CutDownload { .. } | Fault::FlipDownload { .. } | Fault::CutListing { .. }) => {
                let answer = call.await;
                self.suspend().await;
                answer
            }
            Some(Fault::ReplyLost) => {
                let _lost = call.await;
                self.suspend().await;
                Err(unavailable("the reply was lost", true))
            }
            Some(Fault::HangAfter) => {
                let _never_told = call.await;
                pending().await
            }
            Some(Fault::HangBefore) => pending().await,
            Some(Fault::Unavailable) => Err(unavailable("503 SlowDown", false)),
            Some(Fault::RequestLost) => Err(unavailable("the request was lost", true)),
            Some(Fault::AccessDenied) => Err(StorageError::AccessDenied { code: "AccessDenied".to_owned() }),
            Some(Fault::BucketMissing) => Err(StorageError::BucketMissing),
            Some(Fault::Unsupported) => Err(StorageError::Unsupported { operation: "that" }),
            Some(Fault::PreconditionFailed) => Err(StorageError::PreconditionFailed),
            Some(Fault::Corrupted) => Err(StorageError::Corrupted { reason: "digest" }),
        }
    }

    async fn suspend(&self) {
        if self.suspending {
            tokio::task::yield_now().await;
        }
    }

    fn note(&self, subject: Subject<'_>) -> Option<Fault> {
        let mut state = self.lock();
        // Every rule counts, also those behind the one that decides.
        let due: Vec<Fault> =
            state.rules.iter_mut().filter_map(|rule| rule.due(subject.operation).then_some(rule.fault)).collect();
        let fault = due.first().copied();
        state.calls.push(Call {
            operation: subject.operation,
            key: subject.key.cloned(),
            source: subject.source.cloned(),
            fault,
        });
        fault
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A test that panicked while it looked has changed nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for FaultyStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyStorage").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl Fault {
    fn is_of_downloads(self) -> bool {
        matches!(self, Self::CutDownload { .. } | Self::FlipDownload { .. })
    }

    fn is_of_listings(self) -> bool {
        matches!(self, Self::CutListing { .. })
    }
}

impl Rule {
    fn due(&mut self, operation: Operation) -> bool {
        if self.operation.is_some_and(|only| only != operation) {
            return false;
        }
        self.matched += 1;
        match self.when {
            When::Nth(n) => self.matched == n,
            When::From(n) => self.matched >= n,
            When::Always => true,
        }
    }
}

/// What a call is about.
#[derive(Clone, Copy)]
struct Subject<'a> {
    operation: Operation,
    key: Option<&'a ObjectKey>,
    source: Option<&'a ObjectKey>,
}

impl Operation {
    fn is_listing(self) -> bool {
        matches!(self, Self::ListPage | Self::ListMultipartUploads)
    }

    fn of(self, key: &ObjectKey) -> Subject<'_> {
        Subject { operation: self, key: Some(key), source: None }
    }

    fn of_none(self) -> Subject<'static> {
        Subject { operation: self, key: None, source: None }
    }
}

fn unavailable(reason: &str, outcome_unknown: bool) -> StorageError {
    StorageError::Unavailable { reason: reason.to_owned(), outcome_unknown, source: None }
}
