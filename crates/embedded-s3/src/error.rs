use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Why the embedded server cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedS3Error {
    /// The directory, or a file in it, cannot be made, read or written: it is read-only, another user's, or full.
    #[error("the embedded S3 server cannot use {}", path.display())]
    Directory {
        /// The directory or file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Another server serves this directory.
    #[error("another embedded S3 server serves {}", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The address cannot be listened on.
    #[error("the embedded S3 server cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The access key or the secret is empty.
    #[error("the embedded S3 server needs an access key and a secret, and one of them is empty")]
    EmptyCredentials,
    /// The file that tells how to reach the server is not one that this version writes. Deleting it makes new
    /// credentials, with which URLs signed earlier do not work.
    #[error("{} does not describe an embedded S3 server", path.display())]
    Description {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// Another process serves the directory, and does not answer.
    #[error("the embedded S3 server of another process did not answer within {waited:?}; it serves {}", path.display())]
    NotAnswering {
        /// The directory.
        path: PathBuf,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The system has no randomness for credentials.
    #[error("no random bytes for the credentials of the embedded S3 server")]
    Randomness(#[source] io::Error),
}

impl EmbeddedS3Error {
    pub(crate) fn directory(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Directory { path, source }
    }
}
