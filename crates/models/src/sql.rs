//! SQL types that mean the same on both databases.
//!
//! | SQL type         | PostgreSQL    | SQLite                                  |
//! |------------------|---------------|-----------------------------------------|
//! | [`Uuid`]         | `uuid`        | `BLOB` of 16 bytes                      |
//! | [`UtcTimestamp`] | `timestamptz` | `INTEGER`, microseconds since 1970, UTC |
//!
//! PostgreSQL's types are given by OID, since a name would cost a catalogue look-up for every
//! connection.

use diesel::query_builder::QueryId;
use diesel::sql_types::SqlType;

/// A UUID. Both databases compare it bytewise, so that UUIDv7 sorts by time.
#[derive(Debug, Clone, Copy, SqlType, QueryId)]
#[diesel(postgres_type(oid = 2950, array_oid = 2951), sqlite_type(name = "Binary"))]
pub struct Uuid;

/// An instant in UTC, to the microsecond.
///
/// Not called `Timestamp`: `table!` goes by the name and would derive arithmetic for it.
#[derive(Debug, Clone, Copy, SqlType, QueryId)]
#[diesel(postgres_type(oid = 1184, array_oid = 1185), sqlite_type(name = "Long"))]
pub struct UtcTimestamp;
