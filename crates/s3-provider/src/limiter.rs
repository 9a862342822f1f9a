//! How many requests are in flight: fewer after a server has asked for less, and slowly more again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// However slow a server asks us to be, so many requests go on: one that hangs must not hold up all others.
const LEAST: usize = 4;

/// Refusals within this time of each other are one: the requests they answer were in flight together.
const SAME_BURST: Duration = Duration::from_millis(500);

/// Additive increase, multiplicative decrease, as TCP does it (RFC 5681, section 3.1): a refusal for lack of capacity
/// halves the limit, as many successes as the limit raise it by one.
#[derive(Debug)]
pub(crate) struct Limiter {
    permits: Arc<Semaphore>,
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: usize,
    /// How many permits are out that go when they come back.
    excess: usize,
    successes: usize,
    halved_at: Option<Instant>,
}

/// The right to have one request in flight. Given back when it is dropped.
#[derive(Debug)]
pub(crate) struct InFlight {
    limiter: Arc<Limiter>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Limiter {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        let state = State { limit: most, excess: 0, successes: 0, halved_at: None };
        Arc::new(Self { permits: Arc::new(Semaphore::new(most)), most, state: Mutex::new(state) })
    }

    /// Waits until one more may be in flight.
    pub(crate) async fn enter(self: &Arc<Self>) -> InFlight {
        // The semaphore is never closed; if it were, nothing would be limited.
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
        InFlight { limiter: Arc::clone(self), permit }
    }

    /// The server has answered, and not that it has too much to do.
    pub(crate) fn succeeded(&self) {
        let mut state = self.lock();
        if state.limit == self.most {
            return;
        }
        state.successes += 1;
        if state.successes < state.limit {
            return;
        }
        state.successes = 0;
        state.limit += 1;
        if state.excess > 0 {
            state.excess -= 1;
        } else {
            self.permits.add_permits(1);
        }
    }

    /// The server has too much to do.
    pub(crate) fn throttled(&self) {
        let now = Instant::now();
        let mut state = self.lock();
        if state.halved_at.is_some_and(|at| now.duration_since(at) < SAME_BURST) {
            return;
        }
        state.halved_at = Some(now);
        state.successes = 0;
        let limit = (state.limit / 2).max(LEAST).min(state.limit);
        let fewer = state.limit - limit;
        state.limit = limit;
        state.excess += fewer - self.permits.forget_permits(fewer);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let Some(permit) = self.permit.take() else { return };
        let mut state = self.limiter.lock();
        if state.excess > 0 {
            state.excess -= 1;
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt;

    use super::{LEAST, Limiter, SAME_BURST};

    /// How many more may enter at once.
    fn free(limiter: &std::sync::Arc<Limiter>) -> usize {
        let mut held = Vec::new();
        while let Some(one) = limiter.enter().now_or_never() {
            held.push(one);
        }
        held.len()
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_halves_and_successes_add_one() {
        let limiter = Limiter::new(32);
        assert_eq!(free(&limiter), 32);
        limiter.throttled();
        limiter.throttled();
        assert_eq!(free(&limiter), 16, "refusals of one burst count once");
        for _ in 0..16 {
            limiter.succeeded();
        }
        assert_eq!(free(&limiter), 17);
        for _ in 0..10 {
            tokio::time::advance(SAME_BURST).await;
            limiter.throttled();
        }
        assert_eq!(free(&limiter), LEAST);
        for _ in 0..10_000 {
            limiter.succeeded();
        }
        assert_eq!(free(&limiter), 32, "never more than at first");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_in_flight_goes_on_and_is_not_replaced() {
        let limiter = Limiter::new(10);
        let mut held = Vec::new();
        for _ in 0..10 {
            held.push(limiter.enter().await);
        }
        limiter.throttled();
        held.truncate(6);
        assert_eq!(free(&limiter), 0, "6 of 5 are still in flight");
        held.truncate(2);
        assert_eq!(free(&limiter), 3);
        drop(held);
        assert_eq!(free(&limiter), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_below_the_least_stays() {
        let limiter = Limiter::new(2);
        limiter.throttled();
        assert_eq!(free(&limiter), 2);
    }

    #[tokio::test]
    async fn a_wait_that_is_dropped_takes_nothing() {
        let limiter = Limiter::new(1);
        let held = limiter.enter().await;
        assert!(tokio::time::timeout(Duration::from_millis(1), limiter.enter()).await.is_err());
        drop(held);
        assert_eq!(free(&limiter), 1);
    }
}
