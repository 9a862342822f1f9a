use std::time::Duration;

use object_store_media::Format;

/// Everything about the use cases that a host can choose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// What is accepted.
    pub limits: Limits,
    /// How long things take.
    pub timings: Timings,
}

/// What is accepted. Each limit is inclusive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The formats that are accepted; anything else is an unsupported type.
    pub formats: Vec<Format>,
    /// The largest image, in bytes.
    pub max_image_bytes: u64,
    /// The largest audio file, in bytes.
    pub max_audio_bytes: u64,
    /// The most pixels of an image, width times height.
    pub max_pixels: u64,
    /// The longest side of an image, in pixels.
    pub max_side: u32,
    /// The most frames of an animation.
    pub max_frames: u32,
    /// The longest audio.
    pub max_duration: Duration,
    /// The longest page of a listing.
    pub max_page: u16,
}

/// How long things take. Deadlines are written and compared by the database's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timings {
    /// How long an upload may go without renewing its intent before a sweep takes it for abandoned. Renewed at a third
    /// of it while bytes flow.
    pub upload_fence: Duration,
    /// How long a write whose outcome is unknown may still land in storage. The key is deleted again after it.
    pub late_write: Duration,
    /// How long a sweep keeps the intents that it has claimed.
    pub sweep_lease: Duration,
    /// The wait after the first failed purge; doubled with each further failure, up to `sweep_retry_max`.
    pub sweep_retry: Duration,
    /// The longest wait between two attempts to purge.
    pub sweep_retry_max: Duration,
    /// The life of a signed URL where the caller does not say.
    pub signed_url: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let media = object_store_media::Limits::default();
        Self {
            formats: Format::accepted_by_default().to_vec(),
            max_image_bytes: 25 << 20,
            max_audio_bytes: 2 << 30,
            max_pixels: media.max_pixels,
            max_side: media.max_side,
            max_frames: media.max_frames,
            max_duration: Duration::from_millis(media.max_duration_ms),
            max_page: 200,
        }
    }
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            upload_fence: Duration::from_mins(15),
            late_write: Duration::from_hours(2),
            sweep_lease: Duration::from_mins(5),
            sweep_retry: Duration::from_secs(10),
            sweep_retry_max: Duration::from_hours(1),
            signed_url: Duration::from_mins(15),
        }
    }
}
