//! Rows of `orphan_candidates`.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sqlite::Sqlite;

use crate::Timestamp;
use crate::schema::orphan_candidates;

/// An object that a verify has seen without a row or an intent.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = orphan_candidates, check_for_backend(Pg, Sqlite))]
pub struct OrphanCandidate {
    /// Where it lies.
    pub s3_key: String,
    /// As the storage listed it.
    pub etag: String,
    /// Bytes, as the storage listed it.
    pub size_bytes: i64,
    /// When it was first seen as it is, by the database's clock.
    pub first_seen_at: Timestamp,
}

/// A candidate to be noted. The fields mean what they do in [`OrphanCandidate`]; the database's clock says when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Insertable)]
#[diesel(table_name = orphan_candidates, check_for_backend(Pg, Sqlite))]
#[expect(missing_docs, reason = "documented on OrphanCandidate")]
pub struct NewOrphanCandidate<'a> {
    pub s3_key: &'a str,
    pub etag: &'a str,
    pub size_bytes: i64,
}
