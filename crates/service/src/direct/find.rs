//! Where a direct upload stands.

use object_store_models::{IntentPurpose, MediaId, ObjectIntent, Timestamp, UserId};
use object_store_repo::IntentRepo;
use object_store_storage::ObjectKey;

use crate::actor::Actor;
use crate::authorize;
use crate::direct::declared::DeclaredUpload;
use crate::direct::parts::Parts;
use crate::dto::FileUploadResult;
use crate::error::{ObjectStoreError, Result, ValidationError};
use crate::mutants::{self, Mutant};
use crate::service::ObjectStoreService;
use crate::sweep::Leftovers;
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
    /// Of an upload in parts, once it has one.
    pub(super) multipart_upload_id: Option<String>,
    /// When a sweep may take it.
    pub(super) not_before: Timestamp,
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
            let is_open = !is_due || mutants::is(Mutant::CompletesTheExpired);
            if intent.purpose == IntentPurpose::Direct && is_open {
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
    pub(super) fn of(intent: &ObjectIntent) -> Result<Self, CorruptRow> {
        Ok(Self {
            id: intent.media_id,
            user_id: intent.user_id,
            staging: ObjectKey::parse(&intent.s3_key).map_err(|error| CorruptRow::of(intent.media_id, error))?,
            generation: intent.generation,
            declared: DeclaredUpload::of(intent)?,
            multipart_upload_id: intent.multipart_upload_id.clone(),
            not_before: intent.not_before,
        })
    }

    pub(super) fn is_in_parts(&self) -> bool {
        self.declared.part_bytes.is_some()
    }

    /// How it is cut.
    ///
    /// # Errors
    /// [`ValidationError::NotInParts`] if it comes as a whole.
    pub(super) fn parts(&self) -> Result<Parts> {
        if !self.is_in_parts() {
            return Err(ValidationError::NotInParts.into());
        }
        let parts = self.declared.parts();
        parts.ok_or_else(|| CorruptRow::of(self.id, "its parts are none that storage takes").into())
    }

    /// What may lie under its key.
    pub(super) fn leftovers(&self) -> Leftovers {
        if self.is_in_parts() { Leftovers::WithMultipart } else { Leftovers::ObjectOnly }
    }
}
