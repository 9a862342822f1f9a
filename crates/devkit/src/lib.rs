//! What tests and demonstrations need and no shipped crate may depend on: sample media, faults on demand, a temporary
//! PostgreSQL server.
//!
//! **Architecture invariant:** nothing but tests and developers' tools links this crate, and it knows no part of the
//! module except the storage port. Samples are computed from their parameters alone: no files, no clock, no
//! randomness, the same bytes on every machine.

pub mod commit_loss;
pub mod fault_proxy;
pub mod faults;
pub mod postgres;
pub mod request_loss;
pub mod samples;
pub mod suspension;
