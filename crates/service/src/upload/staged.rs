use object_store_media::{AudioFacts, Facts, Format, ImageFacts};
use object_store_models::{AudioId, ImageId, MediaId, Sha256, UserId};
use object_store_storage::ObjectKey;

use crate::filename::Filename;
use crate::upload::write::Intent;

/// An image whose bytes are in storage and validated, and which does not exist yet: it must be committed.
///
/// Not committed, it is removed by a sweep once its intent is due.
#[derive(Debug, Clone)]
#[must_use = "a staged image does not exist until it is committed"]
pub struct StagedImage {
    pub(crate) id: ImageId,
    /// `None`: an earlier request with the same idempotency key has stored it.
    pub(crate) work: Option<(StagedObject, ImageFacts)>,
}

/// An audio file whose bytes are in storage and validated, and which does not exist yet: it must be committed.
///
/// Not committed, it is removed by a sweep once its intent is due.
#[derive(Debug, Clone)]
#[must_use = "a staged audio file does not exist until it is committed"]
pub struct StagedAudio {
    pub(crate) id: AudioId,
    /// `None`: an earlier request with the same idempotency key has stored it.
    pub(crate) work: Option<(StagedObject, AudioFacts)>,
}

/// A staged image or audio file.
#[derive(Debug, Clone)]
#[must_use = "a staged file does not exist until it is committed"]
pub enum StagedFile {
    /// An image.
    Image(StagedImage),
    /// Audio.
    Audio(StagedAudio),
}

/// What both have in common.
#[derive(Debug, Clone)]
pub(crate) struct StagedObject {
    pub(crate) key: ObjectKey,
    pub(crate) generation: i64,
    pub(crate) user_id: Option<UserId>,
    pub(crate) filename: Filename,
    pub(crate) format: Format,
    pub(crate) size_bytes: u64,
    pub(crate) sha256: Option<Sha256>,
    pub(crate) etag: String,
    /// Whether an idempotency key stands for it.
    pub(crate) is_keyed: bool,
    /// Whether its owner's bytes are counted.
    pub(crate) is_counted: bool,
}

impl StagedObject {
    pub(crate) fn intent(&self) -> Intent {
        Intent { key: self.key.clone(), generation: self.generation, keyed_as: None }
    }
}

impl StagedImage {
    /// The id that the image will have.
    pub fn id(&self) -> ImageId {
        self.id
    }
}

impl StagedAudio {
    /// The id that the audio file will have.
    pub fn id(&self) -> AudioId {
        self.id
    }
}

impl StagedFile {
    pub(crate) fn new(id: uuid::Uuid, object: StagedObject, facts: Facts) -> Self {
        match facts {
            Facts::Image(facts) => Self::Image(StagedImage { id: id.into(), work: Some((object, facts)) }),
            Facts::Audio(facts) => Self::Audio(StagedAudio { id: id.into(), work: Some((object, facts)) }),
        }
    }

    /// Nothing to do: it was stored before.
    pub(crate) fn stored_before(id: MediaId) -> Self {
        match id {
            MediaId::Image(id) => Self::Image(StagedImage { id, work: None }),
            MediaId::Audio(id) => Self::Audio(StagedAudio { id, work: None }),
        }
    }

    /// The id that the file will have.
    pub fn id(&self) -> MediaId {
        match self {
            Self::Image(image) => image.id.into(),
            Self::Audio(audio) => audio.id.into(),
        }
    }

    /// `None` where an earlier request with the same idempotency key has stored it.
    pub(crate) fn object(&self) -> Option<&StagedObject> {
        match self {
            Self::Image(image) => image.work.as_ref().map(|(object, _)| object),
            Self::Audio(audio) => audio.work.as_ref().map(|(object, _)| object),
        }
    }
}

impl From<StagedImage> for StagedFile {
    fn from(image: StagedImage) -> Self {
        Self::Image(image)
    }
}

impl From<StagedAudio> for StagedFile {
    fn from(audio: StagedAudio) -> Self {
        Self::Audio(audio)
    }
}
