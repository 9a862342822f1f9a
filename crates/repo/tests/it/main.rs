//! The repositories on both databases: every scenario runs on SQLite and on a real PostgreSQL server.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[macro_use]
mod support;

mod connecting;
mod idempotency;
mod intents;
mod joining;
mod media;
mod migrations;
mod naming;
mod proxy;
mod tls;
mod transactions;
mod usage;
