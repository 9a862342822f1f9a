//! Connecting to a SQLite file.

use std::path::PathBuf;

use deadpool::managed::{Manager, Metrics, RecycleResult};
use diesel_async::{AsyncConnection, SimpleAsyncConnection};

use crate::connection::Sqlite;
use crate::pool::Recycler;
use crate::{RepoError, Result};

/// `busy_timeout` comes first, since changing the journal mode needs a lock too. With
/// `synchronous = NORMAL` a power cut could lose the last commits.
const WRITER: &str = "
    PRAGMA busy_timeout = 5000;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
";

/// Without `journal_mode`, which is the file's and needs a lock to change.
const READER: &str = "
    PRAGMA busy_timeout = 5000;
    PRAGMA query_only = ON;
";

pub(crate) struct SqliteManager {
    path: PathBuf,
    setup: &'static str,
    recycler: Recycler<Sqlite>,
}

impl SqliteManager {
    pub(crate) fn writer(path: PathBuf) -> Self {
        Self { path, setup: WRITER, recycler: Recycler::new() }
    }

    pub(crate) fn reader(path: PathBuf) -> Self {
        Self { path, setup: READER, recycler: Recycler::new() }
    }
}

impl Manager for SqliteManager {
    type Type = Sqlite;
    type Error = RepoError;

    async fn create(&self) -> Result<Sqlite> {
        let path =
            self.path.to_str().ok_or_else(|| RepoError::misconfigured("the path of the SQLite file is not UTF-8"))?;
        let mut conn = Sqlite::establish(path).await.map_err(RepoError::cannot_open)?;
        conn.batch_execute(self.setup).await.map_err(RepoError::cannot_set_up)?;
        Ok(conn)
    }

    async fn recycle(&self, conn: &mut Sqlite, metrics: &Metrics) -> RecycleResult<RepoError> {
        self.recycler.recycle(conn, metrics).await
    }
}
