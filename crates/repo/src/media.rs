//! Finished media.

use diesel::dsl::exists;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use diesel_async::RunQueryDsl;
use object_store_models::schema::{audios, images};
use object_store_models::{AudioId, AudioModel, ImageId, ImageModel, NewAudio, NewImage, Sha256, UserId};

use crate::clock::database_now;
use crate::mutants::{self, Mutant};
use crate::{Connection, Result, query};

/// Whose media are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// This user's.
    User(UserId),
    /// Media that belong to nobody.
    Nobody,
    /// All media.
    Anyone,
}

impl Owner {
    fn user(self) -> Option<UserId> {
        match self {
            Self::User(user) => Some(user),
            Self::Nobody | Self::Anyone => None,
        }
    }
}

/// The statements on a table of media. Both tables have the same columns as far as these go.
macro_rules! media_repo {
    ($(#[$docs:meta])* $repo:ident, $table:ident, $id:ident, $model:ident, $new:ident) => {
        $(#[$docs])*
        #[derive(Debug, Clone, Copy)]
        pub struct $repo;

        impl $repo {
            /// Inserts a row; the database's clock says when.
            ///
            /// # Errors
            ///
            /// [`RepoError::Conflict`](crate::RepoError::Conflict) if the id or the key is taken.
            pub async fn create(conn: &mut Connection<'_>, new: &$new<'_>) -> Result<$model> {
                Ok(query!(conn, async |db| {
                    diesel::insert_into($table::table)
                        .values((new, $table::created_at.eq(database_now())))
                        .returning($model::as_returning())
                        .get_result(db)
                        .await
                })?)
            }

            /// The row with this id.
            pub async fn get(conn: &mut Connection<'_>, id: $id) -> Result<Option<$model>> {
                Ok(query!(conn, async |db| {
                    $table::table.find(id).select($model::as_select()).first(db).await.optional()
                })?)
            }

            /// Whether there is a row with this id.
            pub async fn exists(conn: &mut Connection<'_>, id: $id) -> Result<bool> {
                Ok(query!(conn, async |db| {
                    diesel::select(exists($table::table.find(id))).get_result(db).await
                })?)
            }

            /// At most `limit` rows of an owner, newest first: those older than `after`, if it is given.
            ///
            /// Going on after the last row of each page, one sees every row that exists throughout
            /// exactly once: ids are unique and never change.
            pub async fn list(
                conn: &mut Connection<'_>,
                owner: Owner,
                after: Option<$id>,
                limit: i64,
            ) -> Result<Vec<$model>> {
                Ok(query!(conn, async |db| {
                    let mut page =
                        $table::table.select($model::as_select()).order($table::id.desc()).limit(limit).into_boxed();
                    match owner {
                        Owner::User(user) => page = page.filter($table::user_id.eq(user)),
                        Owner::Nobody => page = page.filter($table::user_id.is_null()),
                        Owner::Anyone => {}
                    }
                    if let Some(after) = after.filter(|_| !mutants::is(Mutant::ListsFromTheStart)) {
                        page = if mutants::is(Mutant::ListsTheCursorAgain) {
                            page.filter($table::id.le(after))
                        } else {
                            page.filter($table::id.lt(after))
                        };
                    }
                    page.load(db).await
                })?)
            }

            /// At most `limit` rows in the order of their keys: those after `after`, up to and including
            /// `until`.
            pub async fn list_by_key(
                conn: &mut Connection<'_>,
                after: Option<&str>,
                until: Option<&str>,
                limit: i64,
            ) -> Result<Vec<$model>> {
                Ok(query!(conn, async |db| {
                    let mut page = $table::table
                        .select($model::as_select())
                        // No key is empty.
                        .filter($table::s3_key.gt(after.unwrap_or_default()))
                        .order($table::s3_key)
                        .limit(limit)
                        .into_boxed();
                    if let Some(until) = until {
                        page = page.filter($table::s3_key.le(until));
                    }
                    page.load(db).await
                })?)
            }

            /// Notes the digest of a row that has none. `false` if it has one, or is gone.
            pub async fn set_sha256(conn: &mut Connection<'_>, id: $id, sha256: Sha256) -> Result<bool> {
                let noted = query!(conn, async |db| {
                    diesel::update($table::table.find(id))
                        .filter($table::sha256.is_null())
                        .set($table::sha256.eq(sha256))
                        .execute(db)
                        .await
                })?;
                Ok(noted == 1)
            }

            /// How many rows an owner has.
            pub async fn count(conn: &mut Connection<'_>, owner: Owner) -> Result<i64> {
                Ok(query!(conn, async |db| {
                    let mut count = $table::table.count().into_boxed();
                    match owner {
                        Owner::User(user) => count = count.filter($table::user_id.eq(user)),
                        Owner::Nobody => count = count.filter($table::user_id.is_null()),
                        Owner::Anyone => {}
                    }
                    count.get_result(db).await
                })?)
            }

            /// Deletes the row with this id, whoever owns it, and returns it.
            pub async fn delete(conn: &mut Connection<'_>, id: $id) -> Result<Option<$model>> {
                Self::delete_owned(conn, id, Owner::Anyone).await
            }

            /// Deletes the row with this id if it is this owner's, and returns it.
            pub async fn delete_owned(conn: &mut Connection<'_>, id: $id, owner: Owner) -> Result<Option<$model>> {
                let anyone = owner == Owner::Anyone || mutants::is(Mutant::DeletesForeignMedia);
                let nobody = owner == Owner::Nobody;
                Ok(query!(conn, async |db| {
                    // Comparing with NULL is never true, so no user has ownerless media.
                    let is_owned = anyone
                        .into_sql::<Bool>()
                        .nullable()
                        .or($table::user_id.eq(owner.user()))
                        .or($table::user_id.is_null().and(nobody.into_sql::<Bool>()).nullable());
                    diesel::delete($table::table.find(id).filter(is_owned))
                        .returning($model::as_returning())
                        .get_result(db)
                        .await
                        .optional()
                })?)
            }
        }
    };
}

media_repo! {
    /// Statements on `images`.
    ImageRepo, images, ImageId, ImageModel, NewImage
}

media_repo! {
    /// Statements on `audios`.
    AudioRepo, audios, AudioId, AudioModel, NewAudio
}
