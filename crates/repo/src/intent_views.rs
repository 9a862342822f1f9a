//! Intents by what one is looking for, and taking a user's.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use object_store_models::schema::object_intents::{self, dsl};
use object_store_models::{IntentPurpose, ObjectIntent, Timestamp, UserId};

use crate::clock::database_now;
use crate::{Connection, IntentRepo, Result, query};

impl IntentRepo {
    /// The keys of at most `limit` intents in their order: those after `after`, up to and including `until`.
    pub async fn list_keys(
        conn: &mut Connection<'_>,
        after: Option<&str>,
        until: Option<&str>,
        limit: i64,
    ) -> Result<Vec<String>> {
        Ok(query!(conn, async |db| {
            let mut page = object_intents::table
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

    /// At most `limit` intents that a sweep may act upon now, those due longest first. Takes nothing.
    pub async fn list_due(conn: &mut Connection<'_>, limit: i64) -> Result<Vec<ObjectIntent>> {
        Ok(query!(conn, async |db| {
            object_intents::table
                .select(ObjectIntent::as_select())
                .filter(dsl::not_before.le(database_now()))
                .order((dsl::not_before, dsl::s3_key))
                .limit(limit)
                .load(db)
                .await
        })?)
    }

    /// How many intents a sweep may act upon now.
    pub async fn count_due(conn: &mut Connection<'_>) -> Result<i64> {
        Ok(query!(conn, async |db| {
            object_intents::table.filter(dsl::not_before.le(database_now())).count().get_result(db).await
        })?)
    }

    /// At most `limit` keys of a user's intents that are not purges and were written until `until`, in their order, after
    /// `after`.
    pub async fn list_uploads_of(
        conn: &mut Connection<'_>,
        user: UserId,
        until: Timestamp,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<String>> {
        Ok(query!(conn, async |db| {
            object_intents::table
                .select(dsl::s3_key)
                .filter(dsl::user_id.eq(user))
                .filter(dsl::purpose.ne(IntentPurpose::Purge))
                .filter(dsl::created_at.le(until))
                .filter(dsl::s3_key.gt(after.unwrap_or_default()))
                .order(dsl::s3_key)
                .limit(limit)
                .load(db)
                .await
        })?)
    }

    /// Makes an upload's intent a purge that is due at once, whoever is at work on it: their generation is over. Until
    /// when their writes can land, and so when the second delete is due, stays as they have said.
    ///
    /// `None` if the key has no upload's intent: it is committed, or a purge already. On PostgreSQL it waits for the end
    /// of a transaction that is about to commit the upload.
    pub async fn take_upload(conn: &mut Connection<'_>, s3_key: &str) -> Result<Option<ObjectIntent>> {
        Ok(query!(conn, async |db| {
            diesel::update(object_intents::table.find(s3_key))
                .filter(dsl::purpose.ne(IntentPurpose::Purge))
                .set((
                    dsl::purpose.eq(IntentPurpose::Purge),
                    dsl::generation.eq(dsl::generation + 1),
                    dsl::not_before.eq(database_now()),
                    // What it was called says something about the user, and is needed no more.
                    dsl::declared.eq("{}"),
                ))
                .returning(ObjectIntent::as_returning())
                .get_result(db)
                .await
                .optional()
        })?)
    }
}
