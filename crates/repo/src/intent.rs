//! Intents: every key that the storage may hold without a finished row.

use std::time::Duration;

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use object_store_models::schema::object_intents::{self, dsl};
use object_store_models::{IntentPurpose, NewIntent, ObjectIntent};

use crate::clock::{database_now, database_now_plus};
use crate::mutants::{self, Mutant};
use crate::{Backend, Connection, Result, query};

/// Statements on `object_intents`. Each is one conditional statement or is safe to be cut off
/// between its two; nobody's statement matches a row that another has taken meanwhile, since every
/// taker raises the generation.
#[derive(Debug, Clone, Copy)]
pub struct IntentRepo;

/// When an intent may be acted upon, counted from now by the database's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// Until a sweep may act: a fence for whoever writes the object.
    pub not_before_in: Duration,
    /// Until no late write can land on the key.
    pub clears_in: Duration,
}

/// What became of an intent whose object was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompleteOutcome {
    /// The intent is gone: no write can land on the key any more.
    Cleared,
    /// The intent waits until a late write can no longer land, for a second delete.
    Waiting,
    /// Somebody else has taken the intent, or it is gone.
    Superseded,
}

/// `last_error` is for people; a server's answer can be long.
const LAST_ERROR_CHARS: usize = 500;

impl IntentRepo {
    /// Inserts an intent. `None` if its key has one already.
    pub async fn create(
        conn: &mut Connection<'_>,
        new: &NewIntent<'_>,
        deadlines: Deadlines,
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
                ))
                .on_conflict_do_nothing()
                .returning(ObjectIntent::as_returning())
                .get_result(db)
                .await
                .optional()
        })?)
    }

    /// Goes on with an upload under another key: turns its intent into a purge, at its next generation, and inserts one for
    /// `next` that is as old and holds what the first one held of a quota. In a transaction, so that at any moment one of
    /// the two says that the upload is under way.
    ///
    /// `None` if the upload is no longer ours. The purge, and the new intent.
    pub async fn move_upload(
        conn: &mut Connection<'_>,
        (s3_key, generation): (&str, i64),
        purge: Deadlines,
        next: &NewIntent<'_>,
        deadlines: Deadlines,
    ) -> Result<Option<(ObjectIntent, ObjectIntent)>> {
        let Some(mut purge) = Self::to_purge(conn, s3_key, generation, purge).await? else { return Ok(None) };
        let held = std::mem::take(&mut purge.reserved_bytes);
        Self::release(conn, s3_key, held).await?;
        let moved = query!(conn, async |db| {
            diesel::insert_into(object_intents::table)
                .values((
                    next,
                    dsl::generation.eq(1),
                    dsl::attempts.eq(0),
                    dsl::not_before.eq(database_now_plus(deadlines.not_before_in)),
                    dsl::clears_at.eq(database_now_plus(deadlines.clears_in)),
                    dsl::created_at.eq(purge.created_at),
                    dsl::reserved_bytes.eq(held),
                ))
                .returning(ObjectIntent::as_returning())
                .get_result(db)
                .await
        })?;
        Ok(Some((purge, moved)))
    }

    /// Inserts an intent to purge a key, or turns the key's intent into one.
    ///
    /// `new.purpose` is ignored.
    pub async fn create_purge(
        conn: &mut Connection<'_>,
        new: &NewIntent<'_>,
        deadlines: Deadlines,
    ) -> Result<ObjectIntent> {
        let purge = NewIntent { purpose: IntentPurpose::Purge, ..*new };
        Ok(query!(conn, async |db| {
            diesel::insert_into(object_intents::table)
                .values((
                    &purge,
                    dsl::generation.eq(1),
                    dsl::attempts.eq(0),
                    dsl::not_before.eq(database_now_plus(deadlines.not_before_in)),
                    dsl::clears_at.eq(database_now_plus(deadlines.clears_in)),
                    dsl::created_at.eq(database_now()),
                ))
                .on_conflict(dsl::s3_key)
                .do_update()
                .set((
                    dsl::purpose.eq(IntentPurpose::Purge),
                    dsl::generation.eq(object_intents::generation + 1),
                    dsl::not_before.eq(database_now_plus(deadlines.not_before_in)),
                    dsl::clears_at.eq(database_now_plus(deadlines.clears_in)),
                ))
                .returning(ObjectIntent::as_returning())
                .get_result(db)
                .await
        })?)
    }

    /// The intent on this key.
    pub async fn get(conn: &mut Connection<'_>, s3_key: &str) -> Result<Option<ObjectIntent>> {
        Ok(query!(conn, async |db| {
            object_intents::table.find(s3_key).select(ObjectIntent::as_select()).first(db).await.optional()
        })?)
    }

    /// The intents whose keys lie directly or deeper under `directory`, which ends in `/`, in the order of their keys,
    /// and whether each is due. For directories that hold the keys of one upload: all are returned.
    pub async fn under(conn: &mut Connection<'_>, directory: &str) -> Result<Vec<(ObjectIntent, bool)>> {
        // `0` follows `/`, and keys are compared by their bytes: the primary key's index finds them.
        let end = format!("{}0", directory.trim_end_matches('/'));
        Ok(query!(conn, async |db| {
            object_intents::table
                .select((ObjectIntent::as_select(), dsl::not_before.le(database_now())))
                .filter(dsl::s3_key.gt(directory).and(dsl::s3_key.lt(&end)))
                .order(dsl::s3_key)
                .load(db)
                .await
        })?)
    }

    /// At most `limit` intents in the order of their keys, beginning after `after`.
    pub async fn list(conn: &mut Connection<'_>, after: Option<&str>, limit: i64) -> Result<Vec<ObjectIntent>> {
        Ok(query!(conn, async |db| {
            object_intents::table
                .select(ObjectIntent::as_select())
                // No key is empty.
                .filter(dsl::s3_key.gt(after.unwrap_or_default()))
                .order(dsl::s3_key)
                .limit(limit)
                .load(db)
                .await
        })?)
    }

    /// How many intents there are.
    pub async fn count(conn: &mut Connection<'_>) -> Result<i64> {
        Ok(query!(conn, async |db| object_intents::table.count().get_result(db).await)?)
    }

    /// Moves the deadlines of an upload that is still going on. `false` if it is no longer ours: stop
    /// writing.
    pub async fn renew_fence(
        conn: &mut Connection<'_>,
        s3_key: &str,
        generation: i64,
        deadlines: Deadlines,
    ) -> Result<bool> {
        let renewed = query!(conn, async |db| {
            diesel::update(object_intents::table.find(s3_key))
                .filter(dsl::generation.eq(generation))
                .filter(dsl::purpose.ne(IntentPurpose::Purge))
                .set((
                    dsl::not_before.eq(database_now_plus(deadlines.not_before_in)),
                    dsl::clears_at.eq(database_now_plus(deadlines.clears_in)),
                ))
                .execute(db)
                .await
        })?;
        Ok(renewed == 1)
    }

    /// Notes which multipart upload a client sends its parts to. `false` if one is noted already or the direct upload has
    /// ended: nobody will know the one that was to be noted, so abort it.
    pub async fn name_multipart_upload(
        conn: &mut Connection<'_>,
        s3_key: &str,
        generation: i64,
        upload_id: &str,
    ) -> Result<bool> {
        let noted = query!(conn, async |db| {
            diesel::update(object_intents::table.find(s3_key))
                .filter(dsl::purpose.eq(IntentPurpose::Direct))
                .filter(dsl::generation.eq(generation))
                .filter(dsl::multipart_upload_id.is_null())
                .set(dsl::multipart_upload_id.eq(upload_id))
                .execute(db)
                .await
        })?;
        Ok(noted == 1)
    }

    /// Sees to it that the intent of a direct upload is there for so long at least, since something is about to be written
    /// under its key: it may be swept before, but is then not cleared. `false` if the upload has ended: write nothing.
    pub async fn outlast_write(
        conn: &mut Connection<'_>,
        s3_key: &str,
        generation: i64,
        clears_in: Duration,
    ) -> Result<bool> {
        let prolonged = query!(conn, async |db| {
            diesel::update(object_intents::table.find(s3_key))
                .filter(dsl::purpose.eq(IntentPurpose::Direct))
                .filter(dsl::generation.eq(generation))
                .filter(dsl::clears_at.lt(database_now_plus(clears_in)))
                .set(dsl::clears_at.eq(database_now_plus(clears_in)))
                .execute(db)
                .await
        })?;
        if prolonged == 1 {
            return Ok(true);
        }
        // It is there for longer already, or not ours any more.
        let found = Self::get(conn, s3_key).await?;
        Ok(found.is_some_and(|intent| intent.purpose == IntentPurpose::Direct && intent.generation == generation))
    }

    /// Ends an upload: deletes its intent, in the transaction that inserts the finished row. `false`
    /// if the upload has expired and is no longer ours: the transaction has to be rolled back.
    pub async fn consume_upload(conn: &mut Connection<'_>, s3_key: &str, generation: i64) -> Result<bool> {
        Ok(Self::settle_upload(conn, s3_key, generation).await?.is_some())
    }

    /// As [`IntentRepo::consume_upload`], and returns how many bytes of the owner's quota the intent held: `None` if the
    /// upload has expired.
    pub async fn settle_upload(conn: &mut Connection<'_>, s3_key: &str, generation: i64) -> Result<Option<i64>> {
        #[cfg(feature = "mutants")]
        if mutants::is(Mutant::ConsumesAnyIntent) {
            let any = diesel::delete(object_intents::table.find(s3_key));
            return Ok((query!(conn, async |db| any.execute(db).await)? == 1).then_some(0));
        }
        let held = query!(conn, async |db| {
            diesel::delete(object_intents::table.find(s3_key))
                .filter(dsl::purpose.eq(IntentPurpose::Upload))
                .filter(dsl::generation.eq(generation))
                .returning(dsl::reserved_bytes)
                .get_result(db)
                .await
                .optional()
        })?;
        Ok(held.or(mutants::is(Mutant::ConsumesWithoutIntent).then_some(0)))
    }

    /// Ends a direct upload: makes its intent a purge at the next generation, due after `not_before_in`, and due again
    /// when the client's signed request can no longer land, as was set when it was signed. `None` if the upload has
    /// ended already, one way or another.
    pub async fn end_direct(
        conn: &mut Connection<'_>,
        s3_key: &str,
        generation: i64,
        not_before_in: Duration,
    ) -> Result<Option<ObjectIntent>> {
        Ok(query!(conn, async |db| {
            diesel::update(object_intents::table.find(s3_key))
                .filter(dsl::purpose.eq(IntentPurpose::Direct))
                .filter(dsl::generation.eq(generation))
                .set((
                    dsl::purpose.eq(IntentPurpose::Purge),
                    dsl::generation.eq(dsl::generation + 1),
                    dsl::not_before.eq(database_now_plus(not_before_in)),
                ))
                .returning(ObjectIntent::as_returning())
                .get_result(db)
                .await
                .optional()
        })?)
    }

    /// Turns an intent into a purge, at its next generation. `None` if it is no longer ours.
    pub async fn to_purge(
        conn: &mut Connection<'_>,
        s3_key: &str,
        generation: i64,
        deadlines: Deadlines,
    ) -> Result<Option<ObjectIntent>> {
        Ok(query!(conn, async |db| {
            diesel::update(object_intents::table.find(s3_key))
                .filter(dsl::generation.eq(generation))
                .set((
                    dsl::purpose.eq(IntentPurpose::Purge),
                    dsl::generation.eq(dsl::generation + 1),
                    dsl::not_before.eq(database_now_plus(deadlines.not_before_in)),
                    dsl::clears_at.eq(database_now_plus(deadlines.clears_in)),
                ))
                .returning(ObjectIntent::as_returning())
                .get_result(db)
                .await
                .optional()
        })?)
    }

    /// Takes at most `limit` intents that are due, those due longest first, and turns them into purges
    /// at their next generation, which nobody else is given before `lease` has passed.
    ///
    /// Workers that do so at the same time never get the same intent, and in a transaction do not wait
    /// for each other either.
    pub async fn claim_due(conn: &mut Connection<'_>, limit: i64, lease: Duration) -> Result<Vec<ObjectIntent>> {
        let due = object_intents::table
            .select(dsl::s3_key)
            .filter(dsl::not_before.le(mutants::now_but_for(Mutant::ClaimsWhatIsNotDue)))
            .order(dsl::not_before)
            .limit(limit);
        let keys: Vec<String> = match conn.backend() {
            Backend::Postgres(db) => due.for_update().skip_locked().load(db).await?,
            Backend::Sqlite(db) => due.load(db).await?,
        };
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        // Due still: outside a transaction another may have been faster.
        Ok(query!(conn, async |db| {
            diesel::update(object_intents::table)
                .filter(dsl::s3_key.eq_any(&keys))
                .filter(dsl::not_before.le(mutants::now_but_for(Mutant::ClaimsWhatIsNotDue)))
                .set((
                    dsl::purpose.eq(IntentPurpose::Purge),
                    dsl::generation.eq(dsl::generation + 1),
                    dsl::attempts.eq(dsl::attempts + 1),
                    dsl::not_before.eq(database_now_plus(lease)),
                ))
                .returning(ObjectIntent::as_returning())
                .get_results(db)
                .await
        })?)
    }

    /// Notes that a purge's object was deleted: the intent goes if no late write can land any more,
    /// and is due again at that time if one can.
    pub async fn complete(conn: &mut Connection<'_>, s3_key: &str, generation: i64) -> Result<CompleteOutcome> {
        let cleared = query!(conn, async |db| {
            diesel::delete(object_intents::table.find(s3_key))
                .filter(dsl::purpose.eq(IntentPurpose::Purge))
                .filter(dsl::generation.eq(generation))
                .filter(dsl::clears_at.le(mutants::now_but_for(Mutant::ClearsTooEarly)))
                // What it holds of a quota would be held for ever.
                .filter(dsl::reserved_bytes.eq(0))
                .execute(db)
                .await
        })?;
        if cleared == 1 {
            return Ok(CompleteOutcome::Cleared);
        }
        let waiting = query!(conn, async |db| {
            diesel::update(object_intents::table.find(s3_key))
                .filter(dsl::purpose.eq(IntentPurpose::Purge))
                .filter(dsl::generation.eq(generation))
                .set((dsl::not_before.eq(dsl::clears_at), dsl::last_error.eq(None::<String>)))
                .execute(db)
                .await
        })?;
        Ok(if waiting == 1 { CompleteOutcome::Waiting } else { CompleteOutcome::Superseded })
    }

    /// Notes why a purge failed, and when it is due again. `false` if it is no longer ours.
    pub async fn fail(
        conn: &mut Connection<'_>,
        s3_key: &str,
        generation: i64,
        retry_in: Duration,
        error: &str,
    ) -> Result<bool> {
        // PostgreSQL's text cannot hold NUL.
        let error: String = error.chars().filter(|char| *char != '\0').take(LAST_ERROR_CHARS).collect();
        let noted = query!(conn, async |db| {
            diesel::update(object_intents::table.find(s3_key))
                .filter(dsl::purpose.eq(IntentPurpose::Purge))
                .filter(dsl::generation.eq(generation))
                .set((dsl::not_before.eq(database_now_plus(retry_in)), dsl::last_error.eq(&error)))
                .execute(db)
                .await
        })?;
        Ok(noted == 1)
    }
}
