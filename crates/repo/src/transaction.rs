//! Transactions on pooled connections.

use std::ops::{Deref, DerefMut};

use deadpool::managed::Object;
use diesel::connection::AnsiTransactionManager as SyncTransactionManager;
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection, TransactionManager};

use crate::connection::Handle;
use crate::{Backend, Connection, RepoError, Result, query};

/// An open transaction: a connection that has to be committed.
///
/// Dropped without a commit, be it by an early return, a panic or a cancelled future, it closes its
/// connection instead of giving it back to the pool, and the database rolls back.
///
/// A statement that fails inside a transaction aborts it on PostgreSQL: [`Transaction::commit`]
/// then answers [`RepoError::Aborted`].
#[must_use = "a transaction that is dropped is rolled back"]
pub struct Transaction {
    /// `None` only within `release` and `drop`, both of which end its life.
    conn: Option<Connection<'static>>,
}

impl Transaction {
    pub(crate) async fn begin(conn: Connection<'static>) -> Result<Self> {
        // Owned by `Self` before BEGIN is sent: a future dropped here closes the connection.
        let mut transaction = Self { conn: Some(conn) };
        match transaction.backend() {
            Backend::Postgres(conn) => {
                <AsyncPgConnection as AsyncConnection>::TransactionManager::begin_transaction(conn).await?;
            }
            // Takes the write lock at once. A deferred transaction that reads first and writes later
            // fails with SQLITE_BUSY, whatever the busy timeout, when another has written meanwhile.
            Backend::Sqlite(conn) => {
                conn.spawn_blocking(|conn| SyncTransactionManager::begin_transaction_sql(conn, "BEGIN IMMEDIATE"))
                    .await?;
            }
        }
        Ok(transaction)
    }

    /// Makes everything that was done permanent.
    ///
    /// # Errors
    ///
    /// [`RepoError::CommitUnknown`] if the database may or may not have done so; after any other
    /// error it has not.
    pub async fn commit(mut self) -> Result<()> {
        self.refuse_if_aborted().await?;
        query!(self, async |db| commit(db).await)?;
        self.release();
        Ok(())
    }

    /// Undoes everything that was done.
    pub async fn rollback(mut self) -> Result<()> {
        query!(self, async |db| rollback(db).await)?;
        self.release();
        Ok(())
    }

    /// PostgreSQL answers COMMIT in an aborted transaction with a successful ROLLBACK, and the
    /// driver hides the difference; any other statement fails there.
    async fn refuse_if_aborted(&mut self) -> Result<()> {
        let Backend::Postgres(conn) = self.backend() else {
            return Ok(());
        };
        conn.batch_execute("SELECT 1").await.map_err(RepoError::before_commit)
    }

    /// Lets the connection go back to the pool.
    fn release(mut self) {
        drop(self.conn.take());
    }
}

async fn commit<C: AsyncConnection>(conn: &mut C) -> Result<()> {
    C::TransactionManager::commit_transaction(conn).await.map_err(RepoError::at_commit)
}

async fn rollback<C: AsyncConnection>(conn: &mut C) -> Result<()> {
    Ok(C::TransactionManager::rollback_transaction(conn).await?)
}

impl Deref for Transaction {
    type Target = Connection<'static>;

    #[expect(clippy::expect_used, reason = "`conn` is taken only by what ends the transaction's life")]
    fn deref(&self) -> &Self::Target {
        self.conn.as_ref().expect("present until released or dropped")
    }
}

impl DerefMut for Transaction {
    #[expect(clippy::expect_used, reason = "`conn` is taken only by what ends the transaction's life")]
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.conn.as_mut().expect("present until released or dropped")
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        match self.conn.take().map(|conn| conn.0) {
            // Out of the pool, then closed.
            Some(Handle::PooledPostgres(conn)) => drop(Object::take(conn)),
            Some(Handle::PooledSqlite(conn)) => drop(Object::take(conn)),
            Some(Handle::Postgres(_) | Handle::Sqlite(_)) | None => {}
        }
    }
}
