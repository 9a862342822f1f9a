//! Looks for what is set up wrongly, in storage and in the database.

mod database;
mod file_system;

use object_store_storage::{Check, CheckupOptions, Fix};

use crate::error::Result;
use crate::service::ObjectStoreService;

impl ObjectStoreService {
    /// One line for each thing that may be wrong, and what to do about it. Never fails: what cannot be looked at is a line,
    /// too. What it writes, it removes.
    pub async fn check_up(&self, options: &CheckupOptions) -> Vec<Check> {
        let (mut checks, database) = futures::join!(self.storage.check_up(options), database::look(&self.database));
        checks.extend(database);
        checks
    }

    /// Does what a [`Check`] has offered.
    ///
    /// # Errors
    /// What storage says.
    pub async fn apply_fix(&self, fix: &Fix) -> Result<()> {
        Ok(self.storage.apply_fix(fix).await?)
    }
}
