//! The storage port on any S3-compatible server: [`S3Provider`].
//!
//! rust-s3 derives signing keys and signs requests, URLs and forms. The requests themselves go through a client of our
//! own, because the one inside rust-s3 follows redirects with credentials, has no connect timeout, and ends every
//! transfer after a total time. Credentials are found here, too: rust-s3 blocks a thread for it, says only that there
//! are none, whatever went wrong, and renews them after they have expired.
//!
//! **Architecture invariant:** this is the only crate that names rust-s3, and none of its types leave it. It never
//! follows a redirect, never repeats a write whose outcome is unknown, never holds more of a body in memory than a
//! few parts, never reads an answer of unbounded size into memory, and never puts a signature or a secret into an
//! error, a log line or a `Debug` output.

mod answer;
mod bucket;
mod client;
mod config;
mod copy;
mod credentials;
mod delete;
mod doctor;
mod error;
mod get;
mod limiter;
mod list;
mod multipart;
mod outgoing;
mod parts;
mod presign;
mod probe;
mod provider;
mod put;
mod retry;
mod sign;
mod target;
mod uploads;
mod xml;

pub use config::{S3Config, S3ConfigError, S3Credentials};
pub use credentials::{CredentialsError, CredentialsOrigin};
pub use provider::S3Provider;
