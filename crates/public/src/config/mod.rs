//! What to run on.

mod env;

use std::path::PathBuf;
use std::time::Duration;

use object_store_media::Format;
use object_store_repo::DatabaseConfig;
use object_store_s3_provider::S3Config;
use object_store_service::{Quota, Settings};
use object_store_storage::CdnUrl;

/// What the module runs on. `Debug` does not show secrets.
///
/// ```
/// use object_store_public::{Config, DatabaseConfig, S3Config, S3Credentials};
///
/// let config = Config::new(
///     DatabaseConfig::new("postgres://app@db.example.org/app?sslmode=verify-full"),
///     S3Config::new(None, "eu-central-1", "my-app-media", S3Credentials::Default),
/// )
/// .max_image_bytes(10 << 20)
/// .signed_url_life(std::time::Duration::from_secs(300));
/// # let _ = config;
/// ```
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) database: DatabaseChoice,
    pub(crate) storage: StorageChoice,
    pub(crate) settings: Settings,
}

#[derive(Debug, Clone)]
pub(crate) enum DatabaseChoice {
    /// A database that an operator runs and migrates.
    Configured(DatabaseConfig),
    /// A SQLite file in this directory, made and migrated when missing.
    #[cfg_attr(not(feature = "embedded"), expect(dead_code, reason = "chosen by the feature `embedded` alone"))]
    Directory(PathBuf),
    /// A SQLite file that goes with the module.
    Temporary,
}

#[derive(Debug, Clone)]
pub(crate) enum StorageChoice {
    S3(Box<S3Config>),
    /// In this process, gone with it.
    Memory,
    /// The embedded S3 server, with its data in this directory.
    #[cfg(feature = "embedded")]
    Embedded(PathBuf),
}

impl Config {
    /// A database and an S3 bucket that an operator runs.
    pub fn new(database: DatabaseConfig, s3: S3Config) -> Self {
        Self {
            database: DatabaseChoice::Configured(database),
            storage: StorageChoice::S3(Box::new(s3)),
            settings: Settings::default(),
        }
    }

    /// The whole real module for a test: a SQLite file that goes when the module does, and storage in memory. Nothing to
    /// install, nothing to mock, transactions included. Its signed URLs begin with `memory:` and lead nowhere.
    pub fn ephemeral() -> Self {
        Self { database: DatabaseChoice::Temporary, storage: StorageChoice::Memory, settings: Settings::default() }
    }

    /// A module with nothing to install whose data lasts: a SQLite file and an S3 server on loopback, both in
    /// `directory`, which is created when missing. Several processes may use the same directory.
    #[cfg(feature = "embedded")]
    pub fn embedded(directory: impl Into<PathBuf>) -> Self {
        let directory = directory.into();
        Self {
            database: DatabaseChoice::Directory(directory.clone()),
            storage: StorageChoice::Embedded(directory),
            settings: Settings::default(),
        }
    }

    /// With this database in place of the one chosen so far.
    #[must_use]
    pub fn database(mut self, database: DatabaseConfig) -> Self {
        self.database = DatabaseChoice::Configured(database);
        self
    }

    /// With this bucket in place of the storage chosen so far.
    #[must_use]
    pub fn s3(mut self, s3: S3Config) -> Self {
        self.storage = StorageChoice::S3(Box::new(s3));
        self
    }

    /// Accepts these formats and no others.
    #[must_use]
    pub fn formats(mut self, formats: impl IntoIterator<Item = Format>) -> Self {
        self.settings.limits.formats = formats.into_iter().collect();
        self
    }

    /// The largest image, in bytes.
    #[must_use]
    pub fn max_image_bytes(mut self, bytes: u64) -> Self {
        self.settings.limits.max_image_bytes = bytes;
        self
    }

    /// The largest audio file, in bytes.
    #[must_use]
    pub fn max_audio_bytes(mut self, bytes: u64) -> Self {
        self.settings.limits.max_audio_bytes = bytes;
        self
    }

    /// How many bytes each user's files and uploads under way may have together. Nobody counts unless this is called.
    ///
    /// ```
    /// use object_store_public::{Config, Quota, UserId, uuid};
    ///
    /// let staff = UserId::from(uuid::Uuid::from_u128(7));
    /// let config = Config::ephemeral()
    ///     .quota(Quota::by(move |user| if user == staff { None } else { Some(1 << 30) }));
    /// # let _ = config;
    /// ```
    ///
    /// Where plans have to be looked up, implement [`UserQuota`](crate::UserQuota). Every process that takes in or deletes
    /// files has to count, if only with [`Quota::Counted`]; when the last of them does, call
    /// [`recount_usage`](crate::ObjectStoreProvider::recount_usage).
    #[must_use]
    pub fn quota(mut self, quota: Quota) -> Self {
        self.settings.quota = quota;
        self
    }

    /// The life of signed URLs where the caller does not say, at most 7 days.
    #[must_use]
    pub fn signed_url_life(mut self, life: Duration) -> Self {
        self.settings.timings.signed_url = life;
        self
    }

    /// Where a content delivery network serves the bucket, with the bucket's prefix if it has one, for
    /// [`cdn_url`](crate::ObjectStoreProvider::cdn_url).
    #[must_use]
    pub fn cdn(mut self, cdn: CdnUrl) -> Self {
        self.settings.cdn = Some(cdn);
        self
    }

    /// With all settings of the use cases at once.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// The settings of the use cases.
    pub fn current_settings(&self) -> &Settings {
        &self.settings
    }
}
