use std::num::NonZeroU64;
use std::time::Duration;

use tokio::time::Instant;

/// Time that was not used is lost after so long, so that a pause is not followed by a burst.
const KEPT: Duration = Duration::from_secs(1);

/// Keeps work within so many bytes a second.
#[derive(Debug)]
pub(super) struct Throttle {
    bytes_per_second: NonZeroU64,
    /// When all bytes so far are paid for.
    paid_at: Instant,
}

impl Throttle {
    pub(super) fn new(bytes_per_second: NonZeroU64) -> Self {
        Self { bytes_per_second, paid_at: Instant::now() }
    }

    /// Waits until so many bytes are within the budget.
    pub(super) async fn spend(&mut self, bytes: usize) {
        let now = Instant::now();
        let start = now.checked_sub(KEPT).map_or(self.paid_at, |kept| self.paid_at.max(kept));
        self.paid_at = start + self.time_of(bytes);
        if self.paid_at > now {
            tokio::time::sleep_until(self.paid_at).await;
        }
    }

    fn time_of(&self, bytes: usize) -> Duration {
        let nanos = bytes as u128 * 1_000_000_000 / u128::from(self.bytes_per_second.get());
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bytes_take_their_time() {
        let started = Instant::now();
        let mut throttle = Throttle::new(NonZeroU64::new(1_000).unwrap());
        for _ in 0..10 {
            throttle.spend(500).await;
        }
        assert_eq!(started.elapsed().as_secs(), 5);
        // An hour without work pays for one second of it.
        tokio::time::sleep(Duration::from_hours(1)).await;
        let started = Instant::now();
        throttle.spend(3_000).await;
        assert_eq!(started.elapsed().as_secs(), 2);
    }
}
