//! Completing a direct upload: what the client has sent becomes a finished file, or goes.

use object_store_models::{MediaId, ObjectIntent};
use object_store_repo::{IntentRepo, UsageRepo};
use object_store_storage::StorageError;

use crate::actor::Actor;
use crate::direct::copy::Copied;
use crate::direct::find::{OpenUpload, Standing};
use crate::direct::receive::Received;
use crate::dto::FileUploadResult;
use crate::error::{ObjectStoreError, Result};
use crate::filename::Filename;
use crate::mutants::{self, Mutant};
use crate::service::ObjectStoreService;
use crate::sweep::Leftovers;
use crate::upload::abandon::LateWrite;
use crate::upload::reserve::{Allowance, hand_over};
use crate::upload::staged::{StagedFile, StagedObject};
use crate::upload::write::{Intent, may_be_repeated};

/// How often what was sent is looked at again, because it was replaced meanwhile or somebody else was at it.
const ROUNDS: u32 = 4;

/// How often a commit is tried when it is not known whether it took effect, or when the database was busy.
const COMMIT_ATTEMPTS: u32 = 3;

impl ObjectStoreService {
    /// Makes a file of what a client has sent, with the checks and the reason codes of an upload through us.
    ///
    /// May be called any number of times, also at once: there is one file, and each call answers it.
    ///
    /// # Errors
    /// [`ObjectStoreError::NotReceived`] when nothing has arrived yet, and [`ObjectStoreError::Incomplete`] when not all
    /// parts have, and then nothing has changed;
    /// [`ObjectStoreError::Invalid`] when the bytes are not acceptable, and then the upload is over.
    pub async fn complete_upload(&self, actor: Actor, id: MediaId) -> Result<FileUploadResult> {
        let mut round = 1;
        loop {
            let upload = match self.standing(actor, id).await? {
                Standing::Open(upload) => upload,
                Standing::Stored(stored) => return Ok(*stored),
                Standing::Over => return Err(ObjectStoreError::UploadExpired),
            };
            let setback = match self.complete_once(&upload).await {
                Ok(stored) => return Ok(stored),
                Err(setback) => setback,
            };
            match setback {
                ObjectStoreError::Invalid(refusal) => {
                    if self.refuse(&upload).await? {
                        return Err(refusal.into());
                    }
                    // Somebody else was faster, with whatever was there then.
                }
                ObjectStoreError::Storage(StorageError::NotFound { .. }) => {
                    // Not sent, or somebody else has completed it and removed what was sent.
                    match self.standing(actor, id).await? {
                        // Its parts are being joined, unless somebody has aborted them behind our back.
                        Standing::Open(upload) if upload.is_in_parts() => return Err(ObjectStoreError::InProgress),
                        Standing::Open(_) => return Err(ObjectStoreError::NotReceived),
                        Standing::Stored(stored) => return Ok(*stored),
                        Standing::Over => return Err(ObjectStoreError::UploadExpired),
                    }
                }
                ObjectStoreError::Storage(StorageError::PreconditionFailed) if round == ROUNDS => {
                    return Err(ObjectStoreError::NotReceived);
                }
                ObjectStoreError::Storage(StorageError::PreconditionFailed) => {}
                ObjectStoreError::UploadExpired if round < ROUNDS => {}
                // A commit whose answer was lost, or a failure on which somebody else's success makes no difference.
                error => {
                    return match self.standing(actor, id).await {
                        Ok(Standing::Stored(stored)) => Ok(*stored),
                        _ => Err(error),
                    };
                }
            }
            if round == ROUNDS {
                return Err(ObjectStoreError::InProgress);
            }
            round += 1;
        }
    }

    async fn complete_once(&self, upload: &OpenUpload) -> Result<FileUploadResult> {
        if upload.is_in_parts() {
            self.join_parts(upload).await?;
        }
        let received = self.receive(upload).await?;
        let allowance = self.allowance(upload.user_id).await?;
        let (intent, copied) = self.copy_to_final(upload, &received).await?;
        let staged = staged(upload, received, &intent, copied, allowance);
        match self.commit_direct(upload, &staged, allowance).await {
            Ok((stored, purge)) => {
                self.purge_soon(&purge, upload.leftovers()).await;
                Ok(stored)
            }
            Err(error) => {
                // Lost, since it was committed or swept, or failing like the commit: `error` says it better.
                let _ = self.abandon(&intent, Leftovers::ObjectOnly, LateWrite::Impossible).await;
                Err(error)
            }
        }
    }

    /// Makes the file real: its row comes, and both intents go, the client's as a purge that will be repeated when
    /// nothing more can be sent.
    async fn commit_direct(
        &self,
        upload: &OpenUpload,
        staged: &StagedFile,
        allowance: Option<Allowance>,
    ) -> Result<(FileUploadResult, ObjectIntent)> {
        let mut attempt = 1;
        loop {
            match self.commit_direct_once(upload, staged, allowance).await {
                // Should the first attempt have taken effect after all, this one finds that the upload has ended.
                Err(ObjectStoreError::Database(error)) if may_be_repeated(&error) && attempt < COMMIT_ATTEMPTS => {
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    async fn commit_direct_once(
        &self,
        upload: &OpenUpload,
        staged: &StagedFile,
        allowance: Option<Allowance>,
    ) -> Result<(FileUploadResult, ObjectIntent)> {
        let (key, generation) = (upload.staging.as_str(), upload.generation);
        let lease = self.settings.timings.sweep_lease;
        self.database
            .transaction(async |conn| {
                // First the owner's counter and the idempotency key, as whoever begins again has them: nobody waits in a
                // circle. Then the client's intent: of several that complete, one ends it, and the others insert nothing.
                if let Some(allowance) = allowance {
                    UsageRepo::lock(conn, allowance.user).await?;
                }
                if let Some(object) = staged.object() {
                    self.settle_key(conn, upload.id, object).await?;
                }
                // `None`: completed by somebody else, cancelled or swept.
                let purge = IntentRepo::end_direct(conn, key, generation, lease).await?;
                let purge = match purge {
                    None if mutants::is(Mutant::CompletesTheEnded) => IntentRepo::get(conn, key).await?,
                    purge => purge,
                };
                let mut purge = purge.ok_or(ObjectStoreError::UploadExpired)?;
                if let (Some(allowance), Some(object)) = (allowance, staged.object()) {
                    hand_over(conn, allowance, &mut purge, object).await?;
                }
                Ok((self.commit_file(conn, staged).await?, purge))
            })
            .await
    }

    /// Ends an upload whose bytes are not acceptable. `false` if it has ended otherwise meanwhile.
    async fn refuse(&self, upload: &OpenUpload) -> Result<bool> {
        if mutants::is(Mutant::KeepsTheRefused) {
            return Ok(true);
        }
        let Some(purge) = self.end_direct(upload).await? else {
            return Ok(false);
        };
        self.purge_soon(&purge, upload.leftovers()).await;
        Ok(true)
    }

    /// Makes a purge of the client's intent. `None` if the upload has ended already.
    pub(super) async fn end_direct(&self, upload: &OpenUpload) -> Result<Option<ObjectIntent>> {
        let (key, generation) = (upload.staging.as_str(), upload.generation);
        let lease = self.settings.timings.sweep_lease;
        Ok(self.database.statements(async |conn| IntentRepo::end_direct(conn, key, generation, lease).await).await?)
    }
}

fn staged(
    upload: &OpenUpload,
    received: Received,
    intent: &Intent,
    copied: Copied,
    allowance: Option<Allowance>,
) -> StagedFile {
    let object = StagedObject {
        key: intent.key.clone(),
        generation: intent.generation,
        user_id: upload.user_id,
        filename: Filename::from_stored(&upload.declared.filename),
        format: received.format,
        size_bytes: received.size_bytes,
        sha256: copied.sha256,
        etag: copied.etag,
        is_keyed: upload.declared.is_keyed,
        is_counted: allowance.is_some(),
    };
    StagedFile::new(upload.id.uuid(), object, received.facts)
}
