//! Tests of the port's reference implementation and of the rules themselves.

#![expect(clippy::unwrap_used, reason = "a test may panic, in its helper functions too")]

mod contract;
mod memory;
mod mutants;
