use std::path::Path;
use std::sync::Arc;

use object_store_devkit::postgres::TempPostgres;
use object_store_embedded_s3::Embedded;
use object_store_public::{
    Actor, Config, DatabaseConfig, ObjectStoreModule, S3Config, S3Credentials, UserId, open, uuid,
};
use object_store_s3_provider::S3Provider;
use object_store_storage::{ObjectKey, ObjectStorage, PutOptions};
use tempfile::TempDir;

/// The module on a directory of its own.
pub(crate) struct World {
    pub(crate) store: ObjectStoreModule,
    pub(crate) directory: TempDir,
    database: Option<DatabaseConfig>,
    _postgres: Option<Arc<TempPostgres>>,
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
        let store = open(Config::embedded(directory.path())).await.unwrap();
        Self { store, directory, database: None, _postgres: None }
    }

    pub(crate) async fn postgres() -> Self {
        let directory = TempDir::new().unwrap();
        let postgres = TempPostgres::shared().unwrap();
        let database = DatabaseConfig::new(postgres.create_database().unwrap());
        let store = open(Config::embedded(directory.path()).database(database.clone())).await.unwrap();
        store.migrate().await.unwrap();
        Self { store, directory, database: Some(database), _postgres: Some(postgres) }
    }

    /// The module's configuration, for another module on the same data.
    pub(crate) fn config(&self) -> Config {
        let config = Config::embedded(self.directory.path());
        match &self.database {
            Some(database) => config.database(database.clone()),
            None => config,
        }
    }

    /// The keys in the bucket, and the multipart uploads that were begun.
    pub(crate) async fn in_storage(&self) -> (Vec<String>, usize) {
        let embedded = embedded(self.directory.path()).await;
        let storage = S3Provider::connect(s3(&embedded)).await.unwrap();
        let page = storage.list_page("", None, 1000).await.unwrap();
        let uploads = storage.list_multipart_uploads("", None).await.unwrap();
        (page.objects.into_iter().map(|object| object.key).collect(), uploads.uploads.len())
    }

    /// Removes an object behind the module's back.
    pub(crate) async fn lose(&self, key: &str) {
        let key = ObjectKey::parse(key).unwrap();
        self.storage().await.delete(&key).await.unwrap();
    }

    /// Puts an object behind the module's back.
    pub(crate) async fn put_foreign(&self, key: &str) {
        let key = ObjectKey::parse(key).unwrap();
        let options = PutOptions { content_type: "text/plain".to_owned(), content_md5: None };
        self.storage().await.put(&key, "foreign".into(), &options).await.unwrap();
    }

    async fn storage(&self) -> S3Provider {
        S3Provider::connect(s3(&embedded(self.directory.path()).await)).await.unwrap()
    }
}

/// The embedded server over a directory, as another process would find it.
pub(crate) async fn embedded(directory: &Path) -> Embedded {
    object_store_embedded_s3::connect_or_start(&directory.join("s3")).await.unwrap()
}

pub(crate) fn s3(embedded: &Embedded) -> S3Config {
    let credentials = S3Credentials::Static {
        access_key_id: embedded.access_key_id.clone(),
        secret_access_key: embedded.secret_access_key.clone(),
        session_token: None,
    };
    S3Config::new(Some(embedded.endpoint.clone()), embedded.region.clone(), "object-store", credentials)
}

pub(crate) fn ann() -> Actor {
    Actor::User(UserId::from(uuid::Uuid::from_u128(1)))
}
