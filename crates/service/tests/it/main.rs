//! The use cases on real databases, with storage in memory that can be made to fail.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod invariants;
mod operations;
mod support;

mod agreeing;
mod copying;
mod crashing;
mod deleting;
mod direct;
mod dropping;
mod erasing;
mod failing;
mod faulting;
mod idempotency;
mod kept;
mod listing;
mod losing;
mod model;
mod modelled;
mod quota;
mod reading;
mod refusing;
mod resuming;
mod same_facts;
mod signing;
mod sweeping;
mod unknown_commits;
mod uploading;
mod verifying;
