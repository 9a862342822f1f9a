//! A connection to whichever database is configured.

use diesel::SqliteConnection;
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use diesel_async::{AsyncConnection, AsyncPgConnection, TransactionManager};

use crate::Engine;
use crate::pool::{PostgresObject, SqliteObject};

/// An asynchronous SQLite connection.
pub type Sqlite = SyncConnectionWrapper<SqliteConnection>;

/// A connection to PostgreSQL or SQLite, pooled or borrowed from the caller.
///
/// Borrowed, it joins whatever transaction the caller has open. A borrowed PostgreSQL connection
/// needs the schema of the object store on its `search_path`; a borrowed SQLite connection is to
/// the same file, with `busy_timeout` set and a transaction begun by `BEGIN IMMEDIATE`.
pub struct Connection<'a>(pub(crate) Handle<'a>);

// A handle is made once for a unit of work and not moved about: boxing would only add an allocation.
#[expect(clippy::large_enum_variant, reason = "made once for a unit of work and not moved about")]
pub(crate) enum Handle<'a> {
    PooledPostgres(PostgresObject),
    PooledSqlite(SqliteObject),
    Postgres(&'a mut AsyncPgConnection),
    Sqlite(&'a mut Sqlite),
}

/// The connection that [`query!`](crate::query) runs on.
pub enum Backend<'c> {
    /// PostgreSQL.
    Postgres(&'c mut AsyncPgConnection),
    /// SQLite.
    Sqlite(&'c mut Sqlite),
}

impl Connection<'_> {
    /// The backend's own connection, for queries that are not this crate's.
    pub fn backend(&mut self) -> Backend<'_> {
        match &mut self.0 {
            Handle::PooledPostgres(conn) => Backend::Postgres(conn),
            Handle::PooledSqlite(conn) => Backend::Sqlite(conn),
            Handle::Postgres(conn) => Backend::Postgres(conn),
            Handle::Sqlite(conn) => Backend::Sqlite(conn),
        }
    }

    /// Whether a transaction is open on it, begun by [`Database`](crate::Database) or by Diesel. Diesel does not know of
    /// one that was begun by executing `BEGIN`.
    pub fn is_in_transaction(&mut self) -> bool {
        match self.backend() {
            Backend::Postgres(conn) => transaction_is_open(conn),
            Backend::Sqlite(conn) => transaction_is_open(conn),
        }
    }

    /// What it is connected to.
    pub fn engine(&self) -> Engine {
        match self.0 {
            Handle::PooledPostgres(_) | Handle::Postgres(_) => Engine::Postgres,
            Handle::PooledSqlite(_) | Handle::Sqlite(_) => Engine::Sqlite,
        }
    }
}

fn transaction_is_open<C: AsyncConnection>(conn: &mut C) -> bool {
    // A transaction that is broken beyond rolling back is none to write in.
    C::TransactionManager::transaction_manager_status_mut(conn).transaction_depth().is_ok_and(|depth| depth.is_some())
}

impl<'a> From<&'a mut AsyncPgConnection> for Connection<'a> {
    fn from(conn: &'a mut AsyncPgConnection) -> Self {
        Self(Handle::Postgres(conn))
    }
}

impl<'a> From<&'a mut Sqlite> for Connection<'a> {
    fn from(conn: &'a mut Sqlite) -> Self {
        Self(Handle::Sqlite(conn))
    }
}

/// Runs a Diesel query on the backend that a [`Connection`] is connected to.
///
/// The body is compiled once for each backend, with `db` as the concrete connection, and expanded
/// inline: `.await` and `?` in it belong to the enclosing function.
///
/// ```
/// use diesel::prelude::*;
/// use diesel_async::RunQueryDsl;
/// use object_store_models::schema::images;
/// use object_store_repo::{Connection, Result, query};
///
/// async fn count_images(conn: &mut Connection<'_>) -> Result<i64> {
///     Ok(query!(conn, async |db| images::table.count().get_result(db).await)?)
/// }
/// ```
#[macro_export]
macro_rules! query {
    ($conn:expr, async |$db:ident| $body:expr) => {
        match $conn.backend() {
            $crate::Backend::Postgres($db) => $body,
            $crate::Backend::Sqlite($db) => $body,
        }
    };
}
