//! A task in the host's runtime that sweeps again and again.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use object_store_service::{ObjectStoreError, SweepReport};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tracing::{debug, info, warn};

use crate::provider::ObjectStoreProvider;

/// How often a [`Sweeper`] sweeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweeperOptions {
    /// Between the end of a sweep and the next: a minute by default, and ten milliseconds at least.
    pub every: Duration,
    /// At most so much more, at random each time, so that many processes do not sweep in step. Ten seconds by default.
    pub jitter: Duration,
}

impl Default for SweeperOptions {
    fn default() -> Self {
        Self { every: Duration::from_mins(1), jitter: Duration::from_secs(10) }
    }
}

/// What all sweeps of a [`Sweeper`] have done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SweeperTotals {
    /// Sweeps that went through.
    pub sweeps: u64,
    /// Sweeps that ended with an error. The next one does what they did not.
    pub failures: u64,
    /// Keys that hold nothing any more.
    pub purged: u64,
    /// Attempts to delete that failed. They are repeated.
    pub failed: u64,
}

/// How long a sweep under way may still take when the sweeper is told to stop.
const LAST_SWEEP: Duration = Duration::from_secs(5);

/// Without a wait a sweeper would do nothing but ask the database.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);

/// A task that sweeps again and again, until [`Sweeper::shutdown`], or until it is dropped.
#[must_use = "a sweeper that is dropped stops"]
pub struct Sweeper {
    stop: oneshot::Sender<()>,
    totals: watch::Receiver<SweeperTotals>,
    task: JoinHandle<()>,
}

/// Sweeps again and again in a task of the current Tokio runtime, beginning soon. Any number of processes may do so.
///
/// A failure is logged once, not at every repetition, and does not end it.
///
/// # Panics
/// When called outside a Tokio runtime.
pub fn spawn_sweeper(provider: Arc<dyn ObjectStoreProvider>, options: SweeperOptions) -> Sweeper {
    let (stop, stopped) = oneshot::channel();
    let (sender, totals) = watch::channel(SweeperTotals::default());
    let task = tokio::spawn(sweep_until(provider, options, stopped, sender));
    Sweeper { stop, totals, task }
}

impl Sweeper {
    /// What has been done so far.
    pub fn totals(&self) -> SweeperTotals {
        *self.totals.borrow()
    }

    /// Stops. A sweep under way has five seconds to end; what is left then is done by the next one, wherever that is.
    pub async fn shutdown(self) -> SweeperTotals {
        // An error means that the task has ended already.
        let _ = self.stop.send(());
        if let Err(error) = self.task.await {
            warn!(error = &error as &dyn std::error::Error, "the sweeper was stopped from outside");
        }
        *self.totals.borrow()
    }
}

impl fmt::Debug for Sweeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sweeper").field("totals", &self.totals()).finish_non_exhaustive()
    }
}

async fn sweep_until(
    provider: Arc<dyn ObjectStoreProvider>,
    options: SweeperOptions,
    mut stopped: oneshot::Receiver<()>,
    totals: watch::Sender<SweeperTotals>,
) {
    let mut wait = random_part_of(options.jitter);
    let mut failing_with = None;
    loop {
        tokio::select! {
            // Also when the sweeper was dropped.
            _ = &mut stopped => return,
            () = tokio::time::sleep(wait) => {}
        }
        let mut sweep = provider.sweep();
        let (swept, is_last) = tokio::select! {
            swept = &mut sweep => (swept, false),
            // Whatever a sweep was about to do, the next one does.
            _ = &mut stopped => match tokio::time::timeout(LAST_SWEEP, sweep).await {
                Ok(swept) => (swept, true),
                Err(_) => return,
            },
        };
        totals.send_modify(|totals| totals.add(&swept));
        failing_with = log(&swept, failing_with);
        if is_last {
            return;
        }
        wait = options.every.max(SHORTEST_WAIT).saturating_add(random_part_of(options.jitter));
    }
}

/// Logs what is new, and returns the cause of the failure that lasts.
fn log(swept: &Result<SweepReport, ObjectStoreError>, failing_with: Option<&'static str>) -> Option<&'static str> {
    match swept {
        Ok(report) => {
            if failing_with.is_some() {
                info!("sweeping works again");
            }
            if report.claimed > 0 {
                info!(report.claimed, report.purged, report.waiting, report.failed, "swept");
            }
            None
        }
        Err(error) if failing_with == Some(error.code()) => {
            debug!(code = error.code(), "sweeping fails as before");
            failing_with
        }
        Err(error) => {
            let code = error.code();
            warn!(code, error = error as &dyn std::error::Error, "sweeping failed and is tried again");
            Some(code)
        }
    }
}

impl SweeperTotals {
    fn add(&mut self, swept: &Result<SweepReport, ObjectStoreError>) {
        match swept {
            Ok(report) => {
                self.sweeps += 1;
                self.purged += report.purged;
                self.failed += report.failed;
            }
            Err(_) => self.failures += 1,
        }
    }
}

/// The standard library seeds each new hasher from the system's randomness.
fn random_part_of(most: Duration) -> Duration {
    let random = RandomState::new().hash_one(0_u8);
    let nanos = most.as_nanos().saturating_mul(u128::from(random)) >> u64::BITS;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_part_is_a_part() {
        let most = Duration::from_secs(10);
        let parts: Vec<_> = (0..1_000).map(|_| random_part_of(most)).collect();
        assert!(parts.iter().all(|part| *part < most));
        assert!(parts.iter().any(|part| *part < most / 4) && parts.iter().any(|part| *part > most / 4 * 3));
        assert_eq!(random_part_of(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn a_lasting_failure_is_noted_once_and_again_when_it_changes() {
        let failed = |error| log(&Err(error), None);
        assert_eq!(failed(ObjectStoreError::NotFound), Some("not_found"));
        assert_eq!(log(&Err(ObjectStoreError::Forbidden), Some("not_found")), Some("forbidden"));
        assert_eq!(log(&Ok(SweepReport::default()), Some("forbidden")), None);
    }
}
