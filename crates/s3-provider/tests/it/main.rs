//! The adapter against servers over HTTP: the embedded one, and one that answers whatever a test wants.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod contract;
mod doctor;
mod failures;
mod hostile;
mod http_client;
mod parts;
mod scripted_server;
mod signing;
mod transfers;
