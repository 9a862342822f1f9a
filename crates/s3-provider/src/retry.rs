//! When what has failed is tried again, and until when.

use std::sync::Arc;
use std::time::Duration;

use object_store_storage::{ObjectKey, RetryClass, StorageResult};
use tokio::time::{Instant, timeout_at};

use crate::config::S3Config;
use crate::error::{Failure, Lasts, Operation, translate};
use crate::limiter::Limiter;

/// How often an operation is tried in all.
const ATTEMPTS: u32 = 5;

/// The longest pause before the second attempt; it doubles from there.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause that is ours; a server may ask for a longer one.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// When an operation may be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// After any failure that may pass: a second time does what the first did.
    Idempotent,
    /// Only after a failure that certainly had no effect.
    WithoutEffect,
    /// Never: its body can be read once.
    Never,
}

/// How long all attempts of an operation may take together, and how many requests may be in flight.
#[derive(Debug)]
pub(crate) struct Patience {
    operation_timeout: Duration,
    work_timeout: Duration,
    pub(crate) limiter: Arc<Limiter>,
}

impl Patience {
    pub(crate) fn new(config: &S3Config) -> Self {
        Self {
            operation_timeout: config.operation_timeout,
            work_timeout: config.work_timeout,
            limiter: Limiter::new(config.max_requests_in_flight),
        }
    }

    fn for_all_of(&self, operation: Operation) -> Duration {
        match operation.lasts {
            Lasts::Moments | Lasts::AsLongAsItMoves => self.operation_timeout,
            Lasts::AsLongAsItWorks => self.operation_timeout.saturating_add(self.work_timeout),
        }
    }
}

/// Runs an operation until it succeeds, fails for good, was tried often enough or has no time left for another attempt.
pub(crate) async fn attempts<T, F, Attempt>(
    patience: &Patience,
    repeat: Repeat,
    operation: Operation,
    key: Option<&ObjectKey>,
    mut attempt: F,
) -> StorageResult<T>
where
    F: FnMut() -> Attempt,
    Attempt: Future<Output = Result<T, Failure>>,
{
    let whole = patience.for_all_of(operation);
    let deadline = Instant::now() + whole;
    let mut number = 1;
    loop {
        let outcome = match operation.lasts {
            Lasts::AsLongAsItMoves => attempt().await,
            _ => timeout_at(deadline, attempt()).await.unwrap_or(Err(Failure::Late(whole))),
        };
        let failure = match outcome {
            Ok(value) => return Ok(value),
            Err(failure) => failure,
        };
        if failure.is_throttling() {
            patience.limiter.throttled();
        }
        let server_says = retry_after(&failure);
        let error = translate(failure, operation, key);
        if number >= ATTEMPTS || !may_repeat(repeat, error.retry_class()) {
            return Err(error);
        }
        let pause = pause(number, server_says, random_share());
        // Who would come back too late need not wait for it.
        if Instant::now() + pause >= deadline {
            return Err(error);
        }
        tracing::debug!(operation = operation.name, attempt = number, %error, ?pause, "storage call is tried again");
        tokio::time::sleep(pause).await;
        number += 1;
    }
}

fn may_repeat(repeat: Repeat, class: RetryClass) -> bool {
    match (repeat, class) {
        (Repeat::Idempotent, RetryClass::Safe | RetryClass::OutcomeUnknown)
        | (Repeat::WithoutEffect, RetryClass::Safe) => true,
        (Repeat::Never, _) | (_, RetryClass::Never) | (Repeat::WithoutEffect, RetryClass::OutcomeUnknown) => false,
    }
}

fn retry_after(failure: &Failure) -> Option<Duration> {
    match failure {
        Failure::Refused(refusal) => refusal.retry_after,
        _ => None,
    }
}

/// Full jitter: anything between nothing and the exponential bound, so that clients that failed together do not come
/// back together. What the server asks for is the least.
fn pause(number: u32, server_says: Option<Duration>, share: f64) -> Duration {
    let bound = FIRST_PAUSE.saturating_mul(1 << number.saturating_sub(1).min(10));
    server_says.unwrap_or_default().saturating_add(bound.min(LONGEST_PAUSE).mul_f64(share))
}

fn random_share() -> f64 {
    // Without randomness the whole bound is as good as any share of it.
    getrandom::u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use object_store_storage::{RetryClass, StorageError};
    use tokio::time::Instant;

    use super::{ATTEMPTS, Patience, Repeat, attempts, pause};
    use crate::error::{Failure, Operation, Refusal};
    use crate::limiter::Limiter;

    fn patience() -> Patience {
        Patience {
            operation_timeout: Duration::from_mins(1),
            work_timeout: Duration::from_mins(5),
            limiter: Limiter::new(64),
        }
    }

    async fn tries(repeat: Repeat, operation: Operation, status: u16, code: Option<&str>) -> u32 {
        let refusal = Refusal { status, code: code.map(Into::into), ..Refusal::default() };
        tries_of(repeat, operation, &refusal).await
    }

    async fn tries_of(repeat: Repeat, operation: Operation, refusal: &Refusal) -> u32 {
        let count = AtomicU32::new(0);
        let outcome: Result<(), StorageError> = attempts(&patience(), repeat, operation, None, || async {
            count.fetch_add(1, Ordering::Relaxed);
            Err(Failure::Refused(refusal.clone()))
        })
        .await;
        assert!(outcome.is_err());
        count.into_inner()
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_is_not_repeated_after_an_unknown_outcome() {
        let write = Operation::write("put object");
        assert_eq!(tries(Repeat::WithoutEffect, write, 500, None).await, 1);
        assert_eq!(tries(Repeat::WithoutEffect, write, 503, Some("SlowDown")).await, ATTEMPTS);
        assert_eq!(tries(Repeat::Never, write, 503, Some("SlowDown")).await, 1);
        assert_eq!(tries(Repeat::Idempotent, Operation::write("delete object"), 500, None).await, ATTEMPTS);
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_may_pass_is_repeated() {
        let read = Operation::read("get object");
        assert_eq!(tries(Repeat::Idempotent, read, 503, None).await, ATTEMPTS);
        assert_eq!(tries(Repeat::Idempotent, read, 403, None).await, 1);
        assert_eq!(tries(Repeat::Idempotent, read, 404, Some("NoSuchBucket")).await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_an_attempt_that_would_be_too_late() {
        let read = Operation::read("get object");
        let busy =
            |seconds| Refusal { status: 503, retry_after: Some(Duration::from_secs(seconds)), ..Refusal::default() };
        let start = Instant::now();
        assert_eq!(tries_of(Repeat::Idempotent, read, &busy(3600)).await, 1);
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert_eq!(tries_of(Repeat::Idempotent, read, &busy(25)).await, 3);
        assert!((Duration::from_secs(50)..Duration::from_mins(1)).contains(&start.elapsed()));
    }

    #[tokio::test(start_paused = true)]
    async fn all_attempts_together_end_in_time() {
        let hang = async |operation| {
            let start = Instant::now();
            let outcome: Result<(), StorageError> =
                attempts(&patience(), Repeat::Idempotent, operation, None, std::future::pending).await;
            (outcome.unwrap_err().retry_class(), start.elapsed())
        };
        let minute = Duration::from_mins(1);
        assert_eq!(hang(Operation::read("list objects")).await, (RetryClass::Safe, minute));
        assert_eq!(hang(Operation::write("delete object")).await, (RetryClass::OutcomeUnknown, minute));
        assert_eq!(hang(Operation::write("copy object").working()).await, (RetryClass::OutcomeUnknown, 6 * minute));
    }

    #[tokio::test(start_paused = true)]
    async fn a_transfer_lasts_as_long_as_it_moves_and_is_not_begun_again_after_its_time() {
        let count = AtomicU32::new(0);
        let operation = Operation::write("put object").transferring();
        let outcome: Result<(), StorageError> = attempts(&patience(), Repeat::Idempotent, operation, None, || async {
            count.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_hours(1)).await;
            Err(Failure::Refused(Refusal { status: 503, ..Refusal::default() }))
        })
        .await;
        assert!(outcome.is_err());
        assert_eq!(count.into_inner(), 1);
    }

    #[test]
    fn pauses_grow_vary_and_end() {
        assert_eq!(pause(1, None, 0.0), Duration::ZERO);
        assert_eq!(pause(1, None, 1.0), Duration::from_millis(100));
        assert_eq!(pause(3, None, 1.0), Duration::from_millis(400));
        assert_eq!(pause(1, Some(Duration::from_secs(2)), 0.5), Duration::from_millis(2050));
        assert_eq!(pause(1, Some(Duration::from_hours(1)), 0.0), Duration::from_hours(1));
        assert_eq!(pause(2, Some(Duration::MAX), 1.0), Duration::MAX);
        assert_eq!(pause(u32::MAX, None, 1.0), Duration::from_secs(10));
    }
}
