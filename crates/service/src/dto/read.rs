use object_store_models::{AudioId, ImageId, MediaId, MediaKind, Sha256, Timestamp, UserId};
use object_store_storage::ObjectKey;
use serde::Serialize;

/// A stored image. It exists, whole and validated, until it is deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageRead {
    /// Its id. Newer images have greater ids.
    pub id: ImageId,
    /// Its owner; `None` for ownerless media.
    pub user_id: Option<UserId>,
    /// The cleaned name of the uploaded file, at most 255 bytes.
    pub filename: String,
    /// The content type of the bytes, whatever was declared.
    pub content_type: String,
    /// The format of the bytes, such as `png`.
    pub format: String,
    /// The size of the object.
    pub size_bytes: u64,
    /// The digest of the object; `None` only for a large direct upload whose bytes nobody has hashed yet.
    pub sha256: Option<Sha256>,
    /// The entity tag that storage gave the object.
    pub etag: String,
    /// Width in pixels, as displayed.
    pub width: u32,
    /// Height in pixels, as displayed.
    pub height: u32,
    /// The orientation stored in the file, 1 to 8 (EXIF 2.32, tag 0x0112); `width` and `height` have it applied.
    pub orientation: u8,
    /// How many frames; 1 unless animated.
    pub frame_count: u32,
    /// When it was committed.
    pub created_at: Timestamp,
    #[serde(skip)]
    pub(crate) key: ObjectKey,
}

/// A stored audio file. It exists, whole and validated, until it is deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AudioRead {
    /// Its id. Newer audio files have greater ids.
    pub id: AudioId,
    /// Its owner; `None` for ownerless media.
    pub user_id: Option<UserId>,
    /// The cleaned name of the uploaded file, at most 255 bytes.
    pub filename: String,
    /// The content type of the bytes, whatever was declared.
    pub content_type: String,
    /// The format of the bytes, such as `flac`.
    pub format: String,
    /// The size of the object.
    pub size_bytes: u64,
    /// The digest of the object; `None` only for a large direct upload whose bytes nobody has hashed yet.
    pub sha256: Option<Sha256>,
    /// The entity tag that storage gave the object.
    pub etag: String,
    /// How long it plays, in milliseconds; `None` where the file does not tell.
    pub duration_ms: Option<u64>,
    /// Samples a second, in hertz.
    pub sample_rate: u32,
    /// How many channels, at least 1.
    pub channels: u16,
    /// Bits a sample, where the codec has such a thing.
    pub bit_depth: Option<u16>,
    /// How the audio is coded, such as `opus`.
    pub codec: String,
    /// Average bits a second, where it can be told.
    pub bitrate: Option<u32>,
    /// The title in the file's tags.
    pub title: Option<String>,
    /// The artist in the file's tags.
    pub artist: Option<String>,
    /// When it was committed.
    pub created_at: Timestamp,
    #[serde(skip)]
    pub(crate) key: ObjectKey,
}

/// What an uploaded file turned out to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum FileUploadResult {
    /// An image.
    Image(ImageRead),
    /// Audio.
    Audio(AudioRead),
}

impl FileUploadResult {
    /// Its id.
    pub fn id(&self) -> MediaId {
        match self {
            Self::Image(image) => image.id.into(),
            Self::Audio(audio) => audio.id.into(),
        }
    }

    /// What it is.
    pub fn kind(&self) -> MediaKind {
        self.id().kind()
    }
}
