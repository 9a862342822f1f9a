//! Beginning a direct upload in parts. Unlike a signature, a multipart upload is something that storage keeps: the intent
//! that names its key is committed first.

use object_store_models::{IntentPurpose, MediaId, ObjectIntent};
use object_store_repo::IntentRepo;
use object_store_storage::{ObjectKey, StorageError};
use tracing::warn;

use crate::direct::begin::{Begun, Plan};
use crate::direct::find::OpenUpload;
use crate::dto::{DirectUpload, UploadMethod};
use crate::error::{ObjectStoreError, Result, ValidationError, chain};
use crate::service::ObjectStoreService;
use crate::translate::CorruptRow;
use crate::upload::reserve::Hold;
use crate::upload::write::{INTENT_ATTEMPTS, may_be_repeated, pause};

impl ObjectStoreService {
    /// Commits the intent, begins the multipart upload, and notes its name. A crash in between leaves an upload under a
    /// key that an intent names, which is all that a sweep needs to know.
    pub(super) async fn begin_in_parts(
        &self,
        id: MediaId,
        key: ObjectKey,
        plan: &Plan,
        hold: Option<&Hold>,
    ) -> Result<DirectUpload> {
        let (id, key) = match self.declare_direct(id, &key, plan, hold).await? {
            Begun::Anew => (id, key),
            Begun::Before(intent) => {
                let key = ObjectKey::parse(&intent.s3_key).map_err(|error| CorruptRow::of(intent.media_id, error))?;
                (intent.media_id, key)
            }
            Begun::Completed(id, expires_at) => {
                return Ok(DirectUpload { id, method: UploadMethod::Completed, expires_at });
            }
        };
        let upload = OpenUpload::of(&self.with_multipart_upload(&key, plan).await?)?;
        let parts = upload.parts()?;
        let method = UploadMethod::Parts { part_bytes: parts.part_bytes(), part_count: parts.count() };
        Ok(DirectUpload { id, method, expires_at: self.sendable_until(&upload)? })
    }

    /// The intent, once it has a multipart upload: of several requests with one idempotency key, the one that is noted
    /// first.
    async fn with_multipart_upload(&self, key: &ObjectKey, plan: &Plan) -> Result<ObjectIntent> {
        let intent = self.direct_intent(key).await?;
        if intent.multipart_upload_id.is_some() {
            return Ok(intent);
        }
        let created = self.storage.create_multipart_upload(key, plan.format.content_type()).await;
        let upload_id = match created {
            Ok(upload_id) => upload_id,
            Err(error) => {
                // With an idempotency key, the next request goes on here. Without, nobody will ever know the id.
                if plan.keyed.is_none() {
                    self.give_up(&intent).await;
                }
                return Err(no_parts(error));
            }
        };
        // When this fails, the name may have been noted all the same: the upload is left, to the next request or a sweep.
        let noted = self.note_multipart_upload(&intent, &upload_id).await?;
        if noted.as_ref().is_some_and(|noted| noted.multipart_upload_id.as_deref() == Some(&upload_id)) {
            return noted.ok_or(ObjectStoreError::UploadExpired);
        }
        if let Err(error) = self.storage.abort_multipart_upload(key, &upload_id).await {
            warn!(object.key = %key, error = %chain(&error), "a second multipart upload is left to the sweep");
        }
        noted.ok_or(ObjectStoreError::UploadExpired)
    }

    /// The intent as it is then; `None` if the upload has ended.
    async fn note_multipart_upload(&self, intent: &ObjectIntent, upload_id: &str) -> Result<Option<ObjectIntent>> {
        let (key, generation) = (intent.s3_key.as_str(), intent.generation);
        let mut attempt = 1;
        loop {
            let noted = self
                .database
                .statements(async |conn| {
                    IntentRepo::name_multipart_upload(conn, key, generation, upload_id).await?;
                    IntentRepo::get(conn, key).await
                })
                .await;
            match noted {
                Ok(intent) => return Ok(intent.filter(|intent| intent.purpose == IntentPurpose::Direct)),
                Err(error) if may_be_repeated(&error) && attempt < INTENT_ATTEMPTS => {
                    pause(attempt).await;
                    attempt += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn direct_intent(&self, key: &ObjectKey) -> Result<ObjectIntent> {
        let found = IntentRepo::get(&mut self.connection().await?, key.as_str()).await?;
        found.filter(|intent| intent.purpose == IntentPurpose::Direct).ok_or(ObjectStoreError::UploadExpired)
    }

    /// Ends an upload that has failed to begin. What this misses, a sweep does.
    async fn give_up(&self, intent: &ObjectIntent) {
        let ended = match OpenUpload::of(intent) {
            Ok(upload) => self.end_direct(&upload).await.map(|purge| (purge, upload.leftovers())),
            Err(error) => Err(error.into()),
        };
        match ended {
            Ok((Some(purge), leftovers)) => self.purge_soon(&purge, leftovers).await,
            Ok((None, _)) => {}
            Err(error) => warn!(object.key = intent.s3_key, error = %chain(&error), "upload left to the sweep"),
        }
    }
}

fn no_parts(error: StorageError) -> ObjectStoreError {
    match error {
        StorageError::Unsupported { .. } => {
            ValidationError::MethodUnsupported { method: "multipart upload", alternative: "PUT" }.into()
        }
        other => other.into(),
    }
}
