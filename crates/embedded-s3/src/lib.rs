//! An S3 server for development and tests: real HTTP and real Signature Version 4, over files in one directory.
//!
//! **Architecture invariant:** this crate knows S3, not our port: nothing here depends on another crate of the
//! workspace, so that whoever talks to this server has to talk S3. It is not made for production: no TLS, one set of
//! credentials, every listing reads a whole bucket's names.

mod backend;
mod cors;
mod error;
mod random;
mod server;
mod shared;

pub use error::EmbeddedS3Error;
pub use server::{EmbeddedS3, EmbeddedS3Config};
pub use shared::{Embedded, connect_or_start};
