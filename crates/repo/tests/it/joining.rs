//! A sibling joins with its own connection and its own tables.

use diesel::SqliteConnection;
use diesel::prelude::*;
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use object_store_models::{ImageId, UserId, sql};
use object_store_repo::{Connection, Engine, ImageRepo, RepoError, query};

use crate::support::{TestDatabase, has_image, image, key, write};

diesel::table! {
    use diesel::sql_types::{Nullable, Text};
    use super::sql::Uuid;

    albums (title) {
        title -> Text,
        cover -> Uuid,
        owner -> Nullable<Uuid>,
    }
}

#[derive(Debug, PartialEq, Insertable, Queryable)]
#[diesel(table_name = albums, treat_none_as_default_value = false)]
struct Album {
    title: String,
    cover: ImageId,
    owner: Option<UserId>,
}

const CREATE_POSTGRES: &str = "CREATE TABLE albums (title text PRIMARY KEY, cover uuid NOT NULL, owner uuid)";
const CREATE_SQLITE: &str = "CREATE TABLE albums (title TEXT PRIMARY KEY, cover BLOB NOT NULL, owner BLOB)";

on_both_backends!(migrated: a_siblings_row_and_the_image_are_one_fact);

async fn a_siblings_row_and_the_image_are_one_fact(test: TestDatabase) {
    write(&test.db, async |conn| {
        let create = match conn.engine() {
            Engine::Postgres => CREATE_POSTGRES,
            Engine::Sqlite => CREATE_SQLITE,
        };
        Ok(query!(conn, async |db| db.batch_execute(create).await)?)
    })
    .await;
    let key = key();
    let new = image(&key, None);
    let album = Album { title: "Ægean".to_owned(), cover: new.id, owner: None };
    let save = async |conn: &mut Connection<'_>| -> Result<(), RepoError> {
        query!(conn, async |db| diesel::insert_into(albums::table).values(&album).execute(db).await)?;
        ImageRepo::create(conn, &new).await?;
        Ok(())
    };

    let refused: Result<(), RepoError> = test
        .db
        .transaction(async |conn| {
            save(conn).await?;
            Err(RepoError::UnsupportedUrl)
        })
        .await;
    assert!(refused.is_err());
    assert!(!has_image(&test.db, new.id).await);

    write(&test.db, async |conn| save(conn).await).await;
    assert!(has_image(&test.db, new.id).await);
    let mut conn = test.db.reader().await.unwrap();
    let found: Vec<Album> = query!(conn, async |db| albums::table.load(db).await).unwrap();
    assert_eq!(found, [album]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callers_postgres_connection_joins_its_transaction() {
    let test = TestDatabase::postgres().migrated().await;
    let mut own = AsyncPgConnection::establish(&test.config.url).await.unwrap();
    let key = key();
    let new = image(&key, None);

    let refused: Result<(), RepoError> = own
        .transaction(async |own| {
            ImageRepo::create(&mut Connection::from(&mut *own), &new).await?;
            Err(RepoError::UnsupportedUrl)
        })
        .await;
    assert!(matches!(refused, Err(RepoError::UnsupportedUrl)));
    assert!(!has_image(&test.db, new.id).await);

    own.transaction(async |own| ImageRepo::create(&mut own.into(), &new).await).await.unwrap();
    assert!(has_image(&test.db, new.id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callers_postgres_connection_needs_the_schema_on_its_path() {
    let test = TestDatabase::postgres();
    let config = object_store_repo::DatabaseConfig { schema: "media".to_owned(), ..test.config.clone() };
    let db = object_store_repo::Database::open(&config).unwrap();
    db.migrate().await.unwrap();
    let mut own = AsyncPgConnection::establish(&test.config.url).await.unwrap();
    let (key, other) = (key(), key());

    let error = ImageRepo::create(&mut Connection::from(&mut own), &image(&key, None)).await.unwrap_err();
    assert!(matches!(error, RepoError::MigrationsPending { .. }), "{error:?}");
    assert!(error.to_string().contains("search_path"), "{error}");

    own.batch_execute("SET search_path TO public, media").await.unwrap();
    let stored = ImageRepo::create(&mut Connection::from(&mut own), &image(&other, None)).await.unwrap();
    assert!(has_image(&db, stored.id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callers_sqlite_connection_joins_its_transaction() {
    type Own = SyncConnectionWrapper<SqliteConnection>;
    let test = TestDatabase::sqlite().migrated().await;
    let mut own = Own::establish(test.config.url.strip_prefix("sqlite:").unwrap()).await.unwrap();
    let key = key();
    let new = image(&key, None);

    for (end, stored) in [("ROLLBACK", false), ("COMMIT", true)] {
        own.batch_execute("BEGIN IMMEDIATE").await.unwrap();
        ImageRepo::create(&mut Connection::from(&mut own), &new).await.unwrap();
        own.batch_execute(end).await.unwrap();
        assert_eq!(has_image(&test.db, new.id).await, stored);
    }
}
