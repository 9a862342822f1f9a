use std::sync::{Arc, Once};
use std::time::Duration;

use object_store_storage::{StorageError, StorageResult};
use s3::creds::Credentials;
use s3::creds::time::OffsetDateTime;
use tokio::sync::{Mutex, RwLock};
use tokio::time::Instant;

use crate::config::S3Credentials;

/// How long before they expire credentials are renewed. Instance metadata offers the next ones at least 5 minutes ahead
/// (Amazon EC2 User Guide, "Retrieve security credentials from instance metadata").
const RENEW_AHEAD: Duration = Duration::from_mins(5);

/// How long to wait before the next attempt when a renewal brought nothing new.
const RENEW_PAUSE: Duration = Duration::from_secs(15);

/// The credentials in use, renewed before they expire.
pub(crate) struct CredentialStore {
    current: RwLock<Arc<Credentials>>,
    /// When the next renewal may be tried. Held while one is under way, so that there is only one.
    next_renewal: Mutex<Option<Instant>>,
    renewable: bool,
}

impl CredentialStore {
    /// Finds the credentials.
    pub(crate) async fn find(config: &S3Credentials) -> StorageResult<Self> {
        let (credentials, renewable) = match config {
            S3Credentials::Static { access_key_id, secret_access_key, session_token } => {
                let found = Credentials::new(
                    Some(access_key_id),
                    Some(secret_access_key),
                    None,
                    session_token.as_deref(),
                    None,
                );
                (found.map_err(|_| no_credentials())?, false)
            }
            S3Credentials::Default => (search().await?, true),
        };
        Ok(Self { current: RwLock::new(Arc::new(credentials)), next_renewal: Mutex::new(None), renewable })
    }

    /// The credentials to sign with now.
    pub(crate) async fn current(&self) -> StorageResult<Arc<Credentials>> {
        let current = self.current.read().await.clone();
        match remaining_life(&current) {
            Some(life) if self.renewable && life < RENEW_AHEAD => self.renew().await,
            _ => Ok(current),
        }
    }

    async fn renew(&self) -> StorageResult<Arc<Credentials>> {
        let mut next_renewal = self.next_renewal.lock().await;
        let current = self.current.read().await.clone();
        let life = remaining_life(&current).unwrap_or(Duration::MAX);
        let must_wait = next_renewal.is_some_and(|at| Instant::now() < at) && !life.is_zero();
        if life >= RENEW_AHEAD || must_wait {
            return Ok(current);
        }
        *next_renewal = Some(Instant::now() + RENEW_PAUSE);
        match search().await {
            Ok(renewed) => {
                let renewed = Arc::new(renewed);
                *self.current.write().await = Arc::clone(&renewed);
                Ok(renewed)
            }
            Err(error) if life.is_zero() => Err(StorageError::Unavailable {
                reason: "the credentials have expired and could not be renewed".into(),
                outcome_unknown: false,
                source: Some(Box::new(error)),
            }),
            Err(error) => {
                tracing::warn!(%error, expires_in_seconds = life.as_secs(), "credentials could not be renewed yet");
                Ok(current)
            }
        }
    }
}

/// How long the credentials still work; `None` if they do not expire.
pub(crate) fn remaining_life(credentials: &Credentials) -> Option<Duration> {
    let expiration: OffsetDateTime = credentials.expiration?.into();
    Some(Duration::try_from(expiration - OffsetDateTime::now_utc()).unwrap_or(Duration::ZERO))
}

/// What goes with temporary keys. rust-s3 keeps it in one of two fields, by where the keys came from.
pub(crate) fn session_token(credentials: &Credentials) -> Option<&str> {
    credentials.security_token.as_deref().or(credentials.session_token.as_deref())
}

async fn search() -> StorageResult<Credentials> {
    install_tls_provider();
    let found = tokio::task::spawn_blocking(Credentials::default).await;
    match found {
        Ok(Ok(credentials)) if credentials.access_key.is_some() && credentials.secret_key.is_some() => Ok(credentials),
        Ok(_) => Err(no_credentials()),
        Err(stopped) => Err(StorageError::Other {
            reason: "the search for credentials was stopped".into(),
            source: Some(Box::new(stopped)),
        }),
    }
}

/// Without a process-wide default, rustls panics on the first TLS connection of rust-s3's search for credentials as soon
/// as two providers are linked into the program.
pub(crate) fn install_tls_provider() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Whoever was faster has installed one, which is as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
    });
}

fn no_credentials() -> StorageError {
    StorageError::AccessDenied { code: "NoCredentials".into() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use s3::creds::Credentials;
    use s3::creds::time::OffsetDateTime;

    use super::{CredentialStore, remaining_life, session_token};
    use crate::config::S3Credentials;

    fn credentials(expires_in: Option<i64>) -> Credentials {
        let mut credentials = Credentials::new(Some("a"), Some("b"), None, None, None).unwrap();
        credentials.expiration =
            expires_in.map(|seconds| (OffsetDateTime::now_utc() + s3::creds::time::Duration::seconds(seconds)).into());
        credentials
    }

    #[test]
    fn life_is_what_remains() {
        assert_eq!(remaining_life(&credentials(None)), None);
        assert_eq!(remaining_life(&credentials(Some(-10))), Some(Duration::ZERO));
        let life = remaining_life(&credentials(Some(600))).unwrap();
        assert!((Duration::from_secs(590)..=Duration::from_mins(10)).contains(&life));
    }

    #[tokio::test]
    async fn a_session_token_is_kept() {
        let config = S3Credentials::Static {
            access_key_id: "a".into(),
            secret_access_key: "b".into(),
            session_token: Some("c".into()),
        };
        let store = CredentialStore::find(&config).await.unwrap();
        assert_eq!(session_token(&store.current().await.unwrap()), Some("c"));
    }
}
