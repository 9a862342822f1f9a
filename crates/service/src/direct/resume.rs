//! What a client needs to go on with a direct upload in parts: what has arrived, and where the rest goes.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use object_store_models::{MediaId, Timestamp};
use object_store_repo::read_clock;
use object_store_storage::{MAX_PRESIGN_SECONDS, PresignPart, StorageError, UploadedPart};

use crate::actor::Actor;
use crate::direct::find::{OpenUpload, Standing};
use crate::direct::parts::Parts;
use crate::dto::{ReceivedPart, SignedPart, UploadParts};
use crate::error::{ConflictError, ObjectStoreError, Result, ValidationError};
use crate::service::ObjectStoreService;
use crate::translate::CorruptRow;

/// How many parts are signed at once: each costs some hashing here, and a line of the answer.
const MAX_SIGNED_AT_ONCE: usize = 1_000;

impl ObjectStoreService {
    /// Signs where a client puts these parts of a direct upload, each until the upload expires and any number of times.
    ///
    /// # Errors
    /// [`ObjectStoreError::Invalid`] for a number that the upload does not have, for more than 1,000 at once, and for an
    /// upload that does not come in parts; [`ObjectStoreError::UploadExpired`], [`ObjectStoreError::Conflict`] when it was
    /// completed.
    pub async fn sign_upload_parts(&self, actor: Actor, id: MediaId, numbers: &[u16]) -> Result<Vec<SignedPart>> {
        if numbers.len() > MAX_SIGNED_AT_ONCE {
            let (limit, actual) = (MAX_SIGNED_AT_ONCE, numbers.len());
            return Err(ValidationError::TooManyParts { limit, actual }.into());
        }
        let upload = self.open_upload(actor, id).await?;
        let parts = upload.parts()?;
        let sizes = numbers.iter().map(|number| Ok((*number, size_of(&parts, *number)?)));
        let sizes = sizes.collect::<Result<Vec<(u16, u64)>>>()?;
        // It has none while it is being begun.
        let upload_id = upload.multipart_upload_id.clone().ok_or(ObjectStoreError::InProgress)?;
        let expires_in = self.sendable_for(&upload).await?;

        let mut signed = Vec::with_capacity(sizes.len());
        for (number, size_bytes) in sizes {
            let part = PresignPart {
                expires_in,
                upload_id: upload_id.clone(),
                part_number: number,
                content_length: size_bytes,
            };
            let url = self.storage.presign_part(&upload.staging, &part).await?;
            let expires_at = DateTime::<Utc>::from(url.expires_at).into();
            signed.push(SignedPart { number, size_bytes, url: url.url, headers: url.headers, expires_at });
        }
        Ok(signed)
    }

    /// Which parts of a direct upload have arrived, and which are missing.
    ///
    /// # Errors
    /// As [`ObjectStoreService::sign_upload_parts`].
    pub async fn list_upload_parts(&self, actor: Actor, id: MediaId) -> Result<UploadParts> {
        let upload = self.open_upload(actor, id).await?;
        let parts = upload.parts()?;
        let expires_at = self.sendable_until(&upload)?;
        let received = match &upload.multipart_upload_id {
            None => Ok(Vec::new()),
            Some(upload_id) => self.received_parts(&upload, &parts, upload_id).await,
        };
        match received {
            Ok(received) => Ok(told(&parts, &received, expires_at)),
            Err(StorageError::UploadMissing { .. }) => self.joined(actor, &upload, &parts, expires_at).await,
            Err(error) => Err(error.into()),
        }
    }

    /// What is to be told of parts that are one object already: somebody was completing, and has died or is still at it.
    async fn joined(
        &self,
        actor: Actor,
        upload: &OpenUpload,
        parts: &Parts,
        expires_at: Timestamp,
    ) -> Result<UploadParts> {
        match self.storage.head(&upload.staging).await {
            Ok(_) => {
                let received = parts.numbers().filter_map(|number| {
                    Some(ReceivedPart { number, size_bytes: parts.bytes_of(number)?, etag: None })
                });
                let received = received.collect();
                Ok(UploadParts { received, missing: Vec::new(), ..told(parts, &[], expires_at) })
            }
            Err(StorageError::NotFound { .. }) => {
                self.open_upload(actor, upload.id).await?;
                Err(ObjectStoreError::InProgress)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn open_upload(&self, actor: Actor, id: MediaId) -> Result<OpenUpload> {
        match self.standing(actor, id).await? {
            Standing::Open(upload) => Ok(upload),
            Standing::Stored(_) => Err(ConflictError::Completed.into()),
            Standing::Over => Err(ObjectStoreError::UploadExpired),
        }
    }

    /// Until when a client may send, by the database's clock: what is sent then may land a while later, and the intent is
    /// there until it has.
    pub(super) fn sendable_until(&self, upload: &OpenUpload) -> Result<Timestamp, CorruptRow> {
        let late_write = i64::try_from(self.settings.timings.late_write.as_micros()).unwrap_or(i64::MAX);
        let until = upload.not_before.micros().checked_sub(late_write).and_then(Timestamp::from_micros);
        until.ok_or_else(|| CorruptRow::of(upload.id, "its time is beyond all measure"))
    }

    /// For how long from now on. The time that asking the database takes counts against the client, so that no signature
    /// outlives its intent.
    async fn sendable_for(&self, upload: &OpenUpload) -> Result<Duration> {
        let asked = Instant::now();
        let now = read_clock(&mut self.connection().await?).await?;
        let left = self.sendable_until(upload)?.micros().saturating_sub(now.micros());
        let left = Duration::from_micros(u64::try_from(left).unwrap_or_default()).saturating_sub(asked.elapsed());
        let seconds = left.as_secs().min(MAX_PRESIGN_SECONDS.into());
        if seconds == 0 { Err(ObjectStoreError::UploadExpired) } else { Ok(Duration::from_secs(seconds)) }
    }
}

fn size_of(parts: &Parts, number: u16) -> Result<u64, ValidationError> {
    parts.bytes_of(number).ok_or(ValidationError::BadPartNumber { limit: parts.count(), actual: number })
}

fn told(parts: &Parts, received: &[UploadedPart], expires_at: Timestamp) -> UploadParts {
    UploadParts {
        size_bytes: parts.size_bytes(),
        part_bytes: parts.part_bytes(),
        part_count: parts.count(),
        missing: parts.missing(received),
        received: received
            .iter()
            .map(|part| ReceivedPart {
                number: part.number,
                size_bytes: part.size_bytes,
                etag: Some(part.etag.clone()),
            })
            .collect(),
        expires_at,
    }
}
