//! Verifying: what storage lists against what rows and intents say, both ways, in constant memory.
//!
//! The listing is walked page by page. Each page is listed first and the names of its range of keys are read after it:
//! intents, then rows. Whatever then looks wrong is looked at again, alone, by questions whose answers cannot be out of
//! date: storage is asked for the one object, and the database in one statement whether anything names it. Nothing that
//! uploads and deletes do meanwhile is a finding.

mod doubts;
mod listing;
mod names;
mod options;
mod orphans;
mod rehash;
mod repair;
pub(crate) mod report;
mod shape;
mod throttle;
mod uploads;
mod usage;

use std::time::{Duration, SystemTime};

use object_store_models::Timestamp;
use object_store_repo::{estimate_media, read_clock};
use object_store_storage::ClockSkew;

use crate::error::{ObjectStoreError, Result};
use crate::mutants::{self, Mutant};
use crate::service::ObjectStoreService;
use listing::Listing;
use throttle::Throttle;

pub use options::{VerifyOptions, VerifyProgress};
pub use report::{Finding, VerifyReport};

/// How many rows, intents or candidates are read at once, and how many objects are listed at once.
const PAGE: u16 = 1_000;

impl ObjectStoreService {
    /// Compares storage with the database, both ways. Changes nothing but the list of objects that have no name, unless
    /// it is told to repair.
    ///
    /// # Errors
    /// [`VerifyStopped`](crate::ObjectStoreError::VerifyStopped) when storage or the database failed, with what was found
    /// until then; nothing was repaired that a complete comparison had not confirmed. Its source is
    /// [`TooManyOrphans`](crate::ObjectStoreError::TooManyOrphans) when repairing would remove so much that a wrong
    /// database or bucket is more likely. Other errors when it could not begin.
    pub async fn verify(&self, options: &VerifyOptions) -> Result<VerifyReport> {
        let mut run = Run::begin(self, options).await?;
        match run.go_through().await {
            Ok(()) => Ok(run.report),
            Err(source) => {
                Err(ObjectStoreError::VerifyStopped { report: Box::new(run.report), source: Box::new(source) })
            }
        }
    }
}

/// One verify under way.
struct Run<'a> {
    service: &'a ObjectStoreService,
    options: &'a VerifyOptions,
    /// By the database's clock. What was noted before it was noted by an earlier run.
    started_at: Timestamp,
    /// By the storage's clock. What was written after it is too young to judge.
    old_until: SystemTime,
    throttle: Option<Throttle>,
    report: VerifyReport,
    unreadable_in_a_row: u32,
}

impl Run<'_> {
    async fn go_through(&mut self) -> Result<()> {
        let mut listing = Listing::after(self.options.start_after.clone());
        while let Some(range) = listing.next(self.service.storage.as_ref()).await? {
            let until = range.until.clone();
            self.compare(range).await?;
            self.report.compared_until = until;
        }
        self.find_stale_uploads().await?;
        self.find_wrong_counters().await?;
        if self.options.repair { self.repair().await } else { Ok(()) }
    }
}

impl<'a> Run<'a> {
    async fn begin(service: &'a ObjectStoreService, options: &'a VerifyOptions) -> Result<Self> {
        // Also the cheapest way to find out that the bucket is not there.
        let skew = service.storage.bucket_info().await?.clock_skew;
        let mut conn = service.connection().await?;
        let started_at = mutants::seen_before(read_clock(&mut conn).await?);
        options.progress.expect(estimate_media(&mut conn).await?);
        let grace = if mutants::is(Mutant::IgnoresTheGrace) { Duration::ZERO } else { options.grace };
        Ok(Self {
            service,
            options,
            started_at,
            old_until: earlier(storage_time(skew), grace),
            throttle: options.rehash.map(Throttle::new),
            report: VerifyReport::default(),
            unreadable_in_a_row: 0,
        })
    }
}

/// The storage's time; ours where it does not tell.
fn storage_time(skew: Option<ClockSkew>) -> SystemTime {
    let now = SystemTime::now();
    match skew {
        Some(ClockSkew::Ahead(by)) => now.checked_add(by).unwrap_or(now),
        Some(ClockSkew::Behind(by)) => earlier(now, by),
        None => now,
    }
}

fn earlier(time: SystemTime, by: Duration) -> SystemTime {
    time.checked_sub(by).unwrap_or(SystemTime::UNIX_EPOCH)
}
