//! Giving up an upload: its intent becomes a purge.

use std::time::Duration;

use object_store_models::{MediaId, UserId};
use object_store_repo::{Deadlines, IntentRepo};
use object_store_storage::{ObjectKey, RetryClass, StorageError};
use tracing::warn;

use crate::error::{ObjectStoreError, Result, chain};
use crate::mutants::{self, Mutant};
use crate::service::ObjectStoreService;
use crate::sweep::Leftovers;
use crate::upload::StagedFile;
use crate::upload::write::{Intent, upload_of};

impl ObjectStoreService {
    /// Gives up a staged file, and removes its object at once if storage allows. A committed file is left alone.
    pub async fn discard(&self, staged: impl Into<StagedFile> + Send) {
        if let Some(object) = staged.into().object() {
            // Lost or failing, it is the sweep's.
            let _ = self.abandon(&object.intent(), Leftovers::ObjectOnly, LateWrite::Impossible).await;
        }
    }

    /// Turns the intent of a failed upload into a purge, and tries that at once. Failures are left to the sweep: the
    /// intent is there, and will be due.
    ///
    /// Safe after any failure, a commit of unknown outcome included: a committed upload has no intent any more, and
    /// without one nothing is deleted.
    ///
    /// # Errors
    /// [`ObjectStoreError::UploadExpired`] when the intent was no longer ours: a sweep or an erasure has ended the upload,
    /// which must not go on under another key then. Those of the database, when nobody knows.
    pub(crate) async fn abandon(&self, intent: &Intent, leftovers: Leftovers, late_write: LateWrite) -> Result<()> {
        let deadlines = self.abandoned_deadlines(late_write);
        let (key, generation) = (intent.key.as_str(), intent.generation);
        let purge =
            self.database.statements(async |conn| IntentRepo::to_purge(conn, key, generation, deadlines).await).await;
        match purge {
            Ok(Some(purge)) => {
                self.purge_soon(&purge, leftovers).await;
                Ok(())
            }
            Ok(None) => {
                if mutants::is(Mutant::PurgesBlindly) {
                    drop(self.storage.delete(&intent.key).await);
                }
                Err(ObjectStoreError::UploadExpired)
            }
            Err(error) => {
                warn!(object.key = key, error = %chain(&error), "abandoned upload left to the sweep");
                Err(error.into())
            }
        }
    }

    /// Goes on with an upload under a fresh key, since a write to its key may still land.
    ///
    /// # Errors
    /// Like [`Self::abandon`].
    pub(crate) async fn move_on(&self, intent: &Intent, id: MediaId, user_id: Option<UserId>) -> Result<Intent> {
        let key = fresh_key(id.kind().as_str(), id.uuid())?;
        let next = upload_of(&key, id, user_id);
        let (purge, deadlines) = (self.abandoned_deadlines(LateWrite::Possible), self.upload_deadlines());
        let moved = self
            .database
            .transaction(async |conn| {
                let from = (intent.key.as_str(), intent.generation);
                IntentRepo::move_upload(conn, from, purge, &next, deadlines).await
            })
            .await?;
        let (purge, moved) = moved.ok_or(ObjectStoreError::UploadExpired)?;
        self.purge_soon(&purge, Leftovers::ObjectOnly).await;
        Ok(Intent { key, generation: moved.generation, keyed_as: intent.keyed_as })
    }

    /// The purge that follows at once has the key to itself for a while.
    fn abandoned_deadlines(&self, late_write: LateWrite) -> Deadlines {
        let clears_in = match late_write {
            LateWrite::Impossible => Duration::ZERO,
            LateWrite::Possible => self.settings.timings.late_write,
        };
        Deadlines { not_before_in: self.settings.timings.sweep_lease, clears_in }
    }
}

/// Whether bytes can still appear under a key after it was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LateWrite {
    /// Every write was answered.
    Impossible,
    /// A write's answer was lost.
    Possible,
}

impl LateWrite {
    pub(crate) fn after(error: &StorageError) -> Self {
        match error.retry_class() {
            RetryClass::OutcomeUnknown if !mutants::is(Mutant::TakesTheLostForFailed) => Self::Possible,
            RetryClass::OutcomeUnknown | RetryClass::Safe | RetryClass::Never => Self::Impossible,
        }
    }

    /// After a failed write that was one request.
    pub(crate) fn after_failure(error: &ObjectStoreError) -> Self {
        match error {
            ObjectStoreError::Storage(error) => Self::after(error),
            // The request was dropped under way.
            _ => Self::Possible,
        }
    }
}

/// A key made for one write, never used before or again.
pub(crate) fn fresh_key(kind: &str, id: uuid::Uuid) -> Result<ObjectKey> {
    let nonce = uuid::Uuid::new_v4().simple().to_string();
    ObjectKey::for_object(kind, &id.to_string(), &nonce)
        .map_err(|error| StorageError::InvalidRequest { reason: error.to_string() }.into())
}

/// A staging key that no client was ever given.
pub(crate) fn fresh_staging_key(id: MediaId) -> Result<ObjectKey> {
    let nonce = uuid::Uuid::new_v4().simple().to_string();
    ObjectKey::for_staging(&id.to_string(), &nonce)
        .map_err(|error| StorageError::InvalidRequest { reason: error.to_string() }.into())
}
