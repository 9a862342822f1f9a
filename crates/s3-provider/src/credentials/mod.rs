//! Who asks: where credentials come from, and that they are renewed before they expire.

mod container;
mod environment;
mod error;
mod http;
mod instance;
mod keys;
mod process;
mod profile;
mod search;
mod surroundings;
#[cfg(test)]
mod tests;
mod web_identity;

use std::sync::{Arc, Once, PoisonError, RwLock};
use std::time::Duration;

use object_store_storage::{StorageError, StorageResult};
use s3::creds::Credentials;
use s3::creds::time::OffsetDateTime;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

pub use error::{CredentialsError, CredentialsOrigin};
pub(crate) use keys::is_sendable;
pub(crate) use surroundings::Surroundings;

use self::search::search;
use crate::config::S3Credentials;

/// How long before they expire credentials are renewed. Instance metadata offers the next ones at least 5 minutes ahead
/// (Amazon EC2 User Guide, "Retrieve security credentials from instance metadata").
const RENEW_AHEAD: Duration = Duration::from_mins(5);

/// Below this, everybody waits for the renewal that is under way; above it, only the one who began it.
const WAIT_BELOW: Duration = Duration::from_mins(1);

/// How long to wait before the next attempt when a renewal brought nothing new.
const RENEW_PAUSE: Duration = Duration::from_secs(15);

/// The credentials in use, renewed before they expire.
pub(crate) struct CredentialStore {
    current: RwLock<Arc<Credentials>>,
    /// When the next renewal may be tried. Held while one is under way, so that there is only one.
    next_renewal: Mutex<Option<Instant>>,
    /// Where they come from, if they can be had again.
    renewed_from: Option<Surroundings>,
}

impl CredentialStore {
    /// Finds the credentials.
    pub(crate) async fn find(config: &S3Credentials, surroundings: Surroundings) -> StorageResult<Self> {
        let (credentials, renewed_from) = match config {
            S3Credentials::Static { access_key_id, secret_access_key, session_token } => {
                let keys = keys::Keys {
                    access_key_id: Some(access_key_id.clone()),
                    secret_access_key: Some(secret_access_key.clone()),
                    session_token: session_token.clone(),
                    expiration: None,
                };
                (keys.written_in("the configuration")?, None)
            }
            S3Credentials::Default => (search(&surroundings).await?, Some(surroundings)),
        };
        Ok(Self { current: RwLock::new(Arc::new(credentials)), next_renewal: Mutex::new(None), renewed_from })
    }

    /// The credentials to sign with now.
    pub(crate) async fn current(&self) -> StorageResult<Arc<Credentials>> {
        let current = self.get();
        let (Some(life), Some(surroundings)) = (remaining_life(&current), &self.renewed_from) else {
            return Ok(current);
        };
        if life >= RENEW_AHEAD {
            return Ok(current);
        }
        let next_renewal = match self.next_renewal.try_lock() {
            Ok(free) => free,
            Err(_) if life >= WAIT_BELOW => return Ok(current),
            Err(_) => self.next_renewal.lock().await,
        };
        self.renew(surroundings, next_renewal).await
    }

    /// Whether there are others than these, which the server calls expired.
    pub(crate) async fn replaced(&self, refused: &Arc<Credentials>) -> bool {
        let Some(surroundings) = &self.renewed_from else { return false };
        let mut next_renewal = self.next_renewal.lock().await;
        if !Arc::ptr_eq(&self.get(), refused) {
            return true;
        }
        if next_renewal.is_some_and(|at| Instant::now() < at) {
            return false;
        }
        *next_renewal = Some(Instant::now() + RENEW_PAUSE);
        match search(surroundings).await {
            Ok(found) if found != **refused => {
                self.set(Arc::new(found));
                true
            }
            Ok(_) => false,
            Err(error) => {
                tracing::warn!(%error, "credentials that the server calls expired could not be renewed");
                false
            }
        }
    }

    async fn renew(
        &self,
        surroundings: &Surroundings,
        mut next_renewal: MutexGuard<'_, Option<Instant>>,
    ) -> StorageResult<Arc<Credentials>> {
        let current = self.get();
        let life = remaining_life(&current).unwrap_or(Duration::MAX);
        let must_wait = next_renewal.is_some_and(|at| Instant::now() < at) && !life.is_zero();
        if life >= RENEW_AHEAD || must_wait {
            return Ok(current);
        }
        *next_renewal = Some(Instant::now() + RENEW_PAUSE);
        match search(surroundings).await {
            Ok(renewed) => {
                let renewed = Arc::new(renewed);
                self.set(Arc::clone(&renewed));
                Ok(renewed)
            }
            Err(error) if life.is_zero() => Err(StorageError::Unavailable {
                reason: "the credentials have expired and could not be renewed".to_owned(),
                outcome_unknown: false,
                source: Some(Box::new(error)),
            }),
            Err(error) => {
                tracing::warn!(%error, expires_in_seconds = life.as_secs(), "credentials could not be renewed yet");
                Ok(current)
            }
        }
    }

    fn get(&self) -> Arc<Credentials> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, credentials: Arc<Credentials>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = credentials;
    }
}

/// How long the credentials still work; `None` if they do not expire.
pub(crate) fn remaining_life(credentials: &Credentials) -> Option<Duration> {
    let expiration: OffsetDateTime = credentials.expiration?.into();
    Some(Duration::try_from(expiration - OffsetDateTime::now_utc()).unwrap_or(Duration::ZERO))
}

/// What goes with temporary keys.
pub(crate) fn session_token(credentials: &Credentials) -> Option<&str> {
    credentials.session_token.as_deref()
}

/// Without a process-wide default, rustls panics on the first TLS connection as soon as two providers are linked into
/// the program.
pub(crate) fn install_tls_provider() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Whoever was faster has installed one, which is as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
    });
}
