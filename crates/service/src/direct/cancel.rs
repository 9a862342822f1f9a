//! Cancelling a direct upload.

use object_store_models::MediaId;

use crate::actor::Actor;
use crate::direct::find::Standing;
use crate::error::{ConflictError, ObjectStoreError, Result};
use crate::mutants::{self, Mutant};
use crate::service::ObjectStoreService;

impl ObjectStoreService {
    /// Gives up a direct upload. What the client has sent goes now, and what it still sends with a sweep. An upload that
    /// is over already, but for having been completed, is a success.
    ///
    /// # Errors
    /// [`ObjectStoreError::Conflict`] when it was completed: delete the file instead.
    pub async fn cancel_upload(&self, actor: Actor, id: MediaId) -> Result<()> {
        match self.standing(actor, id).await? {
            Standing::Stored(_) if mutants::is(Mutant::CancelsTheCompleted) => Ok(()),
            Standing::Stored(_) => Err(ConflictError::Completed.into()),
            Standing::Over => Ok(()),
            Standing::Open(upload) => match self.end_direct(&upload).await? {
                Some(purge) => {
                    self.purge_soon(&purge, upload.leftovers()).await;
                    Ok(())
                }
                // Somebody else was faster.
                None => match self.standing(actor, id).await {
                    Ok(Standing::Stored(_)) => Err(ConflictError::Completed.into()),
                    Ok(Standing::Over) | Err(ObjectStoreError::NotFound) => Ok(()),
                    Ok(Standing::Open(_)) => Err(ObjectStoreError::InProgress),
                    Err(error) => Err(error),
                },
            },
        }
    }
}
