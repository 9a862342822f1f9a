//! How many bytes a user may have.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use object_store_models::UserId;

/// How many bytes the files of a user and their uploads under way may have together. Ownerless files are never limited.
#[derive(Debug, Clone, Default)]
pub enum Quota {
    /// As many as there is room for. Nobody counts, and nothing is spent on it.
    #[default]
    Off,
    /// As many as there is room for, but counted: for a process beside others that limit, such as one that only deletes.
    Counted,
    /// So many for every user.
    PerUser(u64),
    /// As many as the host says.
    ByUser(Arc<dyn UserQuota>),
}

/// What a host knows of its users' plans. It is asked before each upload, and never inside a transaction.
#[async_trait]
pub trait UserQuota: fmt::Debug + Send + Sync {
    /// How many bytes this user may have; `None` for as many as there is room for. A limit below what the user has already
    /// takes nothing away: it refuses the next upload.
    ///
    /// # Errors
    /// Whatever the host likes: the upload fails with [`QuotaUnknown`](crate::ObjectStoreError::QuotaUnknown).
    async fn limit(&self, user: UserId) -> Result<Option<u64>, Box<dyn StdError + Send + Sync>>;
}

impl Quota {
    /// As many as a function says, which takes no time to speak of.
    pub fn by(limit: impl Fn(UserId) -> Option<u64> + Send + Sync + 'static) -> Self {
        Self::ByUser(Arc::new(ByFunction(limit)))
    }

    /// Whether anybody counts.
    pub(crate) fn is_on(&self) -> bool {
        !matches!(self, Self::Off)
    }
}

struct ByFunction<F>(F);

#[async_trait]
impl<F: Fn(UserId) -> Option<u64> + Send + Sync> UserQuota for ByFunction<F> {
    async fn limit(&self, user: UserId) -> Result<Option<u64>, Box<dyn StdError + Send + Sync>> {
        Ok((self.0)(user))
    }
}

impl<F> fmt::Debug for ByFunction<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a function")
    }
}

impl PartialEq for Quota {
    /// Two hooks are the same if they are one.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Off, Self::Off) | (Self::Counted, Self::Counted) => true,
            (Self::PerUser(one), Self::PerUser(other)) => one == other,
            (Self::ByUser(one), Self::ByUser(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Eq for Quota {}

#[cfg(test)]
mod tests {
    use super::Quota;

    #[test]
    fn a_hook_is_the_same_as_itself_alone() {
        let hook = Quota::by(|_| Some(1));
        assert_eq!(hook, hook.clone());
        assert_ne!(hook, Quota::by(|_| Some(1)));
        assert_ne!(Quota::PerUser(1), Quota::PerUser(2));
        assert_ne!(Quota::Off, Quota::Counted);
        assert_eq!(Quota::default(), Quota::Off);
        assert_eq!(format!("{hook:?}"), "ByUser(a function)");
    }
}
