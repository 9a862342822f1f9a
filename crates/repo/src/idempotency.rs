//! Idempotency keys: which upload a repeated request means.

use std::time::Duration;

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use object_store_models::schema::idempotency_keys::{self, dsl};
use object_store_models::{IdempotencyKeyModel, ImageId, MediaId, NewIdempotencyKey, Timestamp, UserId};

use crate::clock::{database_now, database_now_plus};
use crate::mutants::{self, Mutant};
use crate::{Backend, Connection, Result, query};

/// Statements on `idempotency_keys`.
#[derive(Debug, Clone, Copy)]
pub struct IdempotencyRepo;

/// What a key stands for after [`IdempotencyRepo::claim`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimedKey {
    /// For the upload that claimed it: nobody had it.
    Fresh,
    /// For what it stood for before. Locked until the transaction ends.
    Taken(IdempotencyKeyModel),
}

impl IdempotencyRepo {
    /// Makes a key stand for an upload, unless it stands for one already. Inside a transaction: requests with the same
    /// key wait for each other until it ends. `None` if the key was forgotten just now: claim again.
    pub async fn claim(
        conn: &mut Connection<'_>,
        new: &NewIdempotencyKey<'_>,
        expires_in: Duration,
    ) -> Result<Option<ClaimedKey>> {
        let claimed = query!(conn, async |db| {
            diesel::insert_into(idempotency_keys::table)
                .values((new, dsl::expires_at.eq(database_now_plus(expires_in)), dsl::created_at.eq(database_now())))
                .on_conflict_do_nothing()
                .execute(db)
                .await
        })?;
        if claimed == 1 {
            return Ok(Some(ClaimedKey::Fresh));
        }
        Ok(Self::locked(conn, new.user_id, new.idempotency_key).await?.map(ClaimedKey::Taken))
    }

    /// The row of a user's key, which nobody else changes before the transaction ends.
    async fn locked(
        conn: &mut Connection<'_>,
        user: Option<UserId>,
        idempotency_key: &str,
    ) -> Result<Option<IdempotencyKeyModel>> {
        /// The query, once for each database.
        macro_rules! of_key {
            ($owned:expr) => {
                idempotency_keys::table
                    .select(IdempotencyKeyModel::as_select())
                    .filter(dsl::idempotency_key.eq(idempotency_key).and($owned))
            };
        }
        let (owned, ownerless) = (dsl::user_id.eq(user), dsl::user_id.is_null());
        Ok(match (conn.backend(), user.is_some()) {
            (Backend::Postgres(db), true) => of_key!(owned).for_update().first(db).await.optional()?,
            (Backend::Postgres(db), false) => of_key!(ownerless).for_update().first(db).await.optional()?,
            // The transaction has the only writer.
            (Backend::Sqlite(db), true) => of_key!(owned).first(db).await.optional()?,
            (Backend::Sqlite(db), false) => of_key!(ownerless).first(db).await.optional()?,
        })
    }

    /// Makes a key stand for another upload than the one it stood for, which was given up. In the transaction that has
    /// it locked.
    pub async fn pass_on(
        conn: &mut Connection<'_>,
        from: MediaId,
        new: &NewIdempotencyKey<'_>,
        expires_in: Duration,
    ) -> Result<bool> {
        let to = new.media_id();
        let passed = query!(conn, async |db| {
            diesel::update(idempotency_keys::table.find(ImageId::from(from.uuid())))
                .filter(dsl::stored_at.is_null())
                .set((
                    dsl::media_id.eq(ImageId::from(to.uuid())),
                    dsl::kind.eq(to.kind()),
                    dsl::expires_at.eq(database_now_plus(expires_in)),
                    dsl::created_at.eq(database_now()),
                ))
                .execute(db)
                .await
        })?;
        Ok(passed == 1)
    }

    /// Notes that the upload which a key stands for has become media, in the transaction that inserts its row. `false`
    /// if the key stands for another upload by now: the transaction has to be rolled back.
    pub async fn settle(conn: &mut Connection<'_>, id: MediaId, expires_in: Duration) -> Result<bool> {
        let settled = query!(conn, async |db| {
            diesel::update(idempotency_keys::table.find(ImageId::from(id.uuid())))
                .filter(dsl::kind.eq(id.kind()))
                .set((dsl::stored_at.eq(database_now().nullable()), dsl::expires_at.eq(database_now_plus(expires_in))))
                .execute(db)
                .await
        })?;
        Ok(settled == 1 || mutants::is(Mutant::SettlesForAnother))
    }

    /// Remembers the key of an upload that is still going on for `expires_in` from now. `false` if there is none.
    pub async fn renew(conn: &mut Connection<'_>, id: MediaId, expires_in: Duration) -> Result<bool> {
        let renewed = query!(conn, async |db| {
            diesel::update(idempotency_keys::table.find(ImageId::from(id.uuid())))
                .filter(dsl::kind.eq(id.kind()))
                .filter(dsl::stored_at.is_null())
                .set(dsl::expires_at.eq(database_now_plus(expires_in)))
                .execute(db)
                .await
        })?;
        Ok(renewed == 1)
    }

    /// Forgets at most `limit` keys whose time is over, and returns how many. In a transaction it waits for nobody.
    pub async fn forget_expired(conn: &mut Connection<'_>, limit: i64) -> Result<usize> {
        let expired = idempotency_keys::table
            .select(dsl::media_id)
            .filter(dsl::expires_at.le(mutants::now_but_for(Mutant::ForgetsKeysTooEarly)))
            .order(dsl::expires_at)
            .limit(limit);
        let ids: Vec<ImageId> = match conn.backend() {
            // One that a request has locked at this moment, perhaps for as long as its caller's transaction lasts, waits for
            // the next time.
            Backend::Postgres(db) => expired.for_update().skip_locked().load(db).await?,
            Backend::Sqlite(db) => expired.load(db).await?,
        };
        if ids.is_empty() {
            return Ok(0);
        }
        // Expired still: its upload may have been committed meanwhile.
        Ok(query!(conn, async |db| {
            diesel::delete(idempotency_keys::table)
                .filter(dsl::media_id.eq_any(&ids))
                .filter(dsl::expires_at.le(mutants::now_but_for(Mutant::ForgetsKeysTooEarly)))
                .execute(db)
                .await
        })?)
    }

    /// Forgets the keys of a user that were claimed until `until`, and returns how many.
    pub async fn forget_of_user(conn: &mut Connection<'_>, user: UserId, until: Timestamp) -> Result<usize> {
        Ok(query!(conn, async |db| {
            diesel::delete(idempotency_keys::table)
                .filter(dsl::user_id.eq(user))
                .filter(dsl::created_at.le(until))
                .execute(db)
                .await
        })?)
    }

    /// How many keys are remembered.
    pub async fn count(conn: &mut Connection<'_>) -> Result<i64> {
        Ok(query!(conn, async |db| idempotency_keys::table.count().get_result(db).await)?)
    }
}
