//! The composition root: the one place that decides which database and which storage the use cases run on.

use std::path::Path;
use std::sync::Arc;

use object_store_repo::{Database, DatabaseConfig};
use object_store_s3_provider::{S3Config, S3Provider};
use object_store_service::{ConfigError, ObjectStoreService, Result};
use object_store_storage::{Memory, ObjectStorage};
use tempfile::TempDir;

use crate::config::{Config, DatabaseChoice, StorageChoice};
use crate::module::ObjectStoreModule;
use crate::provider::ObjectStoreProvider;

/// What has to live as long as the module.
#[derive(Default)]
pub(crate) struct Resources {
    temporary_directory: Option<TempDir>,
    #[cfg(feature = "embedded")]
    embedded_s3: Option<object_store_embedded_s3::Embedded>,
}

/// Makes the module, as other modules want it.
///
/// A database that is configured by URL must have been migrated and a configured bucket must exist; neither is asked
/// yet. The embedded defaults are made ready here.
///
/// # Errors
/// [`Config`](crate::ObjectStoreError::Config) names a setting that is missing or wrong. With the embedded defaults also
/// [`Database`](crate::ObjectStoreError::Database) and [`Storage`](crate::ObjectStoreError::Storage).
pub async fn object_store_provider(config: Config) -> Result<Arc<dyn ObjectStoreProvider>> {
    Ok(Arc::new(open(config).await?))
}

/// Makes the module, as operators want it.
///
/// # Errors
/// As [`object_store_provider`].
pub async fn open(config: Config) -> Result<ObjectStoreModule> {
    config.settings.validate()?;
    let mut resources = Resources::default();
    let database = database(config.database, &mut resources).await?;
    let storage = storage(config.storage, &mut resources).await?;
    let service = ObjectStoreService::new(database.clone(), storage.clone(), config.settings);
    Ok(ObjectStoreModule::new(service, database, storage, resources))
}

async fn database(choice: DatabaseChoice, resources: &mut Resources) -> Result<Database> {
    match choice {
        DatabaseChoice::Configured(config) => Ok(Database::open(&config)?),
        DatabaseChoice::Directory(directory) => {
            make_directory(&directory)?;
            own_database(&directory).await
        }
        DatabaseChoice::Temporary => {
            let directory = TempDir::new()
                .map_err(|error| ConfigError::new("TMPDIR", "must be a directory to write to").because(error))?;
            let database = own_database(directory.path()).await?;
            resources.temporary_directory = Some(directory);
            Ok(database)
        }
    }
}

/// A database that nobody else looks after: it is migrated here.
async fn own_database(directory: &Path) -> Result<Database> {
    let path = directory.join("object-store.db");
    let database = Database::open(&DatabaseConfig::new(format!("sqlite:{}", path.display())))?;
    database.migrate().await?;
    Ok(database)
}

async fn storage(
    choice: StorageChoice,
    #[cfg_attr(not(feature = "embedded"), expect(unused_variables, reason = "for the embedded server"))]
    resources: &mut Resources,
) -> Result<Arc<dyn ObjectStorage>> {
    match choice {
        StorageChoice::Memory => Ok(Arc::new(Memory::new())),
        StorageChoice::S3(config) => Ok(Arc::new(s3(*config).await?)),
        #[cfg(feature = "embedded")]
        StorageChoice::Embedded(directory) => {
            make_directory(&directory)?;
            let embedded = crate::embedded::start(&directory.join("s3")).await?;
            let provider = s3(crate::embedded::s3_config(&embedded)).await?;
            provider.ensure_bucket().await?;
            resources.embedded_s3 = Some(embedded);
            Ok(Arc::new(provider))
        }
    }
}

pub(crate) async fn s3(config: S3Config) -> Result<S3Provider> {
    config.validate().map_err(|error| ConfigError::new("the S3 configuration", "is not usable").because(error))?;
    Ok(S3Provider::connect(config).await?)
}

/// Creates the directory of the embedded defaults, for its owner alone, and keeps it out of version control.
fn make_directory(directory: &Path) -> Result<(), ConfigError> {
    let make = || -> std::io::Result<()> {
        if directory.is_dir() {
            return Ok(());
        }
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(directory)?;
        std::fs::write(directory.join(".gitignore"), "*\n")
    };
    make().map_err(|error| {
        ConfigError::new("OBJECT_STORE_DIR", format!("must be a directory to write to; {} is not", directory.display()))
            .because(error)
    })
}
