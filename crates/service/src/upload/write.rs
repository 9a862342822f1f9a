//! Writing bytes to storage: an intent is committed first, and renewed while the bytes flow.

use std::pin::pin;
use std::time::Duration;

use object_store_models::{IntentPurpose, MediaId, NewIntent, UserId};
use object_store_repo::{Connection, Deadlines, IdempotencyRepo, IntentRepo, RepoError};
use object_store_storage::{Body, ObjectKey, PutOptions, PutOutcome};
use tokio::time::{Instant, timeout_at};

use crate::error::{ObjectStoreError, Result};
use crate::mutants::{self, Mutant};
use crate::service::ObjectStoreService;
use crate::sweep::Leftovers;
use crate::upload::abandon::{LateWrite, fresh_key};
use crate::upload::reserve::{Hold, declare_holding};

/// A committed intent to write one key.
#[derive(Debug, Clone)]
pub(crate) struct Intent {
    pub(crate) key: ObjectKey,
    pub(crate) generation: i64,
    /// The id for which an idempotency key stands, which must be remembered as long as the upload goes on.
    pub(crate) keyed_as: Option<MediaId>,
}

/// How often an intent is written again when it is not known whether it was.
pub(crate) const INTENT_ATTEMPTS: u32 = 3;

impl ObjectStoreService {
    /// Commits the intent to write a fresh key for `id`.
    pub(crate) async fn declare(&self, id: MediaId, user_id: Option<UserId>) -> Result<Intent> {
        self.declare_with(id, user_id, None).await
    }

    /// As [`ObjectStoreService::declare`], and makes the intent hold bytes of its owner's quota.
    pub(crate) async fn declare_with(
        &self,
        id: MediaId,
        user_id: Option<UserId>,
        hold: Option<&Hold>,
    ) -> Result<Intent> {
        let mut key = fresh_key(id.kind().as_str(), id.uuid())?;
        #[cfg(feature = "mutants")]
        crate::mutants::put_too_early(self.storage.as_ref(), &key).await;
        let mut attempt = 1;
        loop {
            match self.declare_once(&key, id, user_id, hold, attempt > 1).await {
                Ok(generation) => return Ok(Intent { key, generation, keyed_as: None }),
                Err(ObjectStoreError::Database(error)) if may_be_repeated(&error) && attempt < INTENT_ATTEMPTS => {
                    pause(attempt).await;
                    attempt += 1;
                    if hold.is_none() {
                        // A statement whose answer was lost may still be carried out. Should that be after the commit of
                        // an upload, then an intent of the same key would have the sweep delete a finished object. With a
                        // hold, the owner's counter is locked, and the next attempt waits for the end of this one.
                        key = fresh_key(id.kind().as_str(), id.uuid())?;
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn declare_once(
        &self,
        key: &ObjectKey,
        id: MediaId,
        user_id: Option<UserId>,
        hold: Option<&Hold>,
        repeated: bool,
    ) -> Result<i64> {
        let (intent, deadlines) = (upload_of(key, id, user_id), self.upload_deadlines());
        match hold {
            None => self.database.statements(async |conn| declare_on(conn, &intent, deadlines).await).await,
            Some(hold) => {
                self.database
                    .transaction(async |conn| declare_holding(conn, &intent, deadlines, hold, repeated).await)
                    .await
            }
        }
    }

    /// Puts a body under its intent, and keeps the intent from being swept meanwhile. After an error the intent is a
    /// purge.
    ///
    /// # Errors
    /// Those of storage; [`ObjectStoreError::UploadExpired`] when the upload was ended meanwhile, whatever storage said.
    pub(crate) async fn put(&self, intent: &Intent, body: Body, options: &PutOptions) -> Result<PutOutcome> {
        // A part that is under way when its upload is aborted may be stored after that (AWS API reference,
        // "AbortMultipartUpload").
        let in_parts = body.length().is_none();
        match self.within_fence(intent, self.storage.put(&intent.key, body, options)).await {
            Ok(outcome) => Ok(outcome),
            Err(error) => {
                let late_write = if in_parts { LateWrite::Possible } else { LateWrite::after_failure(&error) };
                let leftovers = if in_parts { Leftovers::WithMultipart } else { Leftovers::ObjectOnly };
                self.abandon(intent, leftovers, late_write).await?;
                Err(error)
            }
        }
    }

    /// Does something for an upload, and keeps its intent from being swept meanwhile.
    ///
    /// # Errors
    /// Those of `work`; [`ObjectStoreError::UploadExpired`] when a sweep has taken the intent all the same, and what the
    /// database says when the intent could not be renewed for so long that one may. `work` is then dropped.
    pub(crate) async fn within_fence<T, E>(
        &self,
        intent: &Intent,
        work: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T>
    where
        ObjectStoreError: From<E>,
    {
        let mut work = pin!(work);
        let fence = self.settings.timings.upload_fence;
        let mut fenced_until = Instant::now() + fence;
        loop {
            tokio::select! {
                outcome = &mut work => return Ok(outcome?),
                () = tokio::time::sleep(fence / 3) => {}
            }
            // The work goes on while the intent is renewed, so that a slow database does not stall the bytes.
            let renewed_at = Instant::now();
            let renewal = timeout_at(fenced_until, self.renew(intent));
            tokio::select! {
                outcome = &mut work => return Ok(outcome?),
                renewed = renewal => match renewed {
                    Ok(Ok(())) => fenced_until = renewed_at + fence,
                    Ok(Err(ObjectStoreError::Database(_))) if Instant::now() < fenced_until => {}
                    Ok(Err(error)) => return Err(error),
                    Err(_) => return Err(ObjectStoreError::UploadExpired),
                },
            }
        }
    }

    /// Starts the intent's fence anew.
    ///
    /// # Errors
    /// [`ObjectStoreError::UploadExpired`] when a sweep has taken it.
    pub(crate) async fn renew(&self, intent: &Intent) -> Result<()> {
        let deadlines = self.upload_deadlines();
        let (key, generation) = (intent.key.as_str(), intent.generation);
        let key_expiry = self.upload_key_expiry();
        let renewed = self
            .database
            .statements(async |conn| {
                if let Some(id) = intent.keyed_as {
                    IdempotencyRepo::renew(conn, id, key_expiry).await?;
                }
                IntentRepo::renew_fence(conn, key, generation, deadlines).await
            })
            .await?;
        if renewed { Ok(()) } else { Err(ObjectStoreError::UploadExpired) }
    }

    pub(crate) fn upload_deadlines(&self) -> Deadlines {
        let timings = &self.settings.timings;
        let fence = if mutants::is(Mutant::HasNoFence) { Duration::ZERO } else { timings.upload_fence };
        Deadlines { not_before_in: fence, clears_in: timings.upload_fence + timings.late_write }
    }
}

/// The intent of an upload through us, which declares nothing: all that it says is known to whoever commits it.
pub(crate) fn upload_of(key: &ObjectKey, media_id: MediaId, user_id: Option<UserId>) -> NewIntent<'_> {
    NewIntent {
        s3_key: key.as_str(),
        purpose: IntentPurpose::Upload,
        media_id,
        user_id,
        declared: "{}",
        multipart_upload_id: None,
    }
}

/// Writes an intent, or finds that an earlier attempt has written it. Returns its generation.
pub(crate) async fn declare_on(conn: &mut Connection<'_>, intent: &NewIntent<'_>, deadlines: Deadlines) -> Result<i64> {
    let written = match IntentRepo::create(conn, intent, deadlines).await? {
        Some(written) => Some(written),
        None => IntentRepo::get(conn, intent.s3_key).await?,
    };
    written.map(|written| written.generation).ok_or(ObjectStoreError::UploadExpired)
}

/// An insert that does nothing where its row is there already may be repeated even when it may have taken effect.
pub(crate) fn may_be_repeated(error: &RepoError) -> bool {
    error.is_retryable() || matches!(error, RepoError::CommitUnknown { .. })
}

/// Waits before something is tried again: longer each time, and not all callers at once.
pub(crate) async fn pause(attempt: u32) {
    const FIRST_MILLIS: u64 = 50;
    let longest = FIRST_MILLIS << attempt.min(6);
    // The first bytes of a random UUID are random, and it is at hand.
    let random = u64::from(uuid::Uuid::new_v4().as_fields().0);
    tokio::time::sleep(Duration::from_millis(longest / 2 + random % (longest / 2))).await;
}
