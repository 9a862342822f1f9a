//! What goes in and out of the use cases.

mod create;
mod direct;
mod erase;
mod file_ref;
mod intent;
mod life;
mod page;
mod parts;
mod read;
mod sweep;
pub(crate) mod upload_body;
mod url;
mod usage;

pub(crate) use create::Declared;
pub use create::{AudioCreate, FileCreate, ImageCreate};
pub use direct::{DirectUpload, DirectUploadCreate, UploadMethod, UploadVia};
pub use erase::EraseReport;
pub use file_ref::FileRef;
pub use intent::{DueReport, IntentRead};
pub use life::{NamedBy, ObjectFacts, ObjectLife, ObjectSeen, UploadSeen};
pub use page::{Cursor, CursorError, Page, PageRequest};
pub use parts::{ReceivedPart, SignedPart, UploadParts};
pub use read::{AudioRead, FileUploadResult, ImageRead};
pub use sweep::SweepReport;
pub use upload_body::UploadBody;
pub use url::{SignedUrl, UrlOptions};
pub use usage::{RecountReport, Usage};
