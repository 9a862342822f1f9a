//! Tests of the embedded server over real HTTP.

#![expect(clippy::unwrap_used, reason = "a test may panic, in its helper functions too")]

mod client;
mod crashes;
mod multipart;
mod objects;
mod server;
mod shared;
