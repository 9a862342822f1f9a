//! What goes in and out of the use cases.

mod create;
mod file_ref;
mod page;
mod read;
mod sweep;
pub(crate) mod upload_body;
mod url;

pub(crate) use create::Declared;
pub use create::{AudioCreate, FileCreate, ImageCreate};
pub use file_ref::FileRef;
pub use page::{Cursor, CursorError, Page, PageRequest};
pub use read::{AudioRead, FileUploadResult, ImageRead};
pub use sweep::SweepReport;
pub use upload_body::UploadBody;
pub use url::{SignedUrl, UrlOptions};
