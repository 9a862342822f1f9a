//! The schema, by its catalogue.

use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use diesel_async::RunQueryDsl;
use object_store_models::schema::{audios, idempotency_keys, images, object_intents, orphan_candidates, user_usage};
use object_store_repo::{Database, DatabaseConfig, Engine, ImageRepo, MigrationStatus, RepoError, query};

use crate::support::{TestDatabase, has_image, image, key, store_image};

on_both_backends!(empty:
    migrations_go_up_and_down_and_up,
    processes_migrate_at_the_same_time,
    the_status_changes_nothing,
    a_version_is_told,
);

const NAMES: [&str; 5] = [
    "2026-01-01-000000_objects",
    "2026-01-02-000000_idempotency_keys",
    "2026-01-03-000000_orphan_candidates",
    "2026-01-04-000000_quota",
    "2026-01-05-000000_intents_of_users",
];

/// As they are reverted.
fn newest_first() -> Vec<&'static str> {
    NAMES.into_iter().rev().collect()
}

async fn migrations_go_up_and_down_and_up(test: TestDatabase) {
    let status = async |applied| {
        let expected = NAMES.map(|name| MigrationStatus { name: name.to_owned(), applied });
        assert_eq!(test.db.migration_status().await.unwrap(), expected);
    };
    status(false).await;
    assert_eq!(test.db.migrate().await.unwrap(), NAMES);
    status(true).await;
    // One at a time, too.
    assert_eq!(test.db.revert(1).await.unwrap(), [NAMES[4]]);
    assert_eq!(test.db.migrate().await.unwrap(), [NAMES[4]]);
    assert!(test.db.migrate().await.unwrap().is_empty(), "there is nothing left to do");
    let before = catalogue(&test.db).await;

    assert_eq!(test.db.revert(9).await.unwrap(), newest_first());
    status(false).await;
    assert!(catalogue(&test.db).await.is_empty());
    assert!(test.db.revert(1).await.unwrap().is_empty());

    assert_eq!(test.db.migrate().await.unwrap(), NAMES);
    assert_eq!(catalogue(&test.db).await, before);
    let key = key();
    store_image(&test.db, &image(&key, None)).await.unwrap();
    test.assert_at_rest().await;
}

async fn processes_migrate_at_the_same_time(test: TestDatabase) {
    let migrations: Vec<_> = (0..6)
        .map(|_| {
            let db = Database::open(&test.config).unwrap();
            tokio::spawn(async move { db.migrate().await.unwrap().len() })
        })
        .collect();
    let mut applied = 0;
    for migration in migrations {
        applied += migration.await.unwrap();
    }
    assert_eq!(applied, NAMES.len());
}

async fn the_status_changes_nothing(test: TestDatabase) {
    test.db.migration_status().await.unwrap();
    let mut conn = test.db.reader().await.unwrap();
    let bookkeeping: Result<usize, _> =
        query!(conn, async |db| diesel::sql_query("SELECT * FROM __diesel_schema_migrations").execute(db).await);
    assert!(matches!(bookkeeping.map_err(RepoError::from), Err(RepoError::MigrationsPending { .. })));
}

async fn a_version_is_told(test: TestDatabase) {
    let version = test.db.server_version().await.unwrap();
    let (engine, number) = version.split_once(' ').unwrap();
    assert_eq!(engine, test.db.engine().to_string());
    assert!(number.split('.').all(|part| part.parse::<u32>().is_ok()), "{version}");
}

#[derive(Debug, Clone, PartialEq, QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    of_table: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Bool)]
    is_nullable: bool,
}

const POSTGRES_COLUMNS: &str = "
    SELECT table_name::text AS of_table, column_name::text AS name, is_nullable = 'YES' AS is_nullable
    FROM information_schema.columns
    WHERE table_schema = current_schema() AND table_name <> '__diesel_schema_migrations'
    ORDER BY table_name, ordinal_position";
const SQLITE_COLUMNS: &str = r#"
    SELECT tables.name AS of_table, columns.name AS name, NOT columns."notnull" AS is_nullable
    FROM sqlite_schema AS tables, pragma_table_info(tables.name) AS columns
    WHERE tables.type = 'table' AND tables.name NOT IN ('__diesel_schema_migrations')
    ORDER BY tables.name, columns.cid"#;

async fn catalogue(db: &Database) -> Vec<Column> {
    let sql = match db.engine() {
        Engine::Postgres => POSTGRES_COLUMNS,
        Engine::Sqlite => SQLITE_COLUMNS,
    };
    let mut conn = db.reader().await.unwrap();
    query!(conn, async |db| diesel::sql_query(sql).load(db).await).unwrap()
}

#[derive(QueryableByName)]
struct Index {
    #[diesel(sql_type = Text)]
    name: String,
}

async fn indexes(db: &Database) -> Vec<String> {
    let sql = match db.engine() {
        Engine::Postgres => {
            // Those that no constraint has made.
            "SELECT c.relname::text COLLATE \"C\" AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
             WHERE c.relnamespace = current_schema()::regnamespace AND NOT EXISTS \
             (SELECT FROM pg_constraint k WHERE k.conindid = c.oid AND k.contype IN ('p', 'u')) ORDER BY name"
        }
        Engine::Sqlite => "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY name",
    };
    let mut conn = db.reader().await.unwrap();
    let indexes: Vec<Index> = query!(conn, async |db| diesel::sql_query(sql).load(db).await).unwrap();
    indexes.into_iter().map(|index| index.name).collect()
}

/// The names in `table!`, in its order.
fn declared<Q: diesel::query_builder::QueryFragment<diesel::pg::Pg>>(table: &str, query: &Q) -> Vec<(String, String)> {
    let sql = diesel::debug_query::<diesel::pg::Pg, _>(query).to_string();
    let (columns, _) = sql.strip_prefix("SELECT ").unwrap().split_once(" FROM ").unwrap();
    let name = |column: &str| column.rsplit('.').next().unwrap().trim_matches('"').to_owned();
    columns.split(", ").map(|column| (table.to_owned(), name(column))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_databases_have_the_columns_and_indexes_of_the_models() {
    let sqlite = TestDatabase::sqlite().migrated().await;
    let postgres = TestDatabase::postgres().migrated().await;
    let columns = catalogue(&sqlite.db).await;
    assert_eq!(columns, catalogue(&postgres.db).await);

    let names: Vec<_> = columns.into_iter().map(|column| (column.of_table, column.name)).collect();
    let expected = [
        declared("audios", &audios::table.select(audios::all_columns)),
        declared("idempotency_keys", &idempotency_keys::table.select(idempotency_keys::all_columns)),
        declared("images", &images::table.select(images::all_columns)),
        declared("object_intents", &object_intents::table.select(object_intents::all_columns)),
        declared("orphan_candidates", &orphan_candidates::table.select(orphan_candidates::all_columns)),
        declared("user_usage", &user_usage::table.select(user_usage::all_columns)),
    ]
    .concat();
    assert_eq!(names, expected);

    let found = indexes(&sqlite.db).await;
    assert_eq!(found, indexes(&postgres.db).await);
    let expected = [
        "audios_user_id_id",
        "idempotency_keys_expires_at",
        "idempotency_keys_ownerless_idempotency_key",
        "idempotency_keys_user_id_idempotency_key",
        "images_user_id_id",
        "object_intents_not_before",
        "object_intents_user_id_reserving",
        "object_intents_user_id_s3_key",
    ];
    assert_eq!(found, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_in_one_postgres_database_do_not_see_each_other() {
    let test = TestDatabase::postgres();
    let open =
        |schema: &str| Database::open(&DatabaseConfig { schema: schema.to_owned(), ..test.config.clone() }).unwrap();
    let (first, second) = (open("First"), open("second"));
    assert_eq!(first.migrate().await.unwrap(), NAMES);
    assert!(!second.migration_status().await.unwrap()[0].applied);
    assert_eq!(second.migrate().await.unwrap(), NAMES);
    let key = key();
    let stored = store_image(&first, &image(&key, None)).await.unwrap();
    assert!(!has_image(&second, stored.id).await);
    second.revert(9).await.unwrap();
    assert!(has_image(&first, stored.id).await);
    let missing = ImageRepo::exists(&mut second.reader().await.unwrap(), stored.id).await;
    assert!(matches!(missing, Err(RepoError::MigrationsPending { .. })), "{missing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_migration_finishes_or_leaves_nothing() {
    for test in [TestDatabase::sqlite(), TestDatabase::postgres()] {
        for micros in [0, 500, 2_000, 5_000, 10_000, 20_000] {
            let limit = std::time::Duration::from_micros(micros);
            let _ = tokio::time::timeout(limit, test.db.migrate()).await;
            assert_eq!(test.db.pool_status().in_use, 0);
        }
        test.db.migrate().await.unwrap();
        assert!(test.db.migration_status().await.unwrap().iter().all(|migration| migration.applied));
        assert_eq!(test.db.revert(9).await.unwrap(), newest_first());
    }
}
