//! How many bytes each user has: a counter a user, changed in the transactions that change what it counts.
//!
//! A counter is the first row that a transaction locks ([`UsageRepo::lock`]); rows and intents of the user come after it.
//! So no two transactions wait for each other in a circle, however many files of the user each of them touches.

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;
use object_store_models::schema::user_usage::{self, dsl};
use object_store_models::{UserId, UserUsage, sql};

use crate::{Backend, Connection, Result, query};

/// Statements on `user_usage`. A counter is built from the truth when it is first needed, and from then on is right as
/// long as everybody who writes rows and intents of the user changes it with them.
#[derive(Debug, Clone, Copy)]
pub struct UsageRepo;

/// What became of a wish to reserve bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reservation {
    /// The counter has them.
    Made,
    /// They do not fit beside what is there, and nothing has changed. The counter is locked.
    Exceeded(UserUsage),
}

/// A counter and what it should say, as of one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, QueryableByName)]
pub struct UsageComparison {
    /// Whose counter it is.
    #[diesel(sql_type = sql::Uuid)]
    pub user_id: UserId,
    /// What it says of finished media.
    #[diesel(sql_type = BigInt)]
    pub used_bytes: i64,
    /// What it says of intents.
    #[diesel(sql_type = BigInt)]
    pub reserved_bytes: i64,
    /// The sum over finished media.
    #[diesel(sql_type = BigInt)]
    pub true_used_bytes: i64,
    /// The sum over intents.
    #[diesel(sql_type = BigInt)]
    pub true_reserved_bytes: i64,
}

impl UsageComparison {
    /// Whether the counter says what it should.
    pub fn agrees(&self) -> bool {
        (self.used_bytes, self.reserved_bytes) == (self.true_used_bytes, self.true_reserved_bytes)
    }
}

/// The sums over the rows and intents of a user, whom `$user` names in SQL. PostgreSQL adds bigints up to a numeric.
macro_rules! true_used {
    ($user:literal) => {
        concat!(
            "CAST(COALESCE((SELECT SUM(size_bytes) FROM images WHERE images.user_id = ",
            $user,
            "), 0) + COALESCE((SELECT SUM(size_bytes) FROM audios WHERE audios.user_id = ",
            $user,
            "), 0) AS BIGINT)"
        )
    };
}
macro_rules! true_reserved {
    ($user:literal) => {
        concat!(
            "CAST(COALESCE((SELECT SUM(object_intents.reserved_bytes) FROM object_intents WHERE object_intents.user_id = ",
            $user,
            " AND object_intents.reserved_bytes > 0), 0) AS BIGINT)"
        )
    };
}

const COUNT: &str =
    concat!("SELECT $1 AS user_id, ", true_used!("$1"), " AS used_bytes, ", true_reserved!("$1"), " AS reserved_bytes");

const REBUILD: &str = concat!(
    "UPDATE user_usage SET used_bytes = ",
    true_used!("$1"),
    ", reserved_bytes = ",
    true_reserved!("$1"),
    " WHERE user_id = $1"
);

const COMPARE: &str = concat!(
    "SELECT user_id, used_bytes, reserved_bytes, ",
    true_used!("user_usage.user_id"),
    " AS true_used_bytes, ",
    true_reserved!("user_usage.user_id"),
    " AS true_reserved_bytes FROM user_usage"
);

impl UsageRepo {
    /// The counter of a user, if there is one. It is not locked.
    pub async fn get(conn: &mut Connection<'_>, user: UserId) -> Result<Option<UserUsage>> {
        Ok(query!(conn, async |db| {
            user_usage::table.find(user).select(UserUsage::as_select()).first(db).await.optional()
        })?)
    }

    /// What a counter should say, added up. Takes time where a user has many rows.
    pub async fn count(conn: &mut Connection<'_>, user: UserId) -> Result<UserUsage> {
        Ok(query!(conn, async |db| diesel::sql_query(COUNT).bind::<sql::Uuid, _>(user).get_result(db).await)?)
    }

    /// At most `limit` counters in the order of their users, after `after`, each beside what it should say. One statement,
    /// and so one instant: what is changed together is seen together.
    pub async fn compare(conn: &mut Connection<'_>, after: Option<UserId>, limit: i64) -> Result<Vec<UsageComparison>> {
        if let Some(after) = after {
            let text = format!("{COMPARE} WHERE user_id > $1 ORDER BY user_id LIMIT $2");
            return Ok(query!(conn, async |db| {
                diesel::sql_query(&text).bind::<sql::Uuid, _>(after).bind::<BigInt, _>(limit).get_results(db).await
            })?);
        }
        let text = format!("{COMPARE} ORDER BY user_id LIMIT $1");
        Ok(query!(conn, async |db| diesel::sql_query(&text).bind::<BigInt, _>(limit).get_results(db).await)?)
    }

    /// Locks the counter of a user until the transaction ends, and builds it from the truth if there is none. In a
    /// transaction, and before it touches anything that is counted.
    pub async fn lock(conn: &mut Connection<'_>, user: UserId) -> Result<UserUsage> {
        loop {
            if let Some(usage) = Self::locked(conn, user).await? {
                return Ok(usage);
            }
            let created = query!(conn, async |db| {
                diesel::insert_into(user_usage::table)
                    .values((dsl::user_id.eq(user), dsl::used_bytes.eq(0), dsl::reserved_bytes.eq(0)))
                    .on_conflict_do_nothing()
                    .execute(db)
                    .await
            })?;
            if created == 1 {
                // A statement of its own, so that it sees what was committed while the first one waited. Whoever changes
                // what is counted from now on waits for this transaction.
                Self::rebuild(conn, user).await?;
            }
        }
    }

    async fn locked(conn: &mut Connection<'_>, user: UserId) -> Result<Option<UserUsage>> {
        Ok(match conn.backend() {
            Backend::Postgres(db) => {
                user_usage::table.find(user).select(UserUsage::as_select()).for_update().first(db).await.optional()?
            }
            // The transaction has the only writer.
            Backend::Sqlite(db) => {
                user_usage::table.find(user).select(UserUsage::as_select()).first(db).await.optional()?
            }
        })
    }

    /// Sets a counter that is locked to what it should say.
    async fn rebuild(conn: &mut Connection<'_>, user: UserId) -> Result<()> {
        query!(conn, async |db| diesel::sql_query(REBUILD).bind::<sql::Uuid, _>(user).execute(db).await)?;
        Ok(())
    }

    /// Adds `bytes` to what is reserved, if they fit into `limit` beside all that the user has. Before the intent that
    /// holds them is written, in its transaction.
    pub async fn reserve(
        conn: &mut Connection<'_>,
        user: UserId,
        bytes: i64,
        limit: Option<i64>,
    ) -> Result<Reservation> {
        let limit = limit.unwrap_or(i64::MAX);
        // So much may be there already.
        let most = limit.saturating_sub(bytes);
        loop {
            let reserved = query!(conn, async |db| {
                diesel::update(user_usage::table.find(user))
                    .filter((dsl::used_bytes + dsl::reserved_bytes).le(most))
                    .set(dsl::reserved_bytes.eq(dsl::reserved_bytes + bytes))
                    .execute(db)
                    .await
            })?;
            if reserved == 1 {
                return Ok(Reservation::Made);
            }
            let usage = Self::lock(conn, user).await?;
            if usage.total() > most {
                return Ok(Reservation::Exceeded(usage));
            }
            // Built just now, or somebody has made room: as it is locked, the bytes fit this time.
        }
    }

    /// Adds to a counter, or takes from it, after what it counts was changed. A counter that would fall below 0 was wrong,
    /// and is built anew.
    pub async fn shift(conn: &mut Connection<'_>, user: UserId, used_bytes: i64, reserved_bytes: i64) -> Result<()> {
        let shifted = query!(conn, async |db| {
            diesel::update(user_usage::table.find(user))
                .filter((dsl::used_bytes + used_bytes).ge(0).and((dsl::reserved_bytes + reserved_bytes).ge(0)))
                .set((
                    dsl::used_bytes.eq(dsl::used_bytes + used_bytes),
                    dsl::reserved_bytes.eq(dsl::reserved_bytes + reserved_bytes),
                ))
                .execute(db)
                .await
        })?;
        if shifted == 0 {
            let was = Self::lock(conn, user).await?;
            Self::rebuild(conn, user).await?;
            tracing::debug!(user.id = %user, was.used_bytes, was.reserved_bytes, "usage counted anew");
        }
        Ok(())
    }

    /// Counts a user anew. Whether the counter was wrong. In a transaction; the user's uploads wait until it ends.
    pub async fn recount(conn: &mut Connection<'_>, user: UserId) -> Result<bool> {
        let was = Self::lock(conn, user).await?;
        Self::rebuild(conn, user).await?;
        Ok(Self::get(conn, user).await? != Some(was))
    }

    /// Forgets the counter of a user who has nothing.
    pub async fn forget(conn: &mut Connection<'_>, user: UserId) -> Result<bool> {
        let forgotten = query!(conn, async |db| {
            diesel::delete(user_usage::table.find(user))
                .filter(dsl::used_bytes.eq(0).and(dsl::reserved_bytes.eq(0)))
                .execute(db)
                .await
        })?;
        Ok(forgotten == 1)
    }
}
