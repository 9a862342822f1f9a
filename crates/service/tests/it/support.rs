use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use object_store_devkit::faults::FaultyStorage;
use object_store_devkit::postgres::TempPostgres;
use object_store_models::{ObjectIntent, UserId};
use object_store_repo::{AudioRepo, Backend, Database, DatabaseConfig, Engine, ImageRepo, IntentRepo, Owner, query};
use object_store_service::{Actor, ObjectStoreService, Quota, Settings, UploadBody};
use object_store_storage::{ByteStream, Memory, ObjectStorage};
use tempfile::TempDir;

/// A service on a database of its own, and storage that can be looked into and made to fail.
pub(crate) struct World {
    pub(crate) service: ObjectStoreService,
    pub(crate) url: String,
    pub(crate) database: Database,
    pub(crate) memory: Memory,
    pub(crate) storage: Arc<FaultyStorage>,
    settings: Settings,
    _keep: Box<dyn Send + Sync>,
}

/// Makes each scenario a test on SQLite and one on PostgreSQL.
macro_rules! on_both_databases {
    ($($scenario:ident)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $scenario() {
                super::$scenario($crate::support::World::sqlite().await).await;
            })*
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $scenario() {
                super::$scenario($crate::support::World::postgres().await).await;
            })*
        }
    };
}
pub(crate) use on_both_databases;

impl World {
    pub(crate) async fn sqlite() -> Self {
        let directory = TempDir::new().unwrap();
        let url = format!("sqlite:{}", directory.path().join("objects.db").display());
        Self::new(&url, Settings::default(), Box::new(directory)).await
    }

    pub(crate) async fn postgres() -> Self {
        let server = TempPostgres::shared().unwrap();
        let url = server.create_database().unwrap();
        Self::new(&url, Settings::default(), Box::new(server)).await
    }

    async fn new(url: &str, settings: Settings, keep: Box<dyn Send + Sync>) -> Self {
        let database = Database::open(&DatabaseConfig::new(url)).unwrap();
        database.migrate().await.unwrap();
        let memory = Memory::new();
        let storage = Arc::new(FaultyStorage::new(Arc::new(memory.clone())).suspending());
        let service = ObjectStoreService::new(database.clone(), storage.clone(), settings.clone());
        Self { service, url: url.to_owned(), database, memory, storage, settings, _keep: keep }
    }

    /// The same rows with other storage.
    pub(crate) fn service_on_storage(&self, storage: Arc<dyn ObjectStorage>) -> ObjectStoreService {
        ObjectStoreService::new(self.database.clone(), storage, self.settings.clone())
    }

    /// A world that counts what users have.
    pub(crate) fn counting(mut self) -> Self {
        self.settings.quota = Quota::Counted;
        self.service = self.service_on(&self.database);
        self
    }

    /// Whether it counts what users have.
    pub(crate) fn counts(&self) -> bool {
        self.settings.quota == Quota::Counted
    }

    /// The same service on other connections.
    pub(crate) fn service_on(&self, database: &Database) -> ObjectStoreService {
        ObjectStoreService::new(database.clone(), self.storage.clone(), self.settings.clone())
    }

    /// The same world, seen by a service with other settings.
    pub(crate) fn service_with(&self, change: impl FnOnce(&mut Settings)) -> ObjectStoreService {
        let mut settings = Settings::default();
        change(&mut settings);
        let storage: Arc<dyn ObjectStorage> = self.storage.clone();
        ObjectStoreService::new(self.database.clone(), storage, settings)
    }

    /// Makes every intent due, and every late write impossible.
    pub(crate) async fn let_deadlines_pass(&self) {
        // One statement over all intents can be in a circle of waiting with a transaction that takes several of them,
        // which no statement of ours does: PostgreSQL then fails one of the two.
        while let Err(error) = self.try_to_let_deadlines_pass().await {
            assert!(error.to_string().contains("deadlock"), "{error}");
        }
    }

    async fn try_to_let_deadlines_pass(&self) -> diesel::QueryResult<()> {
        let mut tx = self.database.begin().await.unwrap();
        let past = match tx.backend() {
            Backend::Postgres(_) => "now() - interval '1 second'",
            Backend::Sqlite(_) => "0",
        };
        let update = format!("UPDATE object_intents SET not_before = {past}, clears_at = {past}");
        query!(tx, async |db| {
            use diesel_async::RunQueryDsl;
            diesel::sql_query(update).execute(db).await
        })?;
        tx.commit().await.unwrap();
        Ok(())
    }

    /// How many images, audio files and intents there are, and how many objects in storage.
    pub(crate) async fn count(&self) -> Count {
        let mut conn = self.database.reader().await.unwrap();
        Count {
            images: ImageRepo::count(&mut conn, Owner::Anyone).await.unwrap(),
            audios: AudioRepo::count(&mut conn, Owner::Anyone).await.unwrap(),
            intents: IntentRepo::count(&mut conn).await.unwrap(),
            objects: self.memory.object_count(),
        }
    }

    /// Nothing anywhere, and nothing in use.
    pub(crate) async fn assert_empty(&self) {
        assert_eq!(self.count().await, Count::default());
        self.assert_at_rest();
    }

    /// Every object has its row and every row its object, once the sweep has done its work.
    pub(crate) async fn assert_consistent_after_sweep(&self) {
        self.let_deadlines_pass().await;
        loop {
            let report = self.service.sweep().await.unwrap();
            assert_eq!((report.failed, report.waiting), (0, 0), "{report:?}");
            if report.claimed == 0 {
                break;
            }
        }
        let mut keys = self.row_keys().await;
        keys.sort();
        let intents = self.intents().await;
        assert_eq!(self.memory.keys(), keys, "objects on the left, rows on the right; intents: {intents:?}");
        assert_eq!(intents, []);
        self.assert_at_rest();
    }

    /// Waits until what a dropped future has left running is over: its connections are closed, and PostgreSQL has noticed.
    /// Until then it may carry out a statement that nobody waits for.
    pub(crate) async fn settle(&self) {
        for _ in 0..20_000 {
            if self.database.pool_status().in_use == 0 && self.sessions().await == self.database.pool_status().open {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("{} sessions, {:?}", self.sessions().await, self.database.pool_status());
    }

    /// How many connections the database has; with SQLite, those of the pool.
    async fn sessions(&self) -> usize {
        if self.database.engine() == Engine::Sqlite {
            return self.database.pool_status().open;
        }
        let mut conn = self.database.reader().await.unwrap();
        let count = "SELECT count(*) AS number FROM pg_stat_activity WHERE datname = current_database() \
                     AND backend_type = 'client backend'";
        let sessions = query!(conn, async |db| {
            use diesel_async::RunQueryDsl;
            diesel::sql_query(count).get_result::<Number>(db).await
        });
        usize::try_from(sessions.unwrap().number).unwrap()
    }

    async fn intents(&self) -> Vec<ObjectIntent> {
        let mut conn = self.database.reader().await.unwrap();
        IntentRepo::list(&mut conn, None, 10_000).await.unwrap()
    }

    pub(crate) fn assert_at_rest(&self) {
        assert_eq!(self.database.pool_status().in_use, 0, "a connection is still out");
    }

    async fn row_keys(&self) -> Vec<String> {
        let mut conn = self.database.reader().await.unwrap();
        let images = ImageRepo::list(&mut conn, Owner::Anyone, None, 10_000).await.unwrap();
        let audios = AudioRepo::list(&mut conn, Owner::Anyone, None, 10_000).await.unwrap();
        images.into_iter().map(|row| row.s3_key).chain(audios.into_iter().map(|row| row.s3_key)).collect()
    }
}

/// The answer of a query that counts.
#[derive(diesel::QueryableByName)]
pub(crate) struct Number {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    pub(crate) number: i64,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) images: i64,
    pub(crate) audios: i64,
    pub(crate) intents: i64,
    pub(crate) objects: usize,
}

pub(crate) fn user(number: u128) -> UserId {
    UserId::from(uuid::Uuid::from_u128(number))
}

pub(crate) fn ann() -> Actor {
    Actor::User(user(1))
}

pub(crate) fn ben() -> Actor {
    Actor::User(user(2))
}

/// A body that arrives in small pieces, of unknown length.
pub(crate) fn dripping(bytes: &[u8]) -> UploadBody {
    UploadBody::from_stream(pieces(bytes), None)
}

pub(crate) fn pieces(bytes: &[u8]) -> ByteStream {
    let pieces: Vec<_> = bytes.chunks(64 << 10).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    futures::stream::iter(pieces).boxed()
}

/// A body that breaks off after these bytes.
pub(crate) fn breaking(bytes: &[u8]) -> UploadBody {
    let broken = futures::stream::iter([Err(io::Error::new(io::ErrorKind::ConnectionReset, "the client has gone"))]);
    UploadBody::from_stream(pieces(bytes).chain(broken).boxed(), None)
}

pub(crate) async fn read(download: object_store_storage::Download) -> Bytes {
    object_store_storage::collect(download.stream).await.unwrap()
}

/// Runs `main` until it has waited `nth` times, then the whole of `meanwhile` beside it. The second value is whether
/// `main` was still under way.
pub(crate) fn with_meanwhile<T>(
    main: impl Future<Output = T>,
    nth: usize,
    meanwhile: impl Future<Output = ()>,
) -> impl Future<Output = (T, bool)> {
    let (mut main, meanwhile) = (Box::pin(main), Box::pin(meanwhile));
    async move {
        let mut suspensions = 0;
        let finished = poll_fn(|context| match main.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => {
                suspensions += 1;
                if suspensions == nth { Poll::Ready(None) } else { Poll::Pending }
            }
        })
        .await;
        match finished {
            Some(output) => (output, false),
            None => (futures::join!(main, meanwhile).0, true),
        }
    }
}
