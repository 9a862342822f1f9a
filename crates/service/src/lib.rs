//! The use cases of the object store: upload, direct upload, read, list, sign, delete and sweep.
//!
//! **Architecture invariant:** this crate knows storage only through the port: no vendor is in its dependencies. It
//! never holds a connection or a transaction across a storage call, and never makes a side effect outside the database
//! that no committed intent names.

mod actor;
mod authorize;
mod checkup;
mod content_disposition;
mod copy_store;
mod delete;
mod direct;
mod download;
mod dto;
mod due;
mod erase;
mod error;
mod explain;
mod filename;
pub mod mutants;
mod quota;
mod read;
mod service;
mod settings;
mod sign;
mod sweep;
mod translate;
mod upload;
mod usage;
mod verify;

pub use actor::Actor;
pub use content_disposition::{Disposition, content_disposition};
pub use copy_store::{CopyFailure, CopyStoreOptions, CopyStoreProgress, CopyStoreReport};
pub use dto::{
    AudioCreate, AudioRead, Cursor, CursorError, DirectUpload, DirectUploadCreate, FileCreate, FileRef,
    FileUploadResult, ImageCreate, ImageRead, Page, PageRequest, SignedUrl, SweepReport, UploadBody, UploadMethod,
    UploadVia, UrlOptions,
};
pub use dto::{DueReport, EraseReport, IntentRead, NamedBy, ObjectFacts, ObjectLife, ObjectSeen, UploadSeen};
pub use dto::{ReceivedPart, RecountReport, SignedPart, UploadParts, Usage};
pub use error::{ConfigError, ConflictError, MissingParts, ObjectStoreError, Result, ValidationError};
pub use filename::Filename;
pub use object_store_repo::Owner;
pub use quota::{Quota, UserQuota};
pub use service::ObjectStoreService;
pub use settings::{Limits, Settings, Timings};
pub use upload::{StagedAudio, StagedFile, StagedImage};
pub use verify::{Finding, VerifyOptions, VerifyProgress, VerifyReport};
