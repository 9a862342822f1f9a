use std::time::Duration;

use object_store_media::Format;
use object_store_storage::{CdnUrl, MAX_PRESIGN_SECONDS};

use crate::error::ConfigError;
use crate::quota::Quota;

/// Everything about the use cases that a host can choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What is accepted.
    pub limits: Limits,
    /// How long things take.
    pub timings: Timings,
    /// Direct uploads up to this many bytes are hashed when they are completed; the digest of larger ones stays unknown.
    pub hash_at_completion: u64,
    /// How many bytes each user may have.
    pub quota: Quota,
    /// Where a content delivery network serves the bucket, if one does.
    pub cdn: Option<CdnUrl>,
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
    /// How long a client may send a direct upload where the caller does not say. At most 7 days.
    pub direct_upload: Duration,
    /// How long an idempotency key is remembered, counted from when its upload was committed or could last have been.
    pub idempotency: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            timings: Timings::default(),
            hash_at_completion: 64 << 20,
            quota: Quota::Off,
            cdn: None,
        }
    }
}

impl Settings {
    /// Checks that the settings can be used.
    ///
    /// # Errors
    /// The first setting that cannot, and what is allowed.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let Limits {
            formats,
            max_image_bytes,
            max_audio_bytes,
            max_pixels,
            max_side,
            max_frames,
            max_duration,
            max_page,
        } = &self.limits;
        let Timings {
            upload_fence,
            late_write,
            sweep_lease,
            sweep_retry,
            sweep_retry_max,
            signed_url,
            direct_upload,
            idempotency,
        } = &self.timings;
        let longest_url = Duration::from_secs(MAX_PRESIGN_SECONDS.into());
        let rules = [
            ("formats", !formats.is_empty(), "must name at least one format"),
            ("max_image_bytes", *max_image_bytes > 0, "must be above 0"),
            ("max_audio_bytes", *max_audio_bytes > 0, "must be above 0"),
            ("max_pixels", *max_pixels > 0, "must be above 0"),
            ("max_side", *max_side > 0, "must be above 0"),
            ("max_frames", *max_frames > 0, "must be above 0"),
            ("max_duration", !max_duration.is_zero(), "must be above 0"),
            ("max_page", *max_page > 0, "must be above 0"),
            ("upload_fence", is_fence(*upload_fence), "must be 1 second to a year"),
            ("late_write", late_write.as_secs() < A_YEAR, "must be below a year"),
            ("sweep_lease", is_fence(*sweep_lease), "must be 1 second to a year"),
            ("sweep_retry", *sweep_retry <= *sweep_retry_max, "must be at most sweep_retry_max"),
            ("signed_url", (SHORTEST_URL..=longest_url).contains(signed_url), "must be 1 second to 7 days"),
            ("direct_upload", (SHORTEST_URL..=longest_url).contains(direct_upload), "must be 1 second to 7 days"),
            ("idempotency", idempotency.as_secs() < A_YEAR, "must be below a year"),
        ];
        match rules.iter().find(|(_, holds, _)| !holds) {
            Some((setting, _, allowed)) => Err(ConfigError::new(*setting, *allowed)),
            None => Ok(()),
        }
    }
}

const SHORTEST_FENCE: Duration = Duration::from_secs(1);
fn is_fence(time: Duration) -> bool {
    time >= SHORTEST_FENCE && time.as_secs() < A_YEAR
}

const SHORTEST_URL: Duration = Duration::from_secs(1);
const A_YEAR: u64 = 365 * 24 * 60 * 60;

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
            direct_upload: Duration::from_hours(1),
            idempotency: Duration::from_hours(24),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Settings;

    type Change = fn(&mut Settings);

    #[test]
    fn the_defaults_can_be_used() {
        assert!(Settings::default().validate().is_ok());
    }

    #[test]
    fn a_setting_that_cannot_be_used_is_named_with_what_is_allowed() {
        let cases: [(Change, &str); 10] = [
            (|settings| settings.limits.formats.clear(), "formats must name at least one format"),
            (|settings| settings.limits.max_page = 0, "max_page must be above 0"),
            (|settings| settings.limits.max_duration = Duration::ZERO, "max_duration must be above 0"),
            (|settings| settings.timings.upload_fence = Duration::ZERO, "upload_fence must be 1 second to a year"),
            (|settings| settings.timings.upload_fence = Duration::MAX, "upload_fence must be 1 second to a year"),
            (|settings| settings.timings.sweep_lease = Duration::MAX, "sweep_lease must be 1 second to a year"),
            (|settings| settings.timings.late_write = Duration::MAX, "late_write must be below a year"),
            (|settings| settings.timings.sweep_retry = Duration::MAX, "sweep_retry must be at most sweep_retry_max"),
            (|settings| settings.timings.signed_url = Duration::ZERO, "signed_url must be 1 second to 7 days"),
            (
                |settings| settings.timings.signed_url = Duration::from_hours(8 * 24),
                "signed_url must be 1 second to 7 days",
            ),
        ];
        for (change, told) in cases {
            let mut settings = Settings::default();
            change(&mut settings);
            assert_eq!(settings.validate().unwrap_err().to_string(), told);
        }
    }
}
