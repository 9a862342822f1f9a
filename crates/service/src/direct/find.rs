//! Where a direct upload stands.

use object_store_models::{IntentPurpose, MediaId, ObjectIntent, UserId};
use object_store_repo::IntentRepo;
use object_store_storage::ObjectKey;

use crate::actor::Actor;
use crate::authorize;
use crate::direct::declared::DeclaredUpload;
use crate::dto::FileUploadResult;
use crate::error::{ObjectStoreError, Result};
use crate::service::ObjectStoreService;
use crate::translate::CorruptRow;

/// What became of an upload so far.
pub(super) enum Standing {
    /// It can be completed or cancelled.
    Open(OpenUpload),
    /// It was completed, or was never a direct upload.
    Stored(Box<FileUploadResult>),
    /// It was cancelled, refused or has expired, or was completed and deleted since.
    Over,
}

/// A direct upload that was begun and has not ended.
#[derive(Debug, Clone)]
pub(super) struct OpenUpload {
    pub(super) id: MediaId,
    pub(super) user_id: Option<UserId>,
    pub(super) staging: ObjectKey,
    pub(super) generation: i64,
    pub(super) declared: DeclaredUpload,
}

impl ObjectStoreService {
    /// How an upload stands that the actor may complete or cancel.
    pub(super) async fn standing(&self, actor: Actor, id: MediaId) -> Result<Standing> {
        let mut conn = self.connection().await?;
        // The intent first: whoever completes the upload between the two statements leaves a row for the second.
        let directory = ObjectKey::staging_directory(&id.to_string());
        let intents = IntentRepo::under(&mut conn, &directory).await?;
        let found = intents.into_iter().find(|(intent, _)| intent.media_id == id);
        if let Some((intent, is_due)) = &found {
            authorize::finish_upload(actor, intent.user_id)?;
            if intent.purpose == IntentPurpose::Direct && !is_due {
                return Ok(Standing::Open(OpenUpload::of(intent)?));
            }
        }
        match self.get_file(&mut conn, actor, id).await {
            Ok(stored) => Ok(Standing::Stored(Box::new(stored))),
            Err(ObjectStoreError::NotFound) if found.is_some() => Ok(Standing::Over),
            Err(error) => Err(error),
        }
    }
}

impl OpenUpload {
    fn of(intent: &ObjectIntent) -> Result<Self, CorruptRow> {
        Ok(Self {
            id: intent.media_id,
            user_id: intent.user_id,
            staging: ObjectKey::parse(&intent.s3_key).map_err(|error| CorruptRow::of(intent.media_id, error))?,
            generation: intent.generation,
            declared: DeclaredUpload::of(intent)?,
        })
    }
}
