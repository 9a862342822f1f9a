use std::fmt;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use crate::error::{StorageError, StorageResult};
use crate::key::ObjectKey;

/// The longest life of a presigned URL, in seconds: 7 days, the limit of Signature Version 4 (AWS API reference,
/// "Authenticating Requests: Using Query Parameters", `X-Amz-Expires`).
pub const MAX_PRESIGN_SECONDS: u32 = 7 * 24 * 60 * 60;

/// How a presigned `GET` answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PresignGet {
    /// How long the URL works: whole seconds, 1 to [`MAX_PRESIGN_SECONDS`]; at least so long, and at most half of that,
    /// where it is reusable.
    pub expires_in: Duration,
    /// Whether the same question has the same answer for a while, so that browsers and CDNs find it in their caches. See
    /// [`Window`].
    pub is_reusable: bool,
    /// The `Content-Type` of the answer, in place of the stored one.
    pub content_type: Option<String>,
    /// The `Content-Disposition` of the answer. Printable ASCII.
    pub content_disposition: Option<String>,
    /// The `Cache-Control` of the answer. Printable ASCII.
    pub cache_control: Option<String>,
}

/// The time in which a signed `GET` is one and the same.
///
/// Windows are as long as the least life that is promised, and a URL works for two of them: to the end of the next. So
/// whenever it is asked for, it works for at least one more. Where windows begin differs from key to key, so that not all
/// URLs of a page change at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// When it began. Whole seconds.
    pub begins_at: SystemTime,
    /// How long after that the URL works, in seconds.
    pub seconds: u32,
}

impl Window {
    /// The window of a key at a time.
    ///
    /// # Errors
    /// [`InvalidRequest`](StorageError::InvalidRequest) when the life is below a second or above half of
    /// [`MAX_PRESIGN_SECONDS`].
    pub fn of(key: &ObjectKey, least_life: Duration, now: SystemTime) -> StorageResult<Self> {
        let most = MAX_PRESIGN_SECONDS / 2;
        // Not less than what was asked for.
        let whole = least_life.as_secs().saturating_add(u64::from(least_life.subsec_nanos() > 0));
        let length = u32::try_from(whole).ok().filter(|seconds| (1..=most).contains(seconds)).ok_or_else(|| {
            let reason = format!("a reusable URL lives 1 to {most} seconds, not {} s", least_life.as_secs());
            StorageError::InvalidRequest { reason }
        })?;
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let passed = now.wrapping_add(shift(key)) % u64::from(length);
        let begins_at = SystemTime::UNIX_EPOCH + Duration::from_secs(now.saturating_sub(passed));
        Ok(Self { begins_at, seconds: 2 * length })
    }
}

/// A number that is the same for a key in each process.
fn shift(key: &ObjectKey) -> u64 {
    let digest: [u8; 32] = Sha256::digest(key.as_str()).into();
    digest.iter().take(4).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// What a presigned `PUT` accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresignPut {
    /// How long the URL works: whole seconds, 1 to [`MAX_PRESIGN_SECONDS`].
    pub expires_in: Duration,
    /// The content type that the client must send.
    pub content_type: String,
    /// The length that the client must send.
    pub content_length: u64,
    /// The MD5 that the client must send, if it is known.
    pub content_md5: Option<[u8; 16]>,
}

/// What a presigned `PUT` of a part of a multipart upload accepts. `Debug` does not show the upload's name.
#[derive(Clone, PartialEq, Eq)]
pub struct PresignPart {
    /// How long the URL works: whole seconds, 1 to [`MAX_PRESIGN_SECONDS`].
    pub expires_in: Duration,
    /// The storage's name for the upload.
    pub upload_id: String,
    /// Which part, from 1 to [`MAX_PARTS`](crate::MAX_PARTS).
    pub part_number: u16,
    /// The length that the client must send.
    pub content_length: u64,
}

/// What a presigned `POST` accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresignPost {
    /// How long the form works: whole seconds, 1 to [`MAX_PRESIGN_SECONDS`].
    pub expires_in: Duration,
    /// The content type that the client must send.
    pub content_type: String,
    /// The fewest bytes, at least 1.
    pub min_bytes: u64,
    /// The most bytes.
    pub max_bytes: u64,
}

/// A signed request that anyone who has it can send. `Debug` does not show the signature.
#[derive(Clone, PartialEq, Eq)]
pub struct PresignedUrl {
    /// The URL.
    pub url: String,
    /// The headers that must be sent with it, as signed.
    pub headers: Vec<(String, String)>,
    /// When it stops working.
    pub expires_at: SystemTime,
}

/// A signed form. The file goes last, as the field `file` (AWS API reference, "POST Object"). `Debug` does not show the
/// signature.
#[derive(Clone, PartialEq, Eq)]
pub struct PresignedPost {
    /// Where to `POST` the form, as `multipart/form-data`.
    pub url: String,
    /// The fields, in order.
    pub fields: Vec<(String, String)>,
    /// When it stops working.
    pub expires_at: SystemTime,
}

/// Checks the life of a signed URL, in whole seconds.
///
/// # Errors
/// [`StorageError::InvalidRequest`] when it is under 1 second or above [`MAX_PRESIGN_SECONDS`].
pub fn presign_seconds(expires_in: Duration) -> StorageResult<u32> {
    u32::try_from(expires_in.as_secs()).ok().filter(|seconds| (1..=MAX_PRESIGN_SECONDS).contains(seconds)).ok_or_else(
        || StorageError::InvalidRequest {
            reason: format!("a signed URL lives 1 to {MAX_PRESIGN_SECONDS} seconds, not {} s", expires_in.as_secs()),
        },
    )
}

impl fmt::Debug for PresignPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresignPart")
            .field("expires_in", &self.expires_in)
            .field("part_number", &self.part_number)
            .field("content_length", &self.content_length)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for PresignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unsigned = self.url.split('?').next().unwrap_or_default();
        f.debug_struct("PresignedUrl")
            .field("url", &unsigned)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for PresignedPost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresignedPost")
            .field("url", &self.url)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{MAX_PRESIGN_SECONDS, Window};
    use crate::key::ObjectKey;

    #[test]
    fn a_window_is_one_for_its_time_and_leaves_what_was_promised() {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        for key in ["image/a", "image/b", "audio/c/d"].map(|key| ObjectKey::parse(key).unwrap()) {
            for life in [1, 7, 900, u64::from(MAX_PRESIGN_SECONDS / 2)].map(Duration::from_secs) {
                let mut changes = 0;
                let mut last = None;
                for step in 0..=400 {
                    let now = start + life * step / 100;
                    let window = Window::of(&key, life, now).unwrap();
                    let ends_at = window.begins_at + Duration::from_secs(window.seconds.into());
                    let left = ends_at.duration_since(now).unwrap();
                    assert!(left + Duration::from_secs(1) > life && left <= 2 * life, "{life:?}: {left:?}");
                    assert!(window.begins_at <= now && window.seconds <= MAX_PRESIGN_SECONDS);
                    changes += u32::from(last.is_some_and(|last| last != window));
                    last = Some(window);
                }
                assert!((4..=5).contains(&changes), "{life:?}: {changes} changes in 4 windows");
            }
        }
    }

    #[test]
    fn windows_of_keys_begin_at_different_times() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        let begin = |number: u32| {
            let key = ObjectKey::parse(&format!("image/{number}")).unwrap();
            Window::of(&key, Duration::from_hours(1), now).unwrap().begins_at
        };
        let begins: std::collections::BTreeSet<_> = (0..100).map(begin).collect();
        assert!(begins.len() > 90);
    }

    #[test]
    fn a_promise_that_cannot_be_kept_is_refused() {
        let key = ObjectKey::parse("a").unwrap();
        let most = Duration::from_secs(u64::from(MAX_PRESIGN_SECONDS / 2));
        for life in [Duration::ZERO, most + Duration::from_millis(1), Duration::MAX] {
            assert!(Window::of(&key, life, SystemTime::now()).is_err(), "{life:?}");
        }
        let half = Window::of(&key, Duration::from_millis(500), SystemTime::now()).unwrap();
        assert_eq!(half.seconds, 2);
    }
}
