//! The configured database.

use std::path::{Path, PathBuf};

use deadpool::managed::Manager;
use diesel::sql_types::Text;
use diesel_async::RunQueryDsl;

use crate::connection::Handle;
use crate::migrations::{self, Direction};
use crate::pool::{self, PostgresPool, SqlitePool};
use crate::postgres::PostgresManager;
use crate::sqlite::SqliteManager;
use crate::{Connection, DatabaseConfig, Engine, MigrationStatus, PoolStatus, RepoError, Result, Transaction};

/// A reader is held for one query, so that few serve many.
const SQLITE_READERS: usize = 4;

/// The configured database. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Database(Pools);

#[derive(Clone)]
enum Pools {
    Postgres {
        pool: PostgresPool,
        quoted_schema: String,
    },
    /// SQLite has one writer at a time. A pool of one queues the writers in order, instead of letting
    /// them poll for the lock on a blocking thread each.
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
        path: PathBuf,
    },
}

impl Database {
    /// Checks the configuration. Connects when a connection is first needed.
    ///
    /// # Errors
    ///
    /// [`RepoError::UnsupportedUrl`] and [`RepoError::Misconfigured`], neither of which repeats the URL.
    pub fn open(config: &DatabaseConfig) -> Result<Self> {
        let timeout = config.acquire_timeout;
        if config.max_connections == 0 {
            return Err(RepoError::misconfigured("at least one connection is needed"));
        }
        Ok(Self(match config.engine()? {
            Engine::Postgres => Pools::Postgres {
                pool: pool::pool(PostgresManager::new(config)?, config.max_connections, timeout)?,
                quoted_schema: config.quoted_schema()?,
            },
            Engine::Sqlite => {
                let path = config.sqlite_path()?;
                Pools::Sqlite {
                    writer: pool::pool(SqliteManager::writer(path.clone()), 1, timeout)?,
                    readers: pool::pool(SqliteManager::reader(path.clone()), SQLITE_READERS, timeout)?,
                    path,
                }
            }
        }))
    }

    /// The file that it is, where it is one.
    pub fn file(&self) -> Option<&Path> {
        match &self.0 {
            Pools::Postgres { .. } => None,
            Pools::Sqlite { path, .. } => Some(path),
        }
    }

    /// What it runs on.
    pub fn engine(&self) -> Engine {
        match self.0 {
            Pools::Postgres { .. } => Engine::Postgres,
            Pools::Sqlite { .. } => Engine::Sqlite,
        }
    }

    /// A connection for reads outside a transaction. Writes through it fail on SQLite.
    pub async fn reader(&self) -> Result<Connection<'static>> {
        Ok(Connection(match &self.0 {
            Pools::Postgres { pool, .. } => Handle::PooledPostgres(pool::get(pool).await?),
            Pools::Sqlite { readers, .. } => Handle::PooledSqlite(pool::get(readers).await?),
        }))
    }

    /// Begins a transaction. On SQLite it has the only writer until it ends, so a second one begun
    /// while the first is held waits for it, and fails after the acquire timeout.
    pub async fn begin(&self) -> Result<Transaction> {
        Transaction::begin(Connection(match &self.0 {
            Pools::Postgres { pool, .. } => Handle::PooledPostgres(pool::get(pool).await?),
            Pools::Sqlite { writer, .. } => Handle::PooledSqlite(pool::get(writer).await?),
        }))
        .await
    }

    /// Runs `work`, whose statements each commit by themselves: one round trip to PostgreSQL where a transaction takes
    /// four. For work in which every statement is right alone, whatever becomes of the others.
    ///
    /// # Errors
    ///
    /// What `work` answers. [`RepoError::Unavailable`] does not say that a statement had no effect: the connection may
    /// have broken after it.
    pub async fn statements<T, E>(&self, work: impl AsyncFnOnce(&mut Connection<'_>) -> Result<T, E>) -> Result<T, E>
    where
        E: From<RepoError>,
    {
        let mut conn = Connection(match &self.0 {
            Pools::Postgres { pool, .. } => Handle::PooledPostgres(pool::get(pool).await?),
            Pools::Sqlite { writer, .. } => Handle::PooledSqlite(pool::get(writer).await?),
        });
        work(&mut conn).await
    }

    /// Runs `work` in one transaction: commits it if `work` succeeds, rolls it back if not. Do no
    /// network I/O in `work`, and do not begin another transaction in it.
    ///
    /// # Errors
    ///
    /// What `work` answers, or what [`Database::begin`] and [`Transaction::commit`] do.
    pub async fn transaction<T, E>(&self, work: impl AsyncFnOnce(&mut Connection<'_>) -> Result<T, E>) -> Result<T, E>
    where
        E: From<RepoError>,
    {
        let mut transaction = self.begin().await?;
        match work(&mut transaction).await {
            Ok(value) => {
                transaction.commit().await?;
                Ok(value)
            }
            Err(error) => {
                // The error of `work` says more; the connection is closed, which rolls back too.
                if let Err(rollback) = transaction.rollback().await {
                    tracing::debug!(error = &rollback as &dyn std::error::Error, "rollback failed");
                }
                Err(error)
            }
        }
    }

    /// Applies all pending migrations and returns their names. Creates the schema if there is none.
    /// Processes that do so at the same time wait for each other.
    pub async fn migrate(&self) -> Result<Vec<String>> {
        self.run_migrations(Direction::Up).await
    }

    /// Reverts the `count` migrations that were applied last, with all their data, and returns their
    /// names, newest first.
    pub async fn revert(&self, count: usize) -> Result<Vec<String>> {
        self.run_migrations(Direction::Down(count)).await
    }

    /// Which migrations there are, and which of them the database has. Changes nothing.
    pub async fn migration_status(&self) -> Result<Vec<MigrationStatus>> {
        migrations::status(&mut self.reader().await?).await
    }

    async fn run_migrations(&self, direction: Direction) -> Result<Vec<String>> {
        match &self.0 {
            // Not from the pool: the connection is closed afterwards.
            Pools::Postgres { pool, quoted_schema } => {
                let conn = pool.manager().create().await?;
                migrations::postgres(conn, quoted_schema, direction).await
            }
            Pools::Sqlite { writer, .. } => migrations::sqlite(pool::get(writer).await?, direction).await,
        }
    }

    /// The server's name and version, such as `PostgreSQL 15.18`.
    pub async fn server_version(&self) -> Result<String> {
        let mut conn = self.reader().await?;
        let version = match self.engine() {
            Engine::Postgres => "current_setting('server_version')",
            Engine::Sqlite => "sqlite_version()",
        };
        let version: String =
            crate::query!(conn, async |db| { diesel::select(diesel::dsl::sql::<Text>(version)).get_result(db).await })?;
        // Debian adds its own version in parentheses.
        let version = version.split_whitespace().next().unwrap_or_default();
        Ok(format!("{} {version}", self.engine()))
    }

    /// How its connections are used at this moment.
    pub fn pool_status(&self) -> PoolStatus {
        match &self.0 {
            Pools::Postgres { pool, .. } => pool::status(pool),
            Pools::Sqlite { writer, readers, .. } => pool::status(writer) + pool::status(readers),
        }
    }
}
