use object_store_models::UserId;
use serde::Serialize;

/// How many bytes a user has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Whose they are.
    pub user_id: UserId,
    /// Of finished images and audio files.
    pub used: u64,
    /// Held by uploads under way: what they have announced, or may still send.
    pub reserved: u64,
    /// How many there may be together; `None` for as many as there is room for.
    pub limit: Option<u64>,
}

/// What counting anew has found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RecountReport {
    /// Users whose counters were compared with what they have.
    pub users: u64,
    /// Of these, the ones whose counters were wrong, and are right now.
    pub corrected: u64,
}
