//! Committing: the row that makes a staged file real.

use object_store_media::{AudioFacts, ImageFacts};
use object_store_models::{AudioId, AudioModel, ImageId, ImageModel, MediaId, NewAudio, NewImage};
use object_store_repo::{AudioRepo, Connection, ImageRepo, IntentRepo, RepoError, UsageRepo};

use crate::actor::Actor;
use crate::dto::{AudioCreate, AudioRead, FileCreate, FileUploadResult, ImageCreate, ImageRead, UploadBody};
use crate::error::{ObjectStoreError, Result};
use crate::service::ObjectStoreService;
use crate::sweep::Leftovers;
use crate::upload::abandon::LateWrite;
use crate::upload::reserve::settle;
use crate::upload::staged::{StagedAudio, StagedFile, StagedImage, StagedObject};
use crate::upload::write::{may_be_repeated, pause};

/// How often a commit is tried when it is not known whether it took effect, or when the database was busy.
const COMMIT_ATTEMPTS: u32 = 3;

impl ObjectStoreService {
    /// Stores an image, whole and validated, or nothing at all.
    pub async fn upload_image(&self, actor: Actor, image: ImageCreate, body: UploadBody) -> Result<ImageRead> {
        let staged = self.stage_image(actor, image, body).await?;
        let id = staged.id;
        match self.commit_alone(staged.into()).await? {
            FileUploadResult::Image(image) => Ok(image),
            FileUploadResult::Audio(_) => Err(misfiled(id)),
        }
    }

    /// Stores an audio file, whole and validated, or nothing at all.
    pub async fn upload_audio(&self, actor: Actor, audio: AudioCreate, body: UploadBody) -> Result<AudioRead> {
        let staged = self.stage_audio(actor, audio, body).await?;
        let id = staged.id;
        match self.commit_alone(staged.into()).await? {
            FileUploadResult::Audio(audio) => Ok(audio),
            FileUploadResult::Image(_) => Err(misfiled(id)),
        }
    }

    /// Stores a file, whole and validated, or nothing at all. The bytes decide whether it is an image or audio.
    pub async fn upload_file(&self, actor: Actor, file: FileCreate, body: UploadBody) -> Result<FileUploadResult> {
        let staged = self.stage_file(actor, file, body).await?;
        self.commit_alone(staged).await
    }

    /// Makes a staged image real, inside the caller's transaction: once that is committed the image exists; rolled back,
    /// it never did, and a sweep removes its object.
    ///
    /// # Errors
    /// [`ObjectStoreError::UploadExpired`] when a sweep has taken it for abandoned, [`ObjectStoreError::NoTransaction`].
    /// After any error, or when the future was dropped, the transaction must be rolled back.
    pub async fn commit_image(&self, conn: &mut Connection<'_>, staged: &StagedImage) -> Result<ImageRead> {
        let Some((object, facts)) = &staged.work else {
            return self.get_image(conn, Actor::System, staged.id).await;
        };
        let held = self.take_place(conn, staged.id.into(), object).await?;
        let row = insert_image(conn, staged.id, object, facts).await?;
        settle(conn, object, held).await?;
        Ok(row.try_into()?)
    }

    /// Makes a staged audio file real, inside the caller's transaction: once that is committed it exists; rolled back,
    /// it never did, and a sweep removes its object.
    ///
    /// # Errors
    /// As [`ObjectStoreService::commit_image`].
    pub async fn commit_audio(&self, conn: &mut Connection<'_>, staged: &StagedAudio) -> Result<AudioRead> {
        let Some((object, facts)) = &staged.work else {
            return self.get_audio(conn, Actor::System, staged.id).await;
        };
        let held = self.take_place(conn, staged.id.into(), object).await?;
        let row = insert_audio(conn, staged.id, object, facts).await?;
        settle(conn, object, held).await?;
        Ok(row.try_into()?)
    }

    /// Makes a staged file real, as [`ObjectStoreService::commit_image`] or [`ObjectStoreService::commit_audio`].
    pub async fn commit_file(&self, conn: &mut Connection<'_>, staged: &StagedFile) -> Result<FileUploadResult> {
        match staged {
            StagedFile::Image(image) => self.commit_image(conn, image).await.map(FileUploadResult::Image),
            StagedFile::Audio(audio) => self.commit_audio(conn, audio).await.map(FileUploadResult::Audio),
        }
    }

    /// Ends the upload of a file whose row comes next. Returns how many bytes of the owner's quota it held.
    async fn take_place(&self, conn: &mut Connection<'_>, id: MediaId, object: &StagedObject) -> Result<i64> {
        if let Some(user) = object.user_id.filter(|_| object.is_counted) {
            require_transaction(conn)?;
            UsageRepo::lock(conn, user).await?;
        }
        self.settle_key(conn, id, object).await?;
        consume_intent(conn, object).await
    }

    /// Commits in a transaction of its own. After an error the upload is given up.
    async fn commit_alone(&self, staged: StagedFile) -> Result<FileUploadResult> {
        match self.commit_or_find(&staged).await {
            Ok(stored) => Ok(stored),
            Err(error) => {
                if let Some(object) = staged.object() {
                    // Lost, since it was committed or swept, or failing like the commit: `error` says it better.
                    let _ = self.abandon(&object.intent(), Leftovers::ObjectOnly, LateWrite::Impossible).await;
                }
                // If a commit of unknown outcome did take effect, there was no intent to abandon.
                match error {
                    ObjectStoreError::Database(RepoError::CommitUnknown { .. }) => {
                        self.find_committed(&staged).await.ok_or(error)
                    }
                    error => Err(error),
                }
            }
        }
    }

    async fn commit_or_find(&self, staged: &StagedFile) -> Result<FileUploadResult> {
        let mut unknown = None;
        let mut attempt = 1;
        loop {
            let failure = match self.database.transaction(async |conn| self.commit_file(conn, staged).await).await {
                Ok(stored) => return Ok(stored),
                Err(failure) => failure,
            };
            // A commit whose answer was lost has stored the row: the row itself is the answer.
            if (attempt > 1 || matches!(failure, ObjectStoreError::Database(_)))
                && let Some(stored) = self.find_committed(staged).await
            {
                return Ok(stored);
            }
            let may_be_repeated = matches!(&failure, ObjectStoreError::Database(error) if may_be_repeated(error));
            if matches!(failure, ObjectStoreError::Database(RepoError::CommitUnknown { .. })) {
                unknown.get_or_insert(failure);
            } else if !may_be_repeated || attempt == COMMIT_ATTEMPTS {
                // What failed after an unknown commit says nothing about that one.
                return Err(unknown.unwrap_or(failure));
            }
            if let Some(failure) = unknown.take_if(|_| attempt == COMMIT_ATTEMPTS) {
                return Err(failure);
            }
            pause(attempt).await;
            attempt += 1;
        }
    }

    /// The row of a staged file, if it is known to be there.
    async fn find_committed(&self, staged: &StagedFile) -> Option<FileUploadResult> {
        let mut conn = self.connection().await.ok()?;
        self.get_file(&mut conn, Actor::System, staged.id()).await.ok()
    }
}

/// A write that takes several statements, and so must be in a transaction: one alone would leave an object that nothing
/// names.
pub(crate) fn require_transaction(conn: &mut Connection<'_>) -> Result<()> {
    if conn.is_in_transaction() { Ok(()) } else { Err(ObjectStoreError::NoTransaction) }
}

/// Takes the intent's place. First of all, so that a caller who goes on after [`ObjectStoreError::UploadExpired`] has
/// no row. Returns what it held.
async fn consume_intent(conn: &mut Connection<'_>, object: &StagedObject) -> Result<i64> {
    require_transaction(conn)?;
    let held = IntentRepo::settle_upload(conn, object.key.as_str(), object.generation).await?;
    held.ok_or(ObjectStoreError::UploadExpired)
}

async fn insert_image(
    conn: &mut Connection<'_>,
    id: ImageId,
    object: &StagedObject,
    facts: &ImageFacts,
) -> Result<ImageModel> {
    let row = NewImage {
        id,
        user_id: object.user_id,
        s3_key: object.key.as_str(),
        filename: object.filename.as_str(),
        content_type: object.format.content_type(),
        format: object.format.name(),
        size_bytes: stored_i64(object.size_bytes),
        sha256: object.sha256,
        etag: &object.etag,
        width: stored_i32(facts.width),
        height: stored_i32(facts.height),
        orientation: facts.orientation.into(),
        frame_count: stored_i32(facts.frame_count),
    };
    Ok(ImageRepo::create(conn, &row).await?)
}

async fn insert_audio(
    conn: &mut Connection<'_>,
    id: AudioId,
    object: &StagedObject,
    facts: &AudioFacts,
) -> Result<AudioModel> {
    let row = NewAudio {
        id,
        user_id: object.user_id,
        s3_key: object.key.as_str(),
        filename: object.filename.as_str(),
        content_type: object.format.content_type(),
        format: object.format.name(),
        size_bytes: stored_i64(object.size_bytes),
        sha256: object.sha256,
        etag: &object.etag,
        duration_ms: facts.duration_ms.map(stored_i64),
        sample_rate: stored_i32(facts.sample_rate),
        channels: stored_i16(facts.channels),
        bit_depth: facts.bit_depth.map(stored_i16),
        codec: facts.codec.name(),
        bitrate: facts.bitrate.map(stored_i32),
        title: facts.title.as_deref(),
        artist: facts.artist.as_deref(),
    };
    Ok(AudioRepo::create(conn, &row).await?)
}

/// Cannot happen: what was committed is what was staged.
fn misfiled(id: impl std::fmt::Display) -> ObjectStoreError {
    tracing::error!(object.id = %id, "a row came back as the other kind of media");
    ObjectStoreError::NotFound
}

// Facts are limited far below what a column holds; a fact that is not becomes the greatest that a column can tell.

fn stored_i64(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn stored_i32(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

fn stored_i16(value: u16) -> i16 {
    i16::try_from(value).unwrap_or(i16::MAX)
}
