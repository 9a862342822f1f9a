use std::fmt;
use std::sync::Arc;

use object_store_repo::{Connection, Database, Transaction};
use object_store_storage::ObjectStorage;

use crate::error::Result;
use crate::settings::Settings;

/// The use cases, on one database and one storage. Cheap to clone.
///
/// A method takes a connection if and only if it does no network I/O beyond it. No method holds one across a storage
/// call.
#[derive(Clone)]
pub struct ObjectStoreService {
    pub(crate) database: Database,
    pub(crate) storage: Arc<dyn ObjectStorage>,
    pub(crate) settings: Arc<Settings>,
}

impl ObjectStoreService {
    /// Joins a database and a storage. Nothing is connected yet.
    pub fn new(database: Database, storage: Arc<dyn ObjectStorage>, settings: Settings) -> Self {
        Self { database, storage, settings: Arc::new(settings) }
    }

    /// A connection for reads.
    pub async fn connection(&self) -> Result<Connection<'static>> {
        Ok(self.database.reader().await?)
    }

    /// A transaction, in which the caller's rows and this module's become one fact.
    pub async fn begin(&self) -> Result<Transaction> {
        Ok(self.database.begin().await?)
    }
}

impl fmt::Debug for ObjectStoreService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStoreService")
            .field("database", &self.database.engine())
            .field("storage", &self.storage)
            .field("settings", &self.settings)
            .finish()
    }
}
