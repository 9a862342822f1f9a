//! The SQL of the object store, on PostgreSQL and SQLite, through `diesel-async`.
//!
//! Every repository function takes a [`Connection`] first and returns models. A connection comes
//! from [`Database::reader`], from a [`Transaction`] ([`Database::begin`],
//! [`Database::transaction`]), or from a host's own `&mut AsyncPgConnection` or SQLite connection
//! by `Connection::from`, so that a sibling can join with its own pool and its own transaction.
//! [`query!`] compiles one query for both databases, here and in other crates.
//!
//! **Architecture invariant:** a repository function never opens a connection and never begins,
//! commits or rolls back a transaction; only [`Database`] and [`Transaction`] do. After a failed
//! statement it never goes on as if nothing had happened, since PostgreSQL has then aborted the
//! transaction. Deadlines are written and compared by the database's clock alone.
//!
//! Use a multi-thread Tokio runtime: dropping a future whose SQLite statement is under way waits
//! for the statement, which a current-thread runtime refuses with a panic.

mod candidate;
mod clock;
mod config;
mod connection;
mod database;
mod error;
mod estimate;
mod idempotency;
mod intent;
mod intent_views;
mod key;
mod media;
mod migrations;
pub mod mutants;
mod pool;
mod postgres;
mod reserving;
mod sqlite;
mod tls;
mod transaction;
mod usage;

pub use candidate::CandidateRepo;
pub use clock::{DatabaseNow, DatabaseNowPlus, database_now, database_now_plus, read_clock};
pub use config::{DatabaseConfig, Engine};
pub use connection::{Backend, Connection, Sqlite};
pub use database::Database;
pub use error::{RepoError, Result};
pub use estimate::estimate_media;
pub use idempotency::{ClaimedKey, IdempotencyRepo};
pub use intent::{CompleteOutcome, Deadlines, IntentRepo};
pub use key::KeyRepo;
pub use media::{AudioRepo, ImageRepo, Owner};
pub use migrations::MigrationStatus;
pub use pool::PoolStatus;
pub use transaction::Transaction;
pub use usage::{Reservation, UsageComparison, UsageRepo};
