//! Databases that are not there, not ours or not ready.

use std::error::Error;
use std::time::{Duration, Instant};

use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use object_store_devkit::postgres::TempPostgres;
use object_store_models::{ImageId, IntentPurpose};
use object_store_repo::{Database, DatabaseConfig, Deadlines, ImageRepo, IntentRepo, Owner, RepoError, Result};

use crate::support::{TestDatabase, image, intent, key, store_image};

on_both_backends!(empty: migrations_that_were_not_run_are_named);

async fn migrations_that_were_not_run_are_named(test: TestDatabase) {
    let key = key();
    let deadlines = Deadlines { not_before_in: Duration::ZERO, clears_in: Duration::ZERO };
    let mut conn = test.db.reader().await.unwrap();
    for outcome in [
        ImageRepo::get(&mut conn, ImageId::new()).await.map(drop),
        ImageRepo::list(&mut conn, Owner::Anyone, None, 1).await.map(drop),
        IntentRepo::count(&mut conn).await.map(drop),
    ] {
        assert_pending(outcome);
    }
    drop(conn);
    assert_pending(store_image(&test.db, &image(&key, None)).await.map(drop));
    let created: Result<_> = test
        .db
        .transaction(async |conn| IntentRepo::create(conn, &intent(&key, IntentPurpose::Upload), deadlines).await)
        .await;
    assert_pending(created.map(drop));
    test.assert_at_rest().await;
}

fn assert_pending(outcome: Result<()>) {
    let Err(error @ RepoError::MigrationsPending { .. }) = outcome else { panic!("{outcome:?}") };
    assert!(error.to_string().contains("run its migrations"), "{error}");
    assert!(!error.is_retryable());
}

async fn refused(url: &str) -> RepoError {
    let config = DatabaseConfig { acquire_timeout: Duration::from_secs(5), ..DatabaseConfig::new(url) };
    let error = match Database::open(&config) {
        Ok(db) => db.reader().await.err().unwrap_or_else(|| panic!("{url} was accepted")),
        Err(error) => error,
    };
    assert_no_secret(&error);
    error
}

/// Neither the error nor any of its causes shows the password that the tests use.
fn assert_no_secret(error: &RepoError) {
    let mut shown = format!("{error:?}");
    let mut source: Option<&dyn Error> = Some(error);
    while let Some(error) = source {
        shown.push_str(&error.to_string());
        source = error.source();
    }
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_server_is_unavailable_at_once() {
    let began = Instant::now();
    for url in ["postgres://u:hunter2@127.0.0.1:1/d", "postgres://u:hunter2@%2Fnone/d"] {
        let error = refused(url).await;
        assert!(matches!(error, RepoError::Unavailable { .. }) && error.is_retryable(), "{error:?}");
    }
    assert!(began.elapsed() < Duration::from_secs(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_is_unavailable_in_time() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://u:hunter2@{}/d", listener.local_addr().unwrap());
    let config = DatabaseConfig { acquire_timeout: Duration::from_millis(300), ..DatabaseConfig::new(url) };
    let error = Database::open(&config).unwrap().reader().await.err().unwrap();
    assert!(matches!(error, RepoError::Unavailable { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_database_user_or_password_is_a_matter_of_configuration() {
    // A server of its own, since its rules of access are changed.
    let server = TempPostgres::start().unwrap_or_else(|error| panic!("{error}"));
    let url = server.create_database().unwrap();
    let mut admin = AsyncPgConnection::establish(&url).await.unwrap();
    admin
        .batch_execute(
            "CREATE ROLE locked LOGIN PASSWORD 'right';
             DO $$ BEGIN
                EXECUTE format('COPY (SELECT unnest(ARRAY[%L, %L])) TO %L', 'local all locked scram-sha-256',
                    'local all all trust', current_setting('hba_file'));
             END $$;
             SELECT pg_reload_conf();",
        )
        .await
        .unwrap();
    let as_locked = |password: &str| url.replace("postgres@", &format!("locked:{password}@"));
    let (without_database, _) = url.rsplit_once('/').unwrap();

    // The server reads its rules again when it gets to it.
    let mut error = None;
    for _ in 0..50 {
        let db = Database::open(&DatabaseConfig::new(as_locked("hunter2"))).unwrap();
        error = db.reader().await.err();
        if error.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let error = error.expect("the password is wrong");
    assert_no_secret(&error);
    assert_misconfigured(&error, "user or the password");
    assert_misconfigured(&refused(&as_locked("").replace(":@", "@")).await, "log in");
    assert_misconfigured(&refused(&format!("{without_database}/none")).await, "no such database");
    assert_misconfigured(&refused(&url.replace("postgres@", "nobody:hunter2@")).await, "user or the password");
    Database::open(&DatabaseConfig::new(as_locked("right"))).unwrap().reader().await.unwrap();
}

fn assert_misconfigured(error: &RepoError, part: &str) {
    assert!(matches!(error, RepoError::Misconfigured { .. }) && !error.is_retryable(), "{error:?}");
    assert!(error.to_string().contains(part), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_sqlite_database_is_a_matter_of_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("objects.db");
    std::fs::write(&path, "not a database, but longer than the header of one: ".repeat(20)).unwrap();
    let url = format!("sqlite:{}", path.display());
    let error = Database::open(&DatabaseConfig::new(url)).unwrap().begin().await.err().unwrap();
    assert_misconfigured(&error, "SQLite file");
    let error = refused(&format!("sqlite:{}", dir.path().display())).await;
    assert_misconfigured(&error, "SQLite file");
    assert_misconfigured(&refused("sqlite:/none/objects.db").await, "/none");
}
