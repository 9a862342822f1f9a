use std::fmt;
use std::time::Duration;

use object_store_models::Timestamp;
use serde::Serialize;

use crate::content_disposition::Disposition;

/// How a signed URL answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UrlOptions {
    /// How long it works: 1 second to 7 days; `None` for the configured default, 15 minutes.
    pub expires_in: Option<Duration>,
    /// Whether the same file has the same URL for as long as that, so that browsers and CDNs can keep the answer. It then
    /// works for at least `expires_in`, for at most twice that, and `expires_in` is at most 3.5 days.
    pub is_cacheable: bool,
    /// Whether a browser shows it or saves it.
    pub disposition: Disposition,
}

impl UrlOptions {
    /// A URL that works for this long.
    pub fn expiring_in(expires_in: Duration) -> Self {
        Self { expires_in: Some(expires_in), ..Self::default() }
    }

    /// A URL that is the same for this long, works for at least as long as that, and whose answer may be kept.
    pub fn cacheable(least_life: Duration) -> Self {
        Self { is_cacheable: true, ..Self::expiring_in(least_life) }
    }
}

/// A URL with which anyone can read one object until it expires. `Debug` does not show the signature.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct SignedUrl {
    /// The URL.
    pub url: String,
    /// When it stops working.
    pub expires_at: Timestamp,
}

impl fmt::Debug for SignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unsigned = self.url.split('?').next().unwrap_or_default();
        f.debug_struct("SignedUrl").field("url", &unsigned).field("expires_at", &self.expires_at).finish()
    }
}
