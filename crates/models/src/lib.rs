//! Rows, ids and the database schema of the object store.
//!
//! One Diesel schema serves PostgreSQL and SQLite, through two SQL types of our own ([`sql`]).
//! A row struct (`ImageModel`) is what comes out, a borrowing struct (`NewImage`) is what goes in.
//!
//! **Architecture invariant:** this crate never runs a query and never does I/O. Whatever text or
//! bytes a database holds, reading a row gives a value or an error, never a panic.

mod audio;
mod candidate;
mod id;
mod idempotency;
mod image;
mod intent;
mod media;
pub mod schema;
mod sha256;
pub mod sql;
mod text;
mod timestamp;
mod usage;

pub use audio::{AudioModel, NewAudio};
pub use candidate::{NewOrphanCandidate, OrphanCandidate};
pub use id::{AudioId, ImageId, ParseIdError, UserId};
pub use idempotency::{IdempotencyKeyModel, NewIdempotencyKey};
pub use image::{ImageModel, NewImage};
pub use intent::{IntentPurpose, NewIntent, ObjectIntent};
pub use media::{MediaId, MediaKind};
pub use sha256::{ParseSha256Error, Sha256};
pub use text::UnknownText;
pub use timestamp::{ParseTimestampError, Timestamp};
pub use usage::UserUsage;
