//! The soak: children that are killed at random moments while they use the module, and an audit of what they left.
//!
//! The parent serves storage and is never killed. A child ([`worker`]) does mixed work on the module and writes in a
//! [`journal`] what it begins and what was acknowledged to it. From the journals the parent knows ([`history`]) which files
//! have to be there, which must not and which may, and compares ([`audit`]) that with the rows, with the objects on disk and
//! with what the module itself says. The audit reads rows by SQL and objects from the disk of the embedded server, so that
//! it does not trust what it judges.

pub(crate) mod arena;
pub(crate) mod audit;
pub(crate) mod big;
pub(crate) mod child;
mod content;
pub(crate) mod crowd;
mod direct;
mod disk;
pub(crate) mod history;
pub(crate) mod journal;
pub(crate) mod kills;
mod memory;
pub(crate) mod plant;
mod pool;
mod random;
mod rows;
mod worker;
