//! Changes that outlive their callers, as a request that is on its way when a process dies.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use object_store_storage::StorageResult;

use super::{Fault, FaultyStorage, Subject};

/// A change that nobody waits for any more.
pub(super) type LateChange = BoxFuture<'static, ()>;

impl FaultyStorage {
    /// From now on, a change (a put, copy, delete or abort) whose caller goes away before it took effect, or was told that
    /// its outcome is unknown, is kept instead of dropped: [`FaultyStorage::land_late_changes`] lets it take effect after
    /// all. Until then a multipart upload that it had begun is open, as it is when nobody is left to abort it.
    pub fn keep_late_changes(&self) {
        self.lock().keeps_late_changes = true;
    }

    /// Lets all changes take effect that were kept, in the order in which they were given up, and returns how many.
    pub async fn land_late_changes(&self) -> usize {
        let late = std::mem::take(&mut self.lock().late);
        let count = late.len();
        for change in late {
            change.await;
        }
        count
    }

    /// How many changes are kept.
    pub fn late_changes(&self) -> usize {
        self.lock().late.len()
    }

    /// Forgets the changes that were kept: they never take effect.
    pub fn lose_late_changes(&self) {
        // Dropped when the lock is released, since dropping them may do anything.
        let _lost = std::mem::take(&mut self.lock().late);
    }

    /// How many changes were asked for since the beginning, or since [`FaultyStorage::forget_calls`].
    pub fn changes_begun(&self) -> usize {
        self.lock().changes.len()
    }

    /// Whether the `nth` of them, counted from 1, was asked for and has not taken effect.
    pub fn is_under_way(&self, nth: usize) -> bool {
        let number = nth.checked_sub(1);
        number.and_then(|number| self.lock().changes.get(number).copied()).unwrap_or_default()
    }

    /// Notes a change and does it, or fails it, or keeps it for later.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        subject: Subject<'_>,
        call: impl Future<Output = StorageResult<T>> + Send + 'static,
    ) -> StorageResult<T> {
        let fault = self.note(subject);
        let can_be_late = fault.is_none_or(Fault::leaves_the_outcome_open);
        let change = Change::begin(self, Box::pin(call), can_be_late);
        self.do_or_fail(fault, change).await
    }

    fn begin_change(&self) -> (usize, usize) {
        let mut state = self.lock();
        state.changes.push(true);
        (state.round, state.changes.len() - 1)
    }

    /// Nothing, if the calls were forgotten meanwhile.
    fn end_change(&self, (round, number): (usize, usize)) {
        let mut state = self.lock();
        if state.round == round
            && let Some(is_under_way) = state.changes.get_mut(number)
        {
            *is_under_way = false;
        }
    }

    fn keep(&self, change: LateChange) {
        let mut state = self.lock();
        if state.keeps_late_changes {
            state.late.push(change);
        }
    }
}

impl Fault {
    fn leaves_the_outcome_open(self) -> bool {
        matches!(self, Self::RequestLost | Self::ReplyLost | Self::HangBefore | Self::HangAfter)
    }
}

/// A change that is kept when it is dropped before it took effect.
struct Change<'a, T: Send + 'static> {
    storage: &'a FaultyStorage,
    number: (usize, usize),
    can_be_late: bool,
    call: Option<BoxFuture<'static, StorageResult<T>>>,
}

impl<'a, T: Send + 'static> Change<'a, T> {
    fn begin(storage: &'a FaultyStorage, call: BoxFuture<'static, StorageResult<T>>, can_be_late: bool) -> Self {
        Self { storage, number: storage.begin_change(), can_be_late, call: Some(call) }
    }
}

impl<T: Send + 'static> Future for Change<'_, T> {
    type Output = StorageResult<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(call) = self.call.as_mut() else { return Poll::Pending };
        let answer = std::task::ready!(call.as_mut().poll(context));
        self.call = None;
        self.storage.end_change(self.number);
        Poll::Ready(answer)
    }
}

impl<T: Send + 'static> Drop for Change<'_, T> {
    fn drop(&mut self) {
        let Some(call) = self.call.take() else { return };
        self.storage.end_change(self.number);
        if self.can_be_late {
            self.storage.keep(Box::pin(async move {
                let _nobody_asks = call.await;
            }));
        }
    }
}
