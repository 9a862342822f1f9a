//! Uploading: bytes are staged under an intent, then committed as a row.

mod abandon;
mod commit;
mod facts;
mod intake;
mod ranged;
mod stage;
mod staged;
mod tally;
mod write;

pub(crate) use commit::require_transaction;
pub use staged::{StagedAudio, StagedFile, StagedImage};
pub(crate) use write::{may_be_repeated, pause};
