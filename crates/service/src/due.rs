//! What a sweep would do, without doing it.

use object_store_repo::IntentRepo;

use crate::dto::{DueReport, IntentRead};
use crate::error::Result;
use crate::service::ObjectStoreService;

impl ObjectStoreService {
    /// What a sweep would take now, and up to `limit` of it in full. Takes nothing.
    pub async fn due(&self, limit: u16) -> Result<DueReport> {
        let mut conn = self.connection().await?;
        let due = IntentRepo::count_due(&mut conn).await?;
        let intents = IntentRepo::list_due(&mut conn, limit.into()).await?;
        Ok(DueReport {
            due: u64::try_from(due).unwrap_or_default(),
            intents: intents.into_iter().map(IntentRead::from).collect(),
        })
    }
}
