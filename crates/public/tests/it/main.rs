//! The whole module, end to end: real databases, and a real S3 server over HTTP.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod storm;
mod support;

mod broken;
mod direct;
mod doctor;
mod embedded;
mod http;
mod sweeping;
