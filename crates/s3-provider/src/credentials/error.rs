use std::fmt;
use std::io;
use std::path::PathBuf;

use object_store_storage::StorageError;

/// Why there are no credentials. It is the [source](std::error::Error::source) of the [`StorageError`] that a provider
/// fails with, and never contains a secret.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// No source of credentials is set up.
    #[error(
        "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, AWS_WEB_IDENTITY_TOKEN_FILE with \
         AWS_ROLE_ARN, or AWS_CONTAINER_CREDENTIALS_FULL_URI, or give the instance a role ({instance})"
    )]
    NotFound {
        /// Why the metadata of the instance, which is asked last, gave none.
        instance: String,
    },
    /// A source is set up by half.
    #[error("{place} has no {missing}")]
    Incomplete {
        /// The environment, or a profile.
        place: String,
        /// What it lacks.
        missing: &'static str,
    },
    /// A setting is none that can be used.
    #[error("{setting} is {allowed}")]
    Invalid {
        /// Which one.
        setting: String,
        /// What it may be.
        allowed: &'static str,
    },
    /// A profile was asked for by name, and no file has it.
    #[error("no profile {profile:?} in {files}")]
    ProfileMissing {
        /// Its name.
        profile: String,
        /// Where it was looked for.
        files: String,
    },
    /// A profile gets its credentials in a way that is not done here.
    #[error("profile {profile:?} uses {setting}, which is not supported; a credential_process can do the same")]
    Unsupported {
        /// Its name.
        profile: String,
        /// The setting.
        setting: &'static str,
    },
    /// A file that the settings name cannot be read.
    #[error("{path} cannot be read", path = .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No answer from where credentials are given out.
    #[error("{origin} cannot be reached: {reason}")]
    Unreachable {
        /// Who was asked.
        origin: CredentialsOrigin,
        /// What happened.
        reason: String,
    },
    /// Whoever gives out credentials gives none to us.
    #[error("{origin} refuses: {status}{code}", code = .code.as_deref().map(|code| format!(" {code}")).unwrap_or_default())]
    Refused {
        /// Who was asked.
        origin: CredentialsOrigin,
        /// The status of the answer.
        status: u16,
        /// The word for the refusal, if the answer has one.
        code: Option<String>,
    },
    /// What was answered are no credentials.
    #[error("{origin} gives no credentials: {reason}")]
    Unusable {
        /// Who was asked.
        origin: CredentialsOrigin,
        /// What is wrong with the answer.
        reason: &'static str,
    },
    /// Not found in time.
    #[error("the search for credentials took longer than {seconds} s")]
    Late {
        /// How long it may take.
        seconds: u64,
    },
}

/// Who gives out credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialsOrigin {
    /// The Security Token Service, for a web identity.
    SecurityTokenService,
    /// The endpoint of a container or a pod.
    Container,
    /// The metadata of the instance.
    InstanceMetadata,
    /// The program that a profile names.
    CredentialProcess,
}

impl fmt::Display for CredentialsOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SecurityTokenService => "the security token service",
            Self::Container => "the container's credentials endpoint",
            Self::InstanceMetadata => "the instance metadata",
            Self::CredentialProcess => "the credential process",
        })
    }
}

impl CredentialsError {
    /// Whether the same search may succeed later, without a change of the settings.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Late { .. } => true,
            // The service asks the identity provider, and says so when that does not answer.
            Self::Refused { status, code, .. } => {
                *status >= 500 || *status == 429 || code.as_deref() == Some("IDPCommunicationError")
            }
            Self::NotFound { .. }
            | Self::Incomplete { .. }
            | Self::Invalid { .. }
            | Self::ProfileMissing { .. }
            | Self::Unsupported { .. }
            | Self::Unreadable { .. }
            | Self::Unusable { .. } => false,
        }
    }
}

impl From<CredentialsError> for StorageError {
    fn from(error: CredentialsError) -> Self {
        let reason = "there are no credentials to sign with".to_owned();
        if error.is_transient() {
            Self::Unavailable { reason, outcome_unknown: false, source: Some(Box::new(error)) }
        } else {
            Self::Other { reason, source: Some(Box::new(error)) }
        }
    }
}
