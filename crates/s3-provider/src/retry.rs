use std::time::Duration;

use object_store_storage::{ObjectKey, RetryClass, StorageResult};

use crate::error::{Failure, Operation, translate};

/// How often an operation is tried in all.
const ATTEMPTS: u32 = 3;

/// The longest pause before the second attempt; it doubles from there.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause of all, a server's `Retry-After` included.
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

/// Runs an operation until it succeeds, fails for good, or was tried often enough.
pub(crate) async fn attempts<T, F, Attempt>(
    repeat: Repeat,
    operation: Operation,
    key: Option<&ObjectKey>,
    mut attempt: F,
) -> StorageResult<T>
where
    F: FnMut() -> Attempt,
    Attempt: Future<Output = Result<T, Failure>>,
{
    let mut number = 1;
    loop {
        let failure = match attempt().await {
            Ok(value) => return Ok(value),
            Err(failure) => failure,
        };
        let server_says = retry_after(&failure);
        let error = translate(failure, operation, key);
        if number >= ATTEMPTS || !may_repeat(repeat, error.retry_class()) {
            return Err(error);
        }
        let pause = pause(number, server_says, random_share());
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
    (server_says.unwrap_or_default() + bound.mul_f64(share)).min(LONGEST_PAUSE)
}

fn random_share() -> f64 {
    // Without randomness the whole bound is as good as any share of it.
    getrandom::u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use object_store_storage::StorageError;

    use super::{ATTEMPTS, Repeat, attempts, pause};
    use crate::error::{Failure, Operation, Refusal};

    async fn tries(repeat: Repeat, operation: Operation, status: u16, code: Option<&str>) -> u32 {
        let count = AtomicU32::new(0);
        let outcome: Result<(), StorageError> = attempts(repeat, operation, None, || async {
            count.fetch_add(1, Ordering::Relaxed);
            Err(Failure::Refused(Refusal { status, code: code.map(Into::into), ..Refusal::default() }))
        })
        .await;
        assert!(outcome.is_err());
        count.into_inner()
    }

    #[tokio::test]
    async fn a_write_is_not_repeated_after_an_unknown_outcome() {
        let write = Operation::write("put object");
        assert_eq!(tries(Repeat::WithoutEffect, write, 500, None).await, 1);
        assert_eq!(tries(Repeat::WithoutEffect, write, 503, Some("SlowDown")).await, ATTEMPTS);
        assert_eq!(tries(Repeat::Never, write, 503, Some("SlowDown")).await, 1);
        assert_eq!(tries(Repeat::Idempotent, Operation::write("delete object"), 500, None).await, ATTEMPTS);
    }

    #[tokio::test]
    async fn only_what_may_pass_is_repeated() {
        let read = Operation::read("get object");
        assert_eq!(tries(Repeat::Idempotent, read, 503, None).await, ATTEMPTS);
        assert_eq!(tries(Repeat::Idempotent, read, 403, None).await, 1);
        assert_eq!(tries(Repeat::Idempotent, read, 404, Some("NoSuchBucket")).await, 1);
    }

    #[test]
    fn pauses_grow_vary_and_end() {
        assert_eq!(pause(1, None, 0.0), Duration::ZERO);
        assert_eq!(pause(1, None, 1.0), Duration::from_millis(100));
        assert_eq!(pause(3, None, 1.0), Duration::from_millis(400));
        assert_eq!(pause(1, Some(Duration::from_secs(2)), 0.5), Duration::from_millis(2050));
        assert_eq!(pause(1, Some(Duration::from_hours(1)), 0.5), Duration::from_secs(10));
        assert_eq!(pause(u32::MAX, None, 1.0), Duration::from_secs(10));
    }
}
