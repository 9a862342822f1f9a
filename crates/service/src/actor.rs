use std::fmt;

use object_store_models::UserId;

/// Who asks. The host has authenticated them; this module decides what they may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Actor {
    /// A signed-in user: creates, reads, lists and deletes what is theirs, and reads ownerless media.
    User(UserId),
    /// Nobody in particular: creates and reads ownerless media.
    Anonymous,
    /// The host itself: may do everything, for anyone.
    System,
}

impl From<UserId> for Actor {
    fn from(id: UserId) -> Self {
        Self::User(id)
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user {id}"),
            Self::Anonymous => f.write_str("anonymous"),
            Self::System => f.write_str("system"),
        }
    }
}
