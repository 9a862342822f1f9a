//! Purging: removing the objects of intents that are due, or that have just become purges.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use object_store_models::ObjectIntent;
use object_store_repo::{CompleteOutcome, IntentRepo};
use object_store_storage::{ObjectKey, StorageError, StorageResult};
use tracing::{debug, warn};

use crate::dto::SweepReport;
use crate::error::{Result, chain};
use crate::mutants::{self, Mutant};
use crate::service::ObjectStoreService;

/// How many intents a sweep claims at once: so few that they are dealt with before their lease ends, even when each
/// takes as long as storage may keep silent.
const BATCH: u16 = 16;

/// How many keys are purged at the same time.
const CONCURRENT_PURGES: usize = 8;

/// How long a use case waits for the delete that it tries for good measure. The sweep does what this missed.
const PURGE_SOON: Duration = Duration::from_secs(5);

/// What may lie under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leftovers {
    /// A whole object, and no multipart upload: a row had said so, or the only write was one request.
    ObjectOnly,
    /// Perhaps parts of a multipart upload as well.
    WithMultipart,
}

impl ObjectStoreService {
    /// Removes what abandoned uploads and deletes have left, until nothing is due or a whole batch fails; what is left
    /// then is for a later sweep. Any number of workers may sweep at once.
    pub async fn sweep(&self) -> Result<SweepReport> {
        let mut report = SweepReport::default();
        loop {
            let lease = self.settings.timings.sweep_lease;
            let claimed =
                self.database.transaction(async |conn| IntentRepo::claim_due(conn, BATCH.into(), lease).await).await?;
            let was_full = claimed.len() == usize::from(BATCH);
            let failed_before = report.failed;
            let mut purges = futures::stream::iter(claimed)
                .map(|intent| async move { self.purge(&intent, Leftovers::WithMultipart).await })
                .buffer_unordered(CONCURRENT_PURGES);
            while let Some(purged) = purges.try_next().await? {
                report.count(purged);
            }
            // Storage that fails for every key is not asked again and again. Single keys that fail, such as those that are
            // locked, are due again later and hold up nobody.
            let has_all_failed = report.failed - failed_before == u64::from(BATCH);
            if !was_full || has_all_failed {
                self.forget_idempotency_keys().await?;
                return Ok(report);
            }
        }
    }

    /// Tries a purge whose intent is committed, for a short while. Whatever happens, the sweep finishes it.
    pub(crate) async fn purge_soon(&self, intent: &ObjectIntent, leftovers: Leftovers) {
        match tokio::time::timeout(PURGE_SOON, self.purge(intent, leftovers)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => warn!(object.key = intent.s3_key, error = %chain(&error), "purge left to the sweep"),
            Err(_) => warn!(object.key = intent.s3_key, "purge takes long and is left to the sweep"),
        }
    }

    /// Removes the object of a purge intent and then, if nothing can still land there, the intent.
    ///
    /// # Errors
    /// Only those of the database; a failure of storage is written down and tried again later.
    async fn purge(&self, intent: &ObjectIntent, leftovers: Leftovers) -> Result<Purged> {
        // First, whatever storage does: the user need not wait for that.
        self.give_back(intent).await?;
        let (key, generation) = (intent.s3_key.as_str(), intent.generation);
        if let Err(error) = self.remove(key, leftovers, intent.multipart_upload_id.as_deref()).await
            && !mutants::is(Mutant::ForgetsFailedDeletes)
        {
            warn!(object.key = key, attempts = intent.attempts, error = %chain(&error), "object not purged");
            let retry_in = self.retry_in(intent.attempts);
            self.database
                .statements(async |conn| IntentRepo::fail(conn, key, generation, retry_in, error.code()).await)
                .await?;
            return Ok(Purged::Failed);
        }
        let outcome = self.database.statements(async |conn| IntentRepo::complete(conn, key, generation).await).await?;
        debug!(object.key = key, ?outcome, "object purged");
        Ok(match outcome {
            CompleteOutcome::Cleared => Purged::Gone,
            CompleteOutcome::Waiting => Purged::Later,
            CompleteOutcome::Superseded => Purged::Superseded,
        })
    }

    pub(crate) async fn remove(&self, key: &str, leftovers: Leftovers, upload_id: Option<&str>) -> StorageResult<()> {
        let key = ObjectKey::parse(key).map_err(|error| StorageError::InvalidRequest { reason: error.to_string() })?;
        if let Some(upload_id) = upload_id {
            // Known by name, it goes also where storage cannot list uploads, or lists them late.
            self.storage.abort_multipart_upload(&key, upload_id).await?;
        }
        if leftovers == Leftovers::WithMultipart && !mutants::is(Mutant::LeavesParts) {
            self.abort_multipart_uploads(&key).await?;
        }
        self.storage.delete(&key).await
    }

    async fn abort_multipart_uploads(&self, key: &ObjectKey) -> StorageResult<()> {
        let mut marker: Option<String> = None;
        loop {
            let page = match self.storage.list_multipart_uploads(key.as_str(), marker.as_deref()).await {
                // A storage that cannot list them has none that we could leave.
                Err(StorageError::Unsupported { .. }) => return Ok(()),
                other => other?,
            };
            for upload in page.uploads.iter().filter(|upload| upload.key == key.as_str()) {
                self.storage.abort_multipart_upload(key, &upload.upload_id).await?;
            }
            match page.next {
                Some(next) if marker.as_ref() != Some(&next) => marker = Some(next),
                _ => return Ok(()),
            }
        }
    }

    fn retry_in(&self, attempts: i32) -> Duration {
        let timings = &self.settings.timings;
        let doublings = u32::try_from(attempts.clamp(1, 20) - 1).unwrap_or_default();
        timings.sweep_retry.saturating_mul(1 << doublings).min(timings.sweep_retry_max)
    }
}

#[derive(Debug, Clone, Copy)]
enum Purged {
    Gone,
    Later,
    /// Another worker has taken over, and purges the same key.
    Superseded,
    Failed,
}

impl SweepReport {
    fn count(&mut self, purged: Purged) {
        self.claimed += 1;
        match purged {
            Purged::Gone => self.purged += 1,
            Purged::Later => self.waiting += 1,
            Purged::Superseded => self.superseded += 1,
            Purged::Failed => self.failed += 1,
        }
    }
}
