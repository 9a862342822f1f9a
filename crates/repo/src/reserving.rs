//! What intents hold of their owner's quota. Changed only by a transaction that has the owner's counter locked, and in
//! step with it.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use object_store_models::schema::object_intents::{self, dsl};
use object_store_models::{IntentPurpose, NewIntent, ObjectIntent};

use crate::clock::{database_now, database_now_plus};
use crate::{Connection, Deadlines, IntentRepo, Result, query};

impl IntentRepo {
    /// Inserts an intent that holds so many bytes of its owner's quota. `None` if its key has one already.
    pub async fn create_reserving(
        conn: &mut Connection<'_>,
        new: &NewIntent<'_>,
        deadlines: Deadlines,
        reserved_bytes: i64,
    ) -> Result<Option<ObjectIntent>> {
        Ok(query!(conn, async |db| {
            diesel::insert_into(object_intents::table)
                .values((
                    new,
                    dsl::generation.eq(1),
                    dsl::attempts.eq(0),
                    dsl::not_before.eq(database_now_plus(deadlines.not_before_in)),
                    dsl::clears_at.eq(database_now_plus(deadlines.clears_in)),
                    dsl::created_at.eq(database_now()),
                    dsl::reserved_bytes.eq(reserved_bytes),
                ))
                .on_conflict_do_nothing()
                .returning(ObjectIntent::as_returning())
                .get_result(db)
                .await
                .optional()
        })?)
    }

    /// What an upload that is still going on holds. `None` if it is no longer ours.
    pub async fn reserved(conn: &mut Connection<'_>, s3_key: &str, generation: i64) -> Result<Option<i64>> {
        Ok(query!(conn, async |db| {
            object_intents::table
                .find(s3_key)
                .filter(dsl::generation.eq(generation))
                .filter(dsl::purpose.ne(IntentPurpose::Purge))
                .select(dsl::reserved_bytes)
                .first(db)
                .await
                .optional()
        })?)
    }

    /// Sets what an upload that is still going on holds. `false` if it is no longer ours.
    pub async fn set_reserved(
        conn: &mut Connection<'_>,
        s3_key: &str,
        generation: i64,
        reserved_bytes: i64,
    ) -> Result<bool> {
        let set = query!(conn, async |db| {
            diesel::update(object_intents::table.find(s3_key))
                .filter(dsl::generation.eq(generation))
                .filter(dsl::purpose.ne(IntentPurpose::Purge))
                .set(dsl::reserved_bytes.eq(reserved_bytes))
                .execute(db)
                .await
        })?;
        Ok(set == 1)
    }

    /// Takes from an intent, whoever is at work on it, the bytes that it holds. `false` if it does not hold them: they were
    /// given back already.
    pub async fn release(conn: &mut Connection<'_>, s3_key: &str, reserved_bytes: i64) -> Result<bool> {
        let released = query!(conn, async |db| {
            diesel::update(object_intents::table.find(s3_key))
                .filter(dsl::reserved_bytes.eq(reserved_bytes).and(dsl::reserved_bytes.gt(0)))
                .set(dsl::reserved_bytes.eq(0))
                .execute(db)
                .await
        })?;
        Ok(released == 1)
    }
}
