//! The port to where bytes live: one trait, its keys and errors, an in-memory reference implementation, and the rules
//! that every implementation is held to.
//!
//! **Architecture invariant:** this crate names no vendor, no SQL and no media format. Whoever stores bytes implements
//! [`ObjectStorage`] and runs [`contract`]; whoever needs bytes stored takes `&dyn ObjectStorage`.

mod body;
mod capabilities;
mod cdn;
mod checkup;
pub mod contract;
mod error;
mod key;
mod memory;
mod parts;
mod port;
mod presign;

pub use body::{Body, ByteStream, collect};
pub use capabilities::{Capabilities, Capability, ProbedCapability};
pub use cdn::{CdnUrl, CdnUrlError};
pub use checkup::{Check, CheckStatus, CheckupOptions, Fix, Origin, OriginError};
pub use error::{RetryClass, StorageError, StorageResult};
pub use key::{KeyError, ObjectKey};
pub use memory::{Calls, Fetched, Memory, SignedRequestRefused};
pub use parts::{MAX_PARTS, MIN_PART_BYTES, PartPage, UploadedPart, part_number};
pub use port::{
    BucketInfo, ByteRange, ClockSkew, CopyOptions, Download, ListPage, ListedObject, MultipartUpload,
    MultipartUploadPage, ObjectMeta, ObjectStorage, PutOptions, PutOutcome,
};
pub use presign::{
    MAX_PRESIGN_SECONDS, PresignGet, PresignPart, PresignPost, PresignPut, PresignedPost, PresignedUrl, Window,
    presign_seconds,
};
