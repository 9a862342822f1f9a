//! Giving up an upload: its intent becomes a purge.

use std::time::Duration;

use object_store_models::MediaId;
use object_store_repo::{Deadlines, IntentRepo};
use object_store_storage::{ObjectKey, RetryClass, StorageError};
use tracing::warn;

use crate::error::{Result, chain};
use crate::service::ObjectStoreService;
use crate::sweep::Leftovers;
use crate::upload::{StagedFile, write::Intent};

impl ObjectStoreService {
    /// Gives up a staged file, and removes its object at once if storage allows. A committed file is left alone.
    pub async fn discard(&self, staged: impl Into<StagedFile> + Send) {
        if let Some(object) = staged.into().object() {
            self.abandon(&object.intent(), Leftovers::ObjectOnly, LateWrite::Impossible).await;
        }
    }

    /// Turns the intent of a failed upload into a purge, and tries that at once. Failures are left to the sweep: the
    /// intent is there, and will be due.
    ///
    /// Safe after any failure, a commit of unknown outcome included: a committed upload has no intent any more, and
    /// without one nothing is deleted.
    pub(crate) async fn abandon(&self, intent: &Intent, leftovers: Leftovers, late_write: LateWrite) {
        let clears_in = match late_write {
            LateWrite::Impossible => Duration::ZERO,
            LateWrite::Possible => self.settings.timings.late_write,
        };
        // The purge that follows at once has the key to itself for a while.
        let deadlines = Deadlines { not_before_in: self.settings.timings.sweep_lease, clears_in };
        let (key, generation) = (intent.key.as_str(), intent.generation);
        let purge =
            self.database.statements(async |conn| IntentRepo::to_purge(conn, key, generation, deadlines).await).await;
        match purge {
            Ok(Some(purge)) => self.purge_soon(&purge, leftovers).await,
            Ok(None) => {}
            Err(error) => warn!(object.key = key, error = %chain(&error), "abandoned upload left to the sweep"),
        }
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
            RetryClass::OutcomeUnknown => Self::Possible,
            RetryClass::Safe | RetryClass::Never => Self::Impossible,
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
