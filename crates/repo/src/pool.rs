//! Pools of connections.

use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{Manager, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult, TimeoutType};
use diesel_async::AsyncConnection;
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, PoolableConnection, RecyclingMethod,
};

use crate::postgres::PostgresManager;
use crate::sqlite::SqliteManager;
use crate::{RepoError, Result};

pub(crate) type PostgresPool = Pool<PostgresManager>;
pub(crate) type SqlitePool = Pool<SqliteManager>;
pub(crate) type PostgresObject = Object<PostgresManager>;
pub(crate) type SqliteObject = Object<SqliteManager>;

/// How a database's connections are used at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolStatus {
    /// Connections that somebody has taken and not given back.
    pub in_use: usize,
    /// Connections that are open, in use or idle.
    pub open: usize,
    /// Callers that wait for a connection.
    pub waiting: usize,
}

pub(crate) fn pool<M: Manager>(manager: M, max_connections: usize, acquire_timeout: Duration) -> Result<Pool<M>> {
    Pool::builder(manager)
        .max_size(max_connections)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(acquire_timeout))
        .create_timeout(Some(acquire_timeout))
        .recycle_timeout(Some(acquire_timeout))
        .build()
        .map_err(|error| RepoError::Misconfigured {
            what: "the pool cannot be built".into(),
            source: Some(error.into()),
        })
}

pub(crate) async fn get<M: Manager<Error = RepoError>>(pool: &Pool<M>) -> Result<Object<M>> {
    pool.get().await.map_err(|error| match error {
        PoolError::Backend(error) => error,
        PoolError::Timeout(TimeoutType::Wait) => RepoError::unavailable("no connection became free in time"),
        PoolError::Timeout(_) => RepoError::unavailable("the database did not answer in time"),
        PoolError::Closed | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
            RepoError::unavailable("the pool is closed")
        }
    })
}

pub(crate) fn status<M: Manager>(pool: &Pool<M>) -> PoolStatus {
    let status = pool.status();
    PoolStatus { in_use: status.size.saturating_sub(status.available), open: status.size, waiting: status.waiting }
}

impl std::ops::Add for PoolStatus {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { in_use: self.in_use + other.in_use, open: self.open + other.open, waiting: self.waiting + other.waiting }
    }
}

/// Decides whether a connection can be used again: it is open and in no transaction.
///
/// `diesel-async`'s own manager does so without a round trip; we only connect in our own way.
pub(crate) struct Recycler<C>(AsyncDieselConnectionManager<C>);

impl<C> Recycler<C>
where
    C: PoolableConnection + AsyncConnection + 'static,
    AsyncDieselConnectionManager<C>: Manager<Type = C, Error = diesel_async::pooled_connection::PoolError>,
{
    pub(crate) fn new() -> Self {
        let mut config = ManagerConfig::default();
        config.recycling_method = RecyclingMethod::Fast;
        Self(AsyncDieselConnectionManager::new_with_config(String::new(), config))
    }

    pub(crate) async fn recycle(&self, conn: &mut C, metrics: &Metrics) -> RecycleResult<RepoError> {
        self.0
            .recycle(conn, metrics)
            .await
            .map_err(|_| RecycleError::message("the connection is closed or in a transaction"))
    }
}
