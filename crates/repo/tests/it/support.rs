//! A fresh database for each test, and rows to put into it.

use std::any::Any;
use std::sync::Arc;

use object_store_devkit::postgres::TempPostgres;
use object_store_models::{
    AudioId, AudioModel, ImageId, ImageModel, IntentPurpose, MediaId, NewAudio, NewImage, NewIntent, UserId,
};
use object_store_repo::{AudioRepo, Connection, Database, DatabaseConfig, ImageRepo, RepoError, Result};
use tempfile::TempDir;
use uuid::Uuid;

/// Makes each scenario, an `async fn(TestDatabase)`, a test on SQLite and one on PostgreSQL.
macro_rules! on_both_backends {
    ($state:ident: $($test:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(crate::support::TestDatabase::sqlite().$state().await).await;
            })*
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(crate::support::TestDatabase::postgres().$state().await).await;
            })*
        }
    };
}

/// A database, and whatever has to live as long as it does.
pub(crate) struct TestDatabase {
    pub(crate) db: Database,
    pub(crate) config: DatabaseConfig,
    _keep: Box<dyn Any + Send>,
}

impl TestDatabase {
    pub(crate) fn sqlite() -> Self {
        let dir = TempDir::new().unwrap();
        let url = format!("sqlite:{}", dir.path().join("objects.db").display());
        Self::new(url, dir)
    }

    /// Fails the test, and says what to install, where there is no PostgreSQL.
    pub(crate) fn postgres() -> Self {
        let server: Arc<TempPostgres> = TempPostgres::shared().unwrap_or_else(|error| panic!("{error}"));
        let url = server.create_database().unwrap();
        Self::new(url, server)
    }

    fn new(url: String, keep: impl Any + Send) -> Self {
        let config = DatabaseConfig { max_connections: 4, ..DatabaseConfig::new(url) };
        Self { db: Database::open(&config).unwrap(), config, _keep: Box::new(keep) }
    }

    pub(crate) async fn migrated(self) -> Self {
        self.db.migrate().await.unwrap();
        self
    }

    #[expect(clippy::unused_async, reason = "interchangeable with `migrated`")]
    pub(crate) async fn empty(self) -> Self {
        self
    }

    /// Nobody has a connection, and none is in a transaction.
    pub(crate) async fn assert_at_rest(&self) {
        let status = self.db.pool_status();
        assert_eq!((status.in_use, status.waiting), (0, 0), "{status:?}");
        // More often than there are connections: each of them can begin and end a transaction.
        for _ in 0..5 {
            self.db.begin().await.unwrap().commit().await.unwrap();
        }
    }
}

pub(crate) fn user() -> UserId {
    UserId::from(Uuid::now_v7())
}

pub(crate) fn key() -> String {
    format!("m/{}", Uuid::now_v7())
}

pub(crate) fn image(key: &str, user: Option<UserId>) -> NewImage<'_> {
    NewImage {
        id: ImageId::new(),
        user_id: user,
        s3_key: key,
        filename: "caffè ☕.png",
        content_type: "image/png",
        format: "png",
        size_bytes: 5_000_000_000,
        sha256: Some([7; 32].into()),
        etag: "\"abc\"",
        width: 4000,
        height: i32::MAX,
        orientation: 8,
        frame_count: 1,
    }
}

pub(crate) fn audio(key: &str, user: Option<UserId>) -> NewAudio<'_> {
    NewAudio {
        id: AudioId::new(),
        user_id: user,
        s3_key: key,
        filename: "a.flac",
        content_type: "audio/flac",
        format: "flac",
        size_bytes: 1,
        sha256: None,
        etag: "",
        duration_ms: Some(5_000_000_000),
        sample_rate: 192_000,
        channels: i16::MAX,
        bit_depth: Some(24),
        codec: "flac",
        bitrate: None,
        title: Some("Für Elise"),
        artist: None,
    }
}

pub(crate) fn intent(key: &str, purpose: IntentPurpose) -> NewIntent<'_> {
    NewIntent {
        s3_key: key,
        purpose,
        media_id: MediaId::from(ImageId::new()),
        user_id: None,
        declared: r#"{"filename":"a.png"}"#,
        multipart_upload_id: None,
    }
}

pub(crate) async fn store_image(db: &Database, new: &NewImage<'_>) -> Result<ImageModel> {
    db.transaction(async |conn| ImageRepo::create(conn, new).await).await
}

pub(crate) async fn store_audio(db: &Database, new: &NewAudio<'_>) -> Result<AudioModel> {
    db.transaction(async |conn| AudioRepo::create(conn, new).await).await
}

pub(crate) async fn has_image(db: &Database, id: ImageId) -> bool {
    ImageRepo::exists(&mut db.reader().await.unwrap(), id).await.unwrap()
}

/// Runs `work` in a transaction that is expected to be committed.
pub(crate) async fn write<T>(db: &Database, work: impl AsyncFnOnce(&mut Connection<'_>) -> Result<T, RepoError>) -> T {
    db.transaction(work).await.unwrap()
}
