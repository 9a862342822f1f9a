//! A service on a real database, and storage that can be looked into, made to fail, and set forward.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;
use object_store_devkit::faults::FaultyStorage;
use object_store_devkit::postgres::TempPostgres;
use object_store_models::{AudioModel, ImageModel, MediaId, ObjectIntent, Sha256, UserId};
use object_store_repo::{AudioRepo, Backend, Database, DatabaseConfig, ImageRepo, IntentRepo, Owner, query};
use object_store_service::{ObjectStoreService, Settings};
use object_store_storage::{ListedObject, Memory, MultipartUpload, ObjectStorage};
use tempfile::TempDir;

use super::Violation;
use super::sample::Sample;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

pub(crate) struct World {
    pub(crate) service: ObjectStoreService,
    pub(crate) database: Database,
    pub(crate) memory: Memory,
    pub(crate) storage: Arc<FaultyStorage>,
    _keep: Box<dyn Send + Sync>,
}

/// What a file's row says, of either table.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) id: MediaId,
    pub(crate) user_id: Option<UserId>,
    pub(crate) key: String,
    pub(crate) size_bytes: i64,
    pub(crate) sha256: Option<Sha256>,
}

/// All that there is at one moment.
pub(crate) struct Look {
    pub(crate) rows: Vec<Row>,
    pub(crate) intents: Vec<ObjectIntent>,
    pub(crate) objects: Vec<ListedObject>,
    pub(crate) uploads: Vec<MultipartUpload>,
}

/// More than a sequence can make.
const ALL: u16 = 1_000;

#[derive(diesel::QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

impl World {
    pub(crate) async fn open(engine: Engine) -> Self {
        let (url, keep): (String, Box<dyn Send + Sync>) = match engine {
            Engine::Sqlite => {
                let directory = directory_in_memory();
                (format!("sqlite:{}", directory.path().join("objects.db").display()), Box::new(directory))
            }
            Engine::Postgres => {
                let server = TempPostgres::shared().unwrap();
                (server.create_database().unwrap(), Box::new(server))
            }
        };
        let database = Database::open(&DatabaseConfig::new(url)).unwrap();
        database.migrate().await.unwrap();
        let memory = Memory::new();
        let storage = Arc::new(FaultyStorage::new(Arc::new(memory.clone())).suspending());
        let mut settings = Settings::default();
        settings.limits.max_image_bytes = Sample::Largest.len();
        let service = ObjectStoreService::new(database.clone(), storage.clone(), settings);
        Self { service, database, memory, storage, _keep: keep }
    }

    /// Sets the clocks of the database and of storage forward: all that the database remembers is longer ago.
    pub(crate) async fn advance(&self, by: Duration) {
        self.memory.advance(by);
        // One statement over all intents and a transaction that takes several of them can be in each other's way.
        while let Err(error) = self.try_to_shift(by).await {
            let text = error.to_string();
            assert!(text.contains("deadlock"), "{text}");
        }
    }

    async fn try_to_shift(&self, by: Duration) -> diesel::QueryResult<()> {
        const TIMES: [(&str, &[&str]); 3] = [
            ("object_intents", &["not_before", "clears_at", "created_at"]),
            ("idempotency_keys", &["expires_at", "created_at"]),
            ("orphan_candidates", &["first_seen_at"]),
        ];
        let mut tx = self.database.begin().await.unwrap();
        let earlier = match tx.backend() {
            Backend::Postgres(_) => format!("interval '{} seconds'", by.as_secs()),
            Backend::Sqlite(_) => by.as_micros().to_string(),
        };
        for (table, columns) in TIMES {
            let set: Vec<_> = columns.iter().map(|column| format!("{column} = {column} - {earlier}")).collect();
            let update = format!("UPDATE {table} SET {}", set.join(", "));
            query!(tx, async |db| diesel::sql_query(&update).execute(db).await)?;
        }
        tx.commit().await.unwrap();
        Ok(())
    }

    /// Waits until what a dropped future has left under way is over: connections that close, and on PostgreSQL a
    /// statement that the server has already.
    pub(crate) async fn settle(&self, was_dropped: bool) -> Result<(), Violation> {
        for _ in 0..2_000 {
            let pool = self.database.pool_status();
            if pool.in_use == 0 && (!was_dropped || self.are_others_gone().await) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Err(Violation(format!("a connection is still out: {:?}", self.database.pool_status())))
    }

    async fn are_others_gone(&self) -> bool {
        let mut conn = self.database.reader().await.unwrap();
        let Backend::Postgres(db) = conn.backend() else { return true };
        let connected = "SELECT count(*) AS number FROM pg_stat_activity \
                         WHERE datname = current_database() AND backend_type = 'client backend'";
        let connected: Number = diesel::sql_query(connected).get_result(db).await.unwrap();
        usize::try_from(connected.number) == Ok(self.database.pool_status().open)
    }

    pub(crate) async fn look(&self) -> Look {
        let mut conn = self.database.reader().await.unwrap();
        let images = ImageRepo::list(&mut conn, Owner::Anyone, None, ALL.into()).await.unwrap();
        let audios = AudioRepo::list(&mut conn, Owner::Anyone, None, ALL.into()).await.unwrap();
        let intents = IntentRepo::list(&mut conn, None, ALL.into()).await.unwrap();
        let objects = self.memory.list_page("", None, ALL).await.unwrap().objects;
        let uploads = self.memory.list_multipart_uploads("", None).await.unwrap().uploads;
        Look {
            rows: images.into_iter().map(Row::from).chain(audios.into_iter().map(Row::from)).collect(),
            intents,
            objects,
            uploads,
        }
    }
}

/// Where there is a directory in memory, a database in it commits without waiting for a disk.
fn directory_in_memory() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir()
        && let Ok(directory) = TempDir::new_in(memory)
    {
        return directory;
    }
    TempDir::new().unwrap()
}

macro_rules! row {
    ($($model:ident)*) => {
        $(impl From<$model> for Row {
            fn from(row: $model) -> Self {
                Self {
                    id: row.id.into(),
                    user_id: row.user_id,
                    key: row.s3_key,
                    size_bytes: row.size_bytes,
                    sha256: row.sha256,
                }
            }
        })*
    };
}

row!(ImageModel AudioModel);
