//! Direct uploads: a client sends the bytes to storage itself, to a staging key. Completing reads them there, and copies
//! what was found good to a key that no client could ever write.

mod begin;
mod begin_parts;
mod cancel;
mod complete;
mod copy;
mod declared;
mod find;
mod join;
mod parts;
mod receive;
mod resume;
