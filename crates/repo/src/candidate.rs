//! Objects that a verify has seen without a name.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use object_store_models::schema::orphan_candidates::{self, dsl};
use object_store_models::{NewOrphanCandidate, OrphanCandidate, Timestamp};

use crate::clock::database_now;
use crate::{Connection, Result, query};

/// Statements on `orphan_candidates`.
#[derive(Debug, Clone, Copy)]
pub struct CandidateRepo;

impl CandidateRepo {
    /// Notes an object without a name. One that was noted before, with the same entity tag and size, keeps the time at which
    /// it was first seen. Two statements: call it in a transaction.
    pub async fn note(conn: &mut Connection<'_>, new: &NewOrphanCandidate<'_>) -> Result<OrphanCandidate> {
        let noted = query!(conn, async |db| {
            diesel::insert_into(orphan_candidates::table)
                .values((new, dsl::first_seen_at.eq(database_now())))
                .on_conflict_do_nothing()
                .execute(db)
                .await
        })?;
        if noted == 0 {
            query!(conn, async |db| {
                diesel::update(orphan_candidates::table.find(new.s3_key))
                    .filter(dsl::etag.ne(new.etag).or(dsl::size_bytes.ne(new.size_bytes)))
                    .set((
                        dsl::etag.eq(new.etag),
                        dsl::size_bytes.eq(new.size_bytes),
                        dsl::first_seen_at.eq(database_now()),
                    ))
                    .execute(db)
                    .await
            })?;
        }
        Ok(query!(conn, async |db| {
            orphan_candidates::table.find(new.s3_key).select(OrphanCandidate::as_select()).first(db).await
        })?)
    }

    /// The candidate of this key.
    pub async fn get(conn: &mut Connection<'_>, s3_key: &str) -> Result<Option<OrphanCandidate>> {
        Ok(query!(conn, async |db| {
            orphan_candidates::table.find(s3_key).select(OrphanCandidate::as_select()).first(db).await.optional()
        })?)
    }

    /// At most `limit` keys in their order: those after `after`, up to and including `until`.
    pub async fn list_keys(
        conn: &mut Connection<'_>,
        after: Option<&str>,
        until: Option<&str>,
        limit: i64,
    ) -> Result<Vec<String>> {
        Ok(query!(conn, async |db| {
            let mut page = orphan_candidates::table
                .select(dsl::s3_key)
                .filter(dsl::s3_key.gt(after.unwrap_or_default()))
                .order(dsl::s3_key)
                .limit(limit)
                .into_boxed();
            if let Some(until) = until {
                page = page.filter(dsl::s3_key.le(until));
            }
            page.load(db).await
        })?)
    }

    /// At most `limit` candidates that were first seen before an instant, in the order of their keys, after `after`.
    pub async fn list_seen_before(
        conn: &mut Connection<'_>,
        before: Timestamp,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<OrphanCandidate>> {
        Ok(query!(conn, async |db| {
            orphan_candidates::table
                .select(OrphanCandidate::as_select())
                .filter(dsl::s3_key.gt(after.unwrap_or_default()))
                .filter(dsl::first_seen_at.lt(before))
                .order(dsl::s3_key)
                .limit(limit)
                .load(db)
                .await
        })?)
    }

    /// Forgets candidates. Returns how many there were.
    pub async fn delete(conn: &mut Connection<'_>, s3_keys: &[String]) -> Result<usize> {
        Ok(query!(conn, async |db| {
            diesel::delete(orphan_candidates::table.filter(dsl::s3_key.eq_any(s3_keys))).execute(db).await
        })?)
    }
}
