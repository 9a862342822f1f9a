//! Rows of `user_usage`.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel::sqlite::Sqlite;

use crate::schema::user_usage;
use crate::{UserId, sql};

/// How many bytes a user has. In the table it is a counter, beside it the truth that the counter stands for: the same
/// numbers, added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Queryable, QueryableByName, Selectable)]
#[diesel(table_name = user_usage, check_for_backend(Pg, Sqlite))]
pub struct UserUsage {
    /// Whose they are.
    #[diesel(sql_type = sql::Uuid)]
    pub user_id: UserId,
    /// Of finished media: the sum of `size_bytes`.
    #[diesel(sql_type = BigInt)]
    pub used_bytes: i64,
    /// Of intents: the sum of `reserved_bytes`.
    #[diesel(sql_type = BigInt)]
    pub reserved_bytes: i64,
}

impl UserUsage {
    /// Both together, which a quota limits.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.used_bytes.saturating_add(self.reserved_bytes)
    }
}
