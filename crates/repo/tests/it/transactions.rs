//! Units of work, whatever becomes of them.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use diesel::sql_types::{BigInt, Text};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use object_store_devkit::commit_loss::{Afterwards, CommitLoss, Lost};
use object_store_models::{ImageId, IntentPurpose};
use object_store_repo::{
    Backend, Connection, Database, DatabaseConfig, Deadlines, Engine, ImageRepo, IntentRepo, Owner, RepoError, query,
};

use crate::support::{TestDatabase, has_image, image, intent, key, store_image, write};

on_both_backends!(migrated:
    a_failed_unit_of_work_leaves_nothing,
    a_dropped_transaction_leaves_nothing,
    a_future_dropped_at_any_await_leaves_no_open_transaction,
    a_reader_dropped_at_any_await_is_given_back,
    concurrent_writers_all_succeed,
    a_service_can_be_called_from_a_spawned_task,
    a_pool_without_a_free_connection_is_unavailable,
    a_statement_that_fails_is_no_end_of_the_pool,
);

async fn a_failed_unit_of_work_leaves_nothing(test: TestDatabase) {
    let key = key();
    let new = image(&key, None);
    let outcome: Result<(), RepoError> = test
        .db
        .transaction(async |conn| {
            ImageRepo::create(conn, &new).await?;
            Err(RepoError::UnsupportedUrl)
        })
        .await;
    assert!(matches!(outcome, Err(RepoError::UnsupportedUrl)));
    assert!(!has_image(&test.db, new.id).await);
    test.assert_at_rest().await;
}

async fn a_dropped_transaction_leaves_nothing(test: TestDatabase) {
    let key = key();
    let new = image(&key, None);
    for _ in 0..10 {
        let mut transaction = test.db.begin().await.unwrap();
        ImageRepo::create(&mut transaction, &new).await.unwrap();
        drop(transaction);
        assert_eq!(test.db.pool_status().in_use, 0);
        assert!(!has_image(&test.db, new.id).await);
    }
    let mut transaction = test.db.begin().await.unwrap();
    ImageRepo::create(&mut transaction, &new).await.unwrap();
    transaction.rollback().await.unwrap();
    assert!(!has_image(&test.db, new.id).await);
    let mut transaction = test.db.begin().await.unwrap();
    ImageRepo::create(&mut transaction, &new).await.unwrap();
    transaction.commit().await.unwrap();
    assert!(has_image(&test.db, new.id).await);
    test.assert_at_rest().await;
}

/// Polls a future until it has answered `Pending` `suspensions` times, then drops it; `None` if so.
async fn dropped_after<F: Future>(suspensions: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = suspensions;
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

async fn a_future_dropped_at_any_await_leaves_no_open_transaction(test: TestDatabase) {
    // Looks from outside, since a pool mends a broken connection when it next takes it.
    let observer = Database::open(&test.config).unwrap();
    // With connections that are open, and with a new pool each time, so that connecting is cut off too.
    let warm = cut_off_everywhere(&observer, async || {
        test.db.begin().await.unwrap().commit().await.unwrap();
        test.db.clone()
    });
    let warm = warm.await;
    let cold = cut_off_everywhere(&observer, async || Database::open(&test.config).unwrap()).await;
    // SQLite's thread is sometimes ready before it is asked, so that fewer places are left.
    let least = match test.db.engine() {
        Engine::Postgres => 5,
        Engine::Sqlite => 1,
    };
    assert!(warm >= least && cold >= least, "cut off at only {warm} and {cold} places");
    test.assert_at_rest().await;
}

/// Cuts a unit of work off at its first suspension, at its second, and so on until it gets through; returns how often.
async fn cut_off_everywhere(observer: &Database, open: impl AsyncFn() -> Database) -> usize {
    let deadlines = Deadlines { not_before_in: Duration::ZERO, clears_in: Duration::ZERO };
    for suspensions in 0.. {
        let key = key();
        let new = image(&key, None);
        let db = open().await;
        let work = db.transaction(async |conn| {
            IntentRepo::create(conn, &intent(&key, IntentPurpose::Upload), deadlines).await?;
            ImageRepo::create(conn, &new).await?;
            IntentRepo::consume_upload(conn, &key, 1).await
        });
        let outcome = Box::pin(dropped_after(suspensions, work)).await;

        assert_eq!(db.pool_status().in_use, 0, "after {suspensions} suspensions");
        assert_no_open_transaction(observer).await;
        let mut conn = observer.reader().await.unwrap();
        assert_eq!(IntentRepo::get(&mut conn, &key).await.unwrap(), None, "all or nothing");
        drop(conn);
        if let Some(outcome) = outcome {
            assert!(outcome.unwrap());
            assert!(has_image(observer, new.id).await);
            return suspensions;
        }
    }
    unreachable!("the work gets through at last");
}

/// A write goes through at once, and PostgreSQL knows of no session that is in a transaction.
async fn assert_no_open_transaction(observer: &Database) {
    let key = key();
    let new = image(&key, None);
    write(observer, async |conn| {
        ImageRepo::create(conn, &new).await?;
        ImageRepo::delete(conn, new.id).await
    })
    .await;
    let mut conn = observer.reader().await.unwrap();
    let Backend::Postgres(conn) = conn.backend() else { return };
    for _ in 0..200 {
        let open: i64 = diesel::select(diesel::dsl::sql::<BigInt>(
            "(SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
             AND state <> 'idle')",
        ))
        .get_result(conn)
        .await
        .unwrap();
        if open == 0 {
            return;
        }
        // The server notices a closed socket when it next reads from it.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("a session is still in a transaction");
}

async fn a_reader_dropped_at_any_await_is_given_back(test: TestDatabase) {
    // A query may be answered before it is asked about; then there is nothing to drop in that round.
    let mut drops = 0;
    for _ in 0..20 {
        for suspensions in 0.. {
            let work = async {
                let mut conn = test.db.reader().await?;
                ImageRepo::list(&mut conn, Owner::Anyone, None, 10).await
            };
            let outcome = dropped_after(suspensions, work).await;
            assert_eq!(test.db.pool_status().in_use, 0);
            if let Some(outcome) = outcome {
                assert_eq!(outcome.unwrap(), []);
                break;
            }
            drops += 1;
        }
    }
    assert!(drops > 0);
    test.assert_at_rest().await;
}

async fn concurrent_writers_all_succeed(test: TestDatabase) {
    let writers: Vec<_> = (0..16)
        .map(|_| {
            // As many processes would: each has its own connections.
            let db = Database::open(&test.config).unwrap();
            tokio::spawn(async move {
                for _ in 0..5 {
                    let key = key();
                    let new = image(&key, None);
                    // Reads first, which a deferred transaction on SQLite would not survive.
                    write(&db, async |conn| {
                        ImageRepo::count(conn, Owner::Anyone).await?;
                        ImageRepo::create(conn, &new).await
                    })
                    .await;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let mut conn = test.db.reader().await.unwrap();
    assert_eq!(ImageRepo::count(&mut conn, Owner::Anyone).await.unwrap(), 80);
}

/// What a service looks like: its unit of work borrows from it and from its arguments.
struct Service {
    db: Database,
}

impl Service {
    async fn store(&self, key: &str) -> Result<ImageId, RepoError> {
        let new = image(key, None);
        self.db
            .transaction(async |conn| {
                let stored = self.insert(conn, &new).await?;
                ImageRepo::get(conn, stored).await
            })
            .await
            .map(|image| image.unwrap().id)
    }

    async fn insert(
        &self,
        conn: &mut Connection<'_>,
        new: &object_store_models::NewImage<'_>,
    ) -> Result<ImageId, RepoError> {
        Ok(ImageRepo::create(conn, new).await?.id)
    }
}

async fn a_service_can_be_called_from_a_spawned_task(test: TestDatabase) {
    let service = Service { db: test.db.clone() };
    let id = tokio::spawn(async move { service.store(&key()).await }).await.unwrap().unwrap();
    assert!(has_image(&test.db, id).await);
}

async fn a_pool_without_a_free_connection_is_unavailable(test: TestDatabase) {
    let config = DatabaseConfig { max_connections: 1, acquire_timeout: Duration::from_secs(2), ..test.config.clone() };
    let db = Database::open(&config).unwrap();
    let transaction = db.begin().await.unwrap();
    let error = db.begin().await.err().unwrap();
    assert!(matches!(error, RepoError::Unavailable { .. }) && error.is_retryable(), "{error:?}");
    transaction.commit().await.unwrap();
    db.begin().await.unwrap().rollback().await.unwrap();
}

async fn a_statement_that_fails_is_no_end_of_the_pool(test: TestDatabase) {
    for _ in 0..10 {
        let outcome: Result<usize, RepoError> = test
            .db
            .transaction(async |conn| Ok(query!(conn, async |db| diesel::sql_query("SELEC 1").execute(db).await)?))
            .await;
        assert!(matches!(outcome, Err(RepoError::Query { .. })), "{outcome:?}");
    }
    test.assert_at_rest().await;
}

/// PostgreSQL would answer such a commit with success, and roll back.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_after_a_failed_statement_is_an_error_on_postgres() {
    let test = TestDatabase::postgres().migrated().await;
    let key = key();
    let new = image(&key, None);
    let outcome: Result<(), RepoError> = test
        .db
        .transaction(async |conn| {
            ImageRepo::create(conn, &new).await?;
            let again = ImageRepo::create(conn, &new).await;
            assert!(matches!(again, Err(RepoError::Conflict { .. })));
            Ok(())
        })
        .await;
    assert!(matches!(outcome, Err(RepoError::Aborted { .. })), "{outcome:?}");
    assert!(!has_image(&test.db, new.id).await);
    test.assert_at_rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_session_is_unavailable_and_replaced() {
    let test = TestDatabase::postgres().migrated().await;
    let kill = async |pid: i32| {
        let mut conn = test.db.reader().await.unwrap();
        let Backend::Postgres(conn) = conn.backend() else { unreachable!() };
        conn.batch_execute(&format!("SELECT pg_terminate_backend({pid}, 5000)")).await.unwrap();
    };
    let pid = async |conn: &mut Connection<'_>| -> i32 {
        query!(conn, async |db| {
            diesel::select(diesel::dsl::sql::<diesel::sql_types::Integer>("pg_backend_pid()")).get_result(db).await
        })
        .unwrap()
    };

    let mut transaction = test.db.begin().await.unwrap();
    kill(pid(&mut transaction).await).await;
    let error = transaction.commit().await.unwrap_err();
    assert!(matches!(error, RepoError::Unavailable { .. }), "nothing was committed: {error:?}");

    let mut idle = test.db.reader().await.unwrap();
    let idle_pid = pid(&mut idle).await;
    drop(idle);
    let other = Database::open(&test.config).unwrap();
    let mut conn = other.reader().await.unwrap();
    query!(conn, async |db| {
        diesel::sql_query("SELECT pg_terminate_backend($1, 5000)")
            .bind::<diesel::sql_types::Integer, _>(idle_pid)
            .execute(db)
            .await
    })
    .ok();
    drop(conn);
    test.assert_at_rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_on_postgres_ends_in_time() {
    let test = TestDatabase::postgres();
    let config = DatabaseConfig { statement_timeout: Some(Duration::from_millis(100)), ..test.config.clone() };
    let db = Database::open(&config).unwrap();
    let slept: Result<(), RepoError> = db
        .transaction(async |conn| {
            query!(conn, async |db| diesel::sql_query("SELECT pg_sleep(60)").execute(db).await)?;
            Ok(())
        })
        .await;
    assert!(matches!(slept, Err(RepoError::Unavailable { .. })), "{slept:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_keeps_what_it_has_committed() {
    let test = TestDatabase::sqlite().migrated().await;
    let mut transaction = test.db.begin().await.unwrap();
    let pragma = async |conn: &mut Connection<'_>, sql: &'static str| -> String {
        query!(conn, async |db| diesel::select(diesel::dsl::sql::<Text>(sql)).get_result(db).await).unwrap()
    };
    assert_eq!(pragma(&mut transaction, "(SELECT journal_mode FROM pragma_journal_mode)").await, "wal");
    assert_eq!(pragma(&mut transaction, "CAST((SELECT synchronous FROM pragma_synchronous) AS TEXT)").await, "2");
    assert_eq!(pragma(&mut transaction, "CAST((SELECT foreign_keys FROM pragma_foreign_keys) AS TEXT)").await, "1");
    transaction.commit().await.unwrap();
    assert_eq!(test.db.engine(), Engine::Sqlite);
    let key = key();
    store_image(&test.db, &image(&key, None)).await.unwrap();
    // A reader writes nothing.
    let mut reader = test.db.reader().await.unwrap();
    let refused = ImageRepo::create(&mut reader, &image(&key, None)).await;
    assert!(refused.is_err());
}

/// Whatever became of it, a lost commit is told apart from one that surely failed.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_reply_is_lost_is_unknown() {
    for (lost, stored) in [(Lost::Commit, false), (Lost::Reply, true)] {
        let test = TestDatabase::postgres().migrated().await;
        let proxy = CommitLoss::start(&test.config.url, lost, Afterwards::Serve).await.unwrap();
        let url = proxy.url().to_owned();
        let db = Database::open(&DatabaseConfig { url, ..test.config.clone() }).unwrap();
        let key = key();
        let new = image(&key, None);

        let error = store_image(&db, &new).await.unwrap_err();
        assert!(matches!(error, RepoError::CommitUnknown { .. }), "{error:?}");
        assert!(!error.is_retryable());
        assert_eq!(db.pool_status().in_use, 0);
        assert_eq!(has_image(&test.db, new.id).await, stored);
    }
}
