use serde::Serialize;

/// What a sweep did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SweepReport {
    /// Intents that were due and that this sweep took.
    pub claimed: u64,
    /// Keys that hold nothing any more, and whose intents are gone.
    pub purged: u64,
    /// Keys that were deleted and will be deleted once more, because a late write may still land there.
    pub waiting: u64,
    /// Keys that another sweep has taken over, because this one took longer than its lease.
    pub superseded: u64,
    /// Keys that could not be deleted now. They are tried again later.
    pub failed: u64,
}
