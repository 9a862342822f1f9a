//! How much a user has, and counting that anew.

use object_store_models::UserId;
use object_store_repo::{Owner, UsageRepo};

use crate::actor::Actor;
use crate::authorize;
use crate::dto::{RecountReport, Usage};
use crate::error::{ObjectStoreError, Result};
use crate::service::ObjectStoreService;
use crate::upload::may_be_repeated;

/// How many counters are compared at once.
const PAGE: u16 = 100;

/// How often a user is counted again when another transaction was in the way.
const ATTEMPTS: u32 = 3;

impl ObjectStoreService {
    /// How many bytes a user has and may have. Where nobody counts, they are added up.
    ///
    /// # Errors
    /// [`Forbidden`](ObjectStoreError::Forbidden) unless the actor is the system or that user.
    pub async fn usage(&self, actor: Actor, user: UserId) -> Result<Usage> {
        authorize::list(actor, Owner::User(user))?;
        let limit = self.allowance(Some(user)).await?.and_then(|allowance| allowance.limit);
        let mut conn = self.connection().await?;
        let counter = if self.settings.quota.is_on() { UsageRepo::get(&mut conn, user).await? } else { None };
        let usage = match counter {
            Some(counter) => counter,
            None => UsageRepo::count(&mut conn, user).await?,
        };
        Ok(Usage {
            user_id: user,
            used: u64::try_from(usage.used_bytes).unwrap_or_default(),
            reserved: u64::try_from(usage.reserved_bytes).unwrap_or_default(),
            limit,
        })
    }

    /// Counts a user anew, or all users that were ever counted: needed when files came or went while nobody counted. Those
    /// that were never counted are counted at their next upload. Takes a user's uploads the time of adding up, one user
    /// after the other, and only where the counter is wrong.
    pub async fn recount_usage(&self, user: Option<UserId>) -> Result<RecountReport> {
        match user {
            Some(user) => {
                let corrected = self.recount(user).await?;
                Ok(RecountReport { users: 1, corrected: corrected.into() })
            }
            None => self.recount_all().await,
        }
    }

    async fn recount_all(&self) -> Result<RecountReport> {
        let mut report = RecountReport::default();
        let mut after = None;
        loop {
            let page = {
                let mut conn = self.connection().await?;
                UsageRepo::compare(&mut conn, after, PAGE.into()).await?
            };
            report.users += page.len() as u64;
            for wrong in page.iter().filter(|counter| !counter.agrees()) {
                report.corrected += u64::from(self.recount(wrong.user_id).await?);
            }
            match page.get(usize::from(PAGE) - 1) {
                Some(last) => after = Some(last.user_id),
                None => return Ok(report),
            }
        }
    }

    /// Whether the counter was wrong.
    async fn recount(&self, user: UserId) -> Result<bool> {
        let mut attempt = 1;
        loop {
            let recounted = self.database.transaction(async |conn| Ok(UsageRepo::recount(conn, user).await?)).await;
            match recounted {
                Err(ObjectStoreError::Database(error)) if may_be_repeated(&error) && attempt < ATTEMPTS => attempt += 1,
                outcome => return outcome,
            }
        }
    }
}
