//! The object store: takes uploaded images and audio, keeps their bytes in S3 and what they are in SQL, and answers for
//! both as one.
//!
//! This is the one crate that other modules link. [`object_store_provider`] makes an [`ObjectStoreProvider`] from a
//! [`Config`]; everything else here is what its methods take and give.
//!
//! **Architecture invariant:** this crate decides nothing but what the module is made of. It alone knows which database
//! and which storage there are to choose from, in one file (`compose`).
//!
//! # A sibling in twenty lines
//!
//! Saves a profile's own row and its picture as one fact. `Config::ephemeral()` is the whole real module for a test;
//! `Config::from_env()?` runs the same code on PostgreSQL and S3.
//!
//! ```
//! use object_store_public::diesel::sql_types::Text;
//! use object_store_public::diesel_async::RunQueryDsl;
//! use object_store_public::{Actor, Config, ImageCreate, UrlOptions, UserId, diesel, object_store_provider, query, tokio, uuid};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let store = object_store_provider(Config::ephemeral()).await?;
//!     let ann = Actor::User(UserId::from(uuid::Uuid::from_u128(1)));
//!     let gif = b"GIF89a\x02\0\x01\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x02\0\x01\0\0\x02\x02\x44\x01\0;";
//!
//!     let staged = store.stage_image(ann, ImageCreate::new("me.gif"), gif.to_vec().into()).await?;
//!     let mut tx = store.begin().await?;
//!     let image = store.commit_image(&mut tx, &staged).await?;
//!     query!(tx, async |db| {
//!         diesel::sql_query("CREATE TABLE IF NOT EXISTS profiles (name TEXT, picture TEXT)").execute(db).await?;
//!         let insert = diesel::sql_query(format!("INSERT INTO profiles VALUES ('Ann', '{}')", image.id));
//!         insert.execute(db).await
//!     })?;
//!     tx.commit().await?; // The row and the picture are there, both or neither.
//!
//!     let url = store.signed_url(ann, (&image).into(), &UrlOptions::default()).await?;
//!     println!("{} x {} {} at {}", image.width, image.height, image.content_type, url.url);
//!     store.delete(ann, image.id.into()).await?;
//!     Ok(())
//! }
//! ```

mod compose;
mod config;
#[cfg(feature = "embedded")]
mod embedded;
mod module;
mod provider;
mod sweeper;

pub use compose::{object_store_provider, open};
pub use config::Config;
pub use module::ObjectStoreModule;
pub use provider::ObjectStoreProvider;
pub use sweeper::{Sweeper, SweeperOptions, SweeperTotals, spawn_sweeper};

// What the methods of the provider take and give.
pub use object_store_media::Format;
pub use object_store_models::{
    AudioId, ImageId, MediaId, MediaKind, ParseIdError, ParseSha256Error, ParseTimestampError, Sha256, Timestamp,
    UserId, sql,
};
pub use object_store_repo::{
    Backend, Connection, DatabaseConfig, Engine, MigrationStatus, Owner, PoolStatus, RepoError, Sqlite, Transaction,
    query,
};
pub use object_store_s3_provider::{S3Config, S3ConfigError, S3Credentials};
pub use object_store_service::{
    Actor, AudioCreate, AudioRead, ConfigError, ConflictError, Cursor, CursorError, DirectUpload, DirectUploadCreate,
    Disposition, FileCreate, FileRef, FileUploadResult, ImageCreate, ImageRead, Limits, ObjectStoreError, Page,
    PageRequest, Result, Settings, SignedUrl, StagedAudio, StagedFile, StagedImage, SweepReport, Timings, UploadBody,
    UploadMethod, UploadVia, UrlOptions, ValidationError,
};
pub use object_store_service::{CopyFailure, CopyStoreOptions, CopyStoreProgress, CopyStoreReport};
pub use object_store_service::{
    DueReport, EraseReport, Finding, IntentRead, NamedBy, ObjectFacts, ObjectLife, ObjectSeen, Quota, RecountReport,
    UploadSeen, Usage, UserQuota, VerifyOptions, VerifyProgress, VerifyReport,
};
pub use object_store_service::{MissingParts, ReceivedPart, SignedPart, UploadParts};
pub use object_store_storage::{
    BucketInfo, ByteRange, ByteStream, Capabilities, Capability, ClockSkew, Download, ProbedCapability, RetryClass,
    StorageError,
};
pub use object_store_storage::{
    CdnUrl, CdnUrlError, Check, CheckStatus, CheckupOptions as DoctorOptions, Fix, Origin, OriginError,
};

/// What files are, without a store: `cargo xtask probe` is made of this.
pub mod media {
    pub use object_store_media::check::{Reference, Verdict, check, deviations, references};
    pub use object_store_media::{Facts, FormatSet, Limits, MediaError, Policy, Probe, probe};
}

// The libraries whose types are in the signatures above, so that a sibling uses the same versions of them.
pub use bytes;
pub use diesel;
pub use diesel_async;
pub use tokio;
pub use uuid;

/// Compiles and runs the README's example.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
