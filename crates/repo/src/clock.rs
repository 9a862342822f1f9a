//! The database's clock, in SQL.
//!
//! | expression          | PostgreSQL              | SQLite                                    |
//! |---------------------|-------------------------|-------------------------------------------|
//! | [`DatabaseNow`]     | `statement_timestamp()` | `unixepoch('subsec')`, to the millisecond |
//! | [`DatabaseNowPlus`] | the same and an interval | the same and microseconds                |
//!
//! Both stand still within one statement and go on within a transaction, unlike PostgreSQL's
//! `now()`. `clock_timestamp()` would go on within a statement too, but then no index could find
//! what is due. A statement that had to wait for a lock uses the time at which it was sent, so a
//! deadline is never later than `duration` after its reply, and never earlier than `duration`
//! after its sending.

use std::time::Duration;

use diesel::expression::{AppearsOnTable, Expression, SelectableExpression, ValidGrouping, is_aggregate};
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::BigInt;
use diesel::sqlite::Sqlite;
use diesel_async::RunQueryDsl;
use object_store_models::Timestamp;
use object_store_models::sql::UtcTimestamp;

use crate::{Connection, Result, query};

const POSTGRES_NOW: &str = "statement_timestamp()";

/// Rounded to whole milliseconds before it is made microseconds: `unixepoch` answers a float.
const SQLITE_NOW: &str = "(CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000)";

/// The time by the database's clock.
#[derive(Debug, Clone, Copy, QueryId)]
pub struct DatabaseNow;

/// The time by the database's clock, and some more.
#[derive(Debug, Clone, Copy, QueryId)]
pub struct DatabaseNowPlus {
    micros: i64,
}

/// The time by the database's clock.
pub fn database_now() -> DatabaseNow {
    DatabaseNow
}

/// The time by the database's clock, and `duration` more: at most a hundred years, which is for ever.
pub fn database_now_plus(duration: Duration) -> DatabaseNowPlus {
    const HUNDRED_YEARS: Duration = Duration::from_hours(100 * 366 * 24);
    let micros = duration.min(HUNDRED_YEARS).as_micros();
    // A hundred years in microseconds fit.
    DatabaseNowPlus { micros: i64::try_from(micros).unwrap_or(i64::MAX) }
}

/// What the database's clock says now.
pub async fn read_clock(conn: &mut Connection<'_>) -> Result<Timestamp> {
    Ok(query!(conn, async |db| diesel::select(database_now()).get_result(db).await)?)
}

impl QueryFragment<Pg> for DatabaseNow {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(POSTGRES_NOW);
        Ok(())
    }
}

impl QueryFragment<Sqlite> for DatabaseNow {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql(SQLITE_NOW);
        Ok(())
    }
}

impl QueryFragment<Pg> for DatabaseNowPlus {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("(");
        out.push_sql(POSTGRES_NOW);
        out.push_sql(" + ");
        out.push_bind_param::<BigInt, _>(&self.micros)?;
        out.push_sql(" * interval '1 microsecond')");
        Ok(())
    }
}

impl QueryFragment<Sqlite> for DatabaseNowPlus {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("(");
        out.push_sql(SQLITE_NOW);
        out.push_sql(" + ");
        out.push_bind_param::<BigInt, _>(&self.micros)?;
        out.push_sql(")");
        Ok(())
    }
}

macro_rules! free_of_tables {
    ($($expression:ty),+) => {$(
        impl Expression for $expression {
            type SqlType = UtcTimestamp;
        }

        impl<Table> AppearsOnTable<Table> for $expression {}

        impl<Table> SelectableExpression<Table> for $expression {}

        impl<GroupBy> ValidGrouping<GroupBy> for $expression {
            type IsAggregate = is_aggregate::Never;
        }
    )+};
}

free_of_tables!(DatabaseNow, DatabaseNowPlus);
