//! Handing to the sweep what was confirmed. Storage is not changed here, but for parts that no object needs.

use std::time::Duration;

use object_store_models::{IntentPurpose, NewIntent, OrphanCandidate};
use object_store_repo::{CandidateRepo, Deadlines, IntentRepo, KeyRepo, RepoError};
use object_store_storage::StorageError;

use crate::error::{ObjectStoreError, Result};
use crate::verify::shape::OwnKey;
use crate::verify::{PAGE, Run};

/// So many orphans may always go.
const ALWAYS_ALLOWED: u64 = 100;

/// And of so many listed objects, one.
const ONE_OF: u64 = 100;

impl Run<'_> {
    pub(super) async fn repair(&mut self) -> Result<()> {
        self.brake()?;
        self.purge_orphans().await?;
        self.end_stale_uploads().await?;
        self.mend_counters().await
    }

    /// Much to remove more likely means a wrong database, or one that was restored from a backup.
    fn brake(&self) -> Result<()> {
        let found = self.report.confirmed_orphans + self.report.stale_uploads;
        let limit = self.removal_limit();
        if found > limit { Err(ObjectStoreError::TooManyOrphans { found, limit }) } else { Ok(()) }
    }

    /// How much may be handed to the sweep, by what was listed so far.
    pub(super) fn removal_limit(&self) -> u64 {
        self.options.max_orphans.unwrap_or(ALWAYS_ALLOWED.max(self.report.objects / ONE_OF))
    }

    /// All that is noted was seen by this run too: the rest was forgotten as the listing went by.
    async fn purge_orphans(&mut self) -> Result<()> {
        let mut after: Option<String> = None;
        loop {
            let page = {
                let mut conn = self.service.connection().await?;
                CandidateRepo::list_seen_before(&mut conn, self.started_at, after.as_deref(), PAGE.into()).await?
            };
            for candidate in &page {
                if let Some(own) = self.confirm(candidate).await?
                    && self.purge_unless_named(&own).await?
                {
                    self.report.repaired += 1;
                }
            }
            match page.into_iter().nth(usize::from(PAGE) - 1) {
                Some(last) => after = Some(last.s3_key),
                None => return Ok(()),
            }
        }
    }

    /// Looks at the object once more: it is there, as it was when it was first seen.
    async fn confirm(&self, candidate: &OrphanCandidate) -> Result<Option<OwnKey>> {
        let Some(own) = OwnKey::parse(&candidate.s3_key) else { return Ok(None) };
        let meta = match self.service.storage.head(&own.key).await {
            Ok(meta) => meta,
            Err(StorageError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let is_same = i64::try_from(meta.size_bytes) == Ok(candidate.size_bytes);
        let is_old = meta.last_modified.is_none_or(|written| written <= self.old_until);
        let is_confirmed = self.is_confirmed(candidate.first_seen_at, meta.last_modified.is_some());
        Ok((is_same && is_old && is_confirmed).then_some(own))
    }

    /// No more of them than the brake knew of.
    async fn end_stale_uploads(&mut self) -> Result<()> {
        let mut left = self.report.stale_uploads;
        let mut marker = None;
        loop {
            let page = self.stale_uploads(marker.as_deref()).await?;
            for (own, upload_id) in page.uploads {
                if left == 0 {
                    return Ok(());
                }
                left -= 1;
                if !self.purge_unless_named(&own).await? {
                    // A finished object has this key. Its upload is over, and these parts are none of it.
                    self.service.storage.abort_multipart_upload(&own.key, &upload_id).await?;
                }
                self.report.repaired += 1;
            }
            match page.next {
                Some(next) => marker = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Writes the intent to purge a key, unless something names it. `false` if something does.
    async fn purge_unless_named(&self, own: &OwnKey) -> Result<bool> {
        let purged = self
            .service
            .database
            .transaction(async |conn| {
                let intent = NewIntent {
                    s3_key: own.key.as_str(),
                    purpose: IntentPurpose::Purge,
                    media_id: own.media_id,
                    user_id: None,
                    declared: r#"{"found_by":"verify"}"#,
                    multipart_upload_id: None,
                };
                // First: it waits for a transaction that is just committing an upload of this key, whose row the second
                // statement then sees.
                let deadlines = Deadlines { not_before_in: Duration::ZERO, clears_in: Duration::ZERO };
                if IntentRepo::create(conn, &intent, deadlines).await?.is_none()
                    || !KeyRepo::of_rows(conn, &[own.key.as_str()]).await?.is_empty()
                {
                    return Err(Unpurged::Named);
                }
                CandidateRepo::delete(conn, &[own.key.to_string()]).await?;
                Ok(())
            })
            .await;
        match purged {
            Ok(()) => Ok(true),
            Err(Unpurged::Named) => Ok(false),
            Err(Unpurged::Failed(error)) => Err(error.into()),
        }
    }
}

/// Why a purge was not written, and its transaction is rolled back.
enum Unpurged {
    Named,
    Failed(RepoError),
}

impl From<RepoError> for Unpurged {
    fn from(error: RepoError) -> Self {
        Self::Failed(error)
    }
}
