//! Bringing the schema up to date, and back.

use diesel::backend::Backend;
use diesel::migration::{Migration, MigrationSource};
use diesel::prelude::*;
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::pool::SqliteObject;
use crate::{Connection, Engine, RepoError, Result, query};

const POSTGRES: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

/// Serialises processes that migrate one PostgreSQL database at the same time: Diesel itself takes
/// no lock. The number only has to be the same in all of them.
const LOCK: i64 = 0x6f62_6a73_746f_7265;

/// A migration that this version knows or that the database has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationStatus {
    /// The directory's name, such as `2026-01-01-000000_objects`; of a migration that only the
    /// database knows, its version.
    pub name: String,
    /// Whether the database has it.
    pub applied: bool,
}

/// What to do about migrations.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Direction {
    /// Apply all that are pending.
    Up,
    /// Revert this many of those that were applied last.
    Down(usize),
}

type Outcome = Result<Vec<String>, Box<dyn std::error::Error + Send + Sync>>;

/// Consumes the connection: the lock goes with the session, however this ends. If the future is
/// dropped, migrations that have begun finish in the background, still under the lock.
pub(crate) async fn postgres(mut conn: AsyncPgConnection, schema: &str, direction: Direction) -> Result<Vec<String>> {
    conn.batch_execute(&format!(
        "SET statement_timeout = 0; SET lock_timeout = '60s'; SELECT pg_advisory_lock({LOCK})"
    ))
    .await?;
    create_schema(&mut conn, schema).await?;
    // The wrapper blocks on a future for each query, which a runtime thread must not do.
    tokio::task::spawn_blocking(move || migrate(&mut AsyncConnectionWrapper::<_>::from(conn), POSTGRES, direction))
        .await
        .unwrap_or_else(|error| Err(error.into()))
        .map_err(|source| RepoError::Migration { source })
}

/// One transaction around all of them, which takes the write lock first: processes that migrate the
/// same file at the same time wait for each other. Dropping the future waits for the end.
pub(crate) async fn sqlite(mut conn: SqliteObject, direction: Direction) -> Result<Vec<String>> {
    conn.spawn_blocking(move |conn| {
        let mut refused = None;
        let migrated = conn.immediate_transaction(|conn| {
            migrate(conn, SQLITE, direction).map_err(|error| {
                refused = Some(error);
                diesel::result::Error::RollbackTransaction
            })
        });
        Ok(match (migrated, refused) {
            (Ok(names), _) => Ok(names),
            (Err(_), Some(source)) => Err(RepoError::Migration { source }),
            (Err(error), None) => Err(error.into()),
        })
    })
    .await?
}

/// All migrations that this version knows, oldest first, and then those that only the database knows.
pub(crate) async fn status(conn: &mut Connection<'_>) -> Result<Vec<MigrationStatus>> {
    let known = match conn.engine() {
        Engine::Postgres => names::<diesel::pg::Pg>(&POSTGRES),
        Engine::Sqlite => names::<diesel::sqlite::Sqlite>(&SQLITE),
    }
    .map_err(|source| RepoError::Migration { source })?;
    let mut applied = applied_versions(conn).await?;
    let mut all: Vec<_> = known
        .into_iter()
        .map(|(version, name)| {
            let before = applied.len();
            applied.retain(|applied| *applied != version);
            MigrationStatus { name, applied: applied.len() < before }
        })
        .collect();
    all.extend(applied.into_iter().map(|name| MigrationStatus { name, applied: true }));
    Ok(all)
}

diesel::table! {
    /// Diesel's own bookkeeping.
    __diesel_schema_migrations (version) {
        /// The digits that a migration's name begins with.
        version -> Text,
    }
}

/// Read directly, since Diesel's harness would create the table to read it.
async fn applied_versions(conn: &mut Connection<'_>) -> Result<Vec<String>> {
    use __diesel_schema_migrations::{table, version};
    let loaded = query!(conn, async |db| table.select(version).order(version).load(db).await);
    match loaded.map_err(RepoError::from) {
        Err(RepoError::MigrationsPending { .. }) => Ok(Vec::new()),
        other => other,
    }
}

/// Not by `IF NOT EXISTS` alone, which asks for the right to create schemas even if there is nothing
/// to create.
async fn create_schema(conn: &mut AsyncPgConnection, quoted: &str) -> Result<()> {
    let name = quoted.trim_matches('"');
    let exists = diesel::select(
        diesel::dsl::sql::<diesel::sql_types::Bool>("EXISTS (SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = ")
            .bind::<diesel::sql_types::Text, _>(name)
            .sql(")"),
    )
    .get_result::<bool>(conn)
    .await?;
    if !exists {
        conn.batch_execute(&format!("CREATE SCHEMA IF NOT EXISTS {quoted}")).await?;
    }
    Ok(())
}

fn migrate<DB: Backend>(
    conn: &mut impl MigrationHarness<DB>,
    source: EmbeddedMigrations,
    direction: Direction,
) -> Outcome {
    match direction {
        Direction::Up => {
            let pending = conn.pending_migrations(source)?;
            conn.run_migrations(&pending)?;
            Ok(pending.iter().map(|migration| migration.name().to_string()).collect())
        }
        Direction::Down(count) => revert(conn, &source, count),
    }
}

fn revert<DB: Backend>(conn: &mut impl MigrationHarness<DB>, source: &EmbeddedMigrations, count: usize) -> Outcome {
    let known = MigrationSource::<DB>::migrations(source)?;
    let mut reverted = Vec::new();
    // Newest first.
    for version in conn.applied_migrations()?.into_iter().take(count) {
        let migration = known
            .iter()
            .find(|migration| migration.name().version() == version)
            .ok_or_else(|| format!("this version does not know migration {version}"))?;
        conn.revert_migration(migration)?;
        reverted.push(migration.name().to_string());
    }
    Ok(reverted)
}

type Names = Result<Vec<(String, String)>, Box<dyn std::error::Error + Send + Sync>>;

fn names<DB: Backend>(source: &EmbeddedMigrations) -> Names {
    let mut names: Vec<_> = MigrationSource::<DB>::migrations(source)?
        .iter()
        .map(|migration| (migration.name().version().to_string(), migration.name().to_string()))
        .collect();
    names.sort();
    Ok(names)
}
