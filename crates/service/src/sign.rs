//! Signed URLs.

use std::time::Duration;

use chrono::{DateTime, Utc};
use object_store_storage::{MAX_PRESIGN_SECONDS, PresignGet};

use crate::actor::Actor;
use crate::authorize;
use crate::content_disposition::{Disposition, content_disposition};
use crate::dto::{FileRef, SignedUrl, UrlOptions};
use crate::error::{ConfigError, Result, ValidationError};
use crate::filename::Filename;
use crate::service::ObjectStoreService;

impl ObjectStoreService {
    /// A URL that reads one file.
    pub async fn signed_url(&self, actor: Actor, file: FileRef<'_>, options: &UrlOptions) -> Result<SignedUrl> {
        authorize::read(actor, file.user_id)?;
        let expires_in = self.url_life(options)?;
        let signed = self
            .storage
            .presign_get(
                file.key,
                &PresignGet {
                    expires_in,
                    content_type: Some(file.content_type.to_owned()),
                    content_disposition: Some(disposition(file, options.disposition)),
                    is_reusable: options.is_cacheable,
                    // What lies under a key never changes.
                    cache_control: options.is_cacheable.then(|| format!("max-age={}, immutable", expires_in.as_secs())),
                },
            )
            .await?;
        Ok(SignedUrl { url: signed.url, expires_at: DateTime::<Utc>::from(signed.expires_at).into() })
    }

    /// URLs that read several files, in the same order. If the actor may not read one of them, none is signed.
    pub async fn signed_urls(
        &self,
        actor: Actor,
        files: &[FileRef<'_>],
        options: &UrlOptions,
    ) -> Result<Vec<SignedUrl>> {
        files.iter().try_for_each(|file| authorize::read(actor, file.user_id))?;
        let mut signed = Vec::with_capacity(files.len());
        for file in files {
            signed.push(self.signed_url(actor, *file, options).await?);
        }
        Ok(signed)
    }

    /// The address of a file on the content delivery network. Who may read is asked now and never again: whoever has the
    /// address can read the file as long as it is there, and a little longer.
    ///
    /// # Errors
    /// [`ConfigError`] where no network is configured.
    pub fn cdn_url(&self, actor: Actor, file: FileRef<'_>) -> Result<String> {
        authorize::read(actor, file.user_id)?;
        match &self.settings.cdn {
            Some(cdn) => Ok(cdn.of(file.key)),
            None => Err(ConfigError::new("the URL of a CDN", "is not set").into()),
        }
    }

    fn url_life(&self, options: &UrlOptions) -> Result<Duration> {
        let actual = options.expires_in.unwrap_or(self.settings.timings.signed_url);
        let most = if options.is_cacheable { MAX_PRESIGN_SECONDS / 2 } else { MAX_PRESIGN_SECONDS };
        let limit = Duration::from_secs(most.into());
        if (Duration::from_secs(1)..=limit).contains(&actual) {
            Ok(actual)
        } else {
            Err(ValidationError::BadUrlLife { limit, actual }.into())
        }
    }
}

fn disposition(file: FileRef<'_>, disposition: Disposition) -> String {
    content_disposition(disposition, &Filename::from_stored(file.filename))
}
