//! Uploading: bytes are staged under an intent, then committed as a row.

pub(crate) mod abandon;
mod commit;
pub(crate) mod facts;
pub(crate) mod idempotency;
pub(crate) mod intake;
pub(crate) mod ranged;
pub(crate) mod reserve;
pub(crate) mod stage;
pub(crate) mod staged;
mod tally;
pub(crate) mod write;

pub(crate) use commit::require_transaction;
pub(crate) use ranged::broken_off;
pub use staged::{StagedAudio, StagedFile, StagedImage};
pub(crate) use write::{may_be_repeated, pause};
