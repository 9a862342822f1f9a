use object_store_models::UserId;
use object_store_storage::ObjectKey;

use crate::dto::{AudioRead, FileUploadResult, ImageRead};

/// What signing needs to know about a stored file. Made from what a read or a listing returned, so that signing a whole
/// page asks the database nothing.
#[derive(Debug, Clone, Copy)]
pub struct FileRef<'a> {
    pub(crate) key: &'a ObjectKey,
    pub(crate) user_id: Option<UserId>,
    pub(crate) content_type: &'a str,
    pub(crate) filename: &'a str,
}

impl<'a> From<&'a ImageRead> for FileRef<'a> {
    fn from(image: &'a ImageRead) -> Self {
        Self { key: &image.key, user_id: image.user_id, content_type: &image.content_type, filename: &image.filename }
    }
}

impl<'a> From<&'a AudioRead> for FileRef<'a> {
    fn from(audio: &'a AudioRead) -> Self {
        Self { key: &audio.key, user_id: audio.user_id, content_type: &audio.content_type, filename: &audio.filename }
    }
}

impl<'a> From<&'a FileUploadResult> for FileRef<'a> {
    fn from(file: &'a FileUploadResult) -> Self {
        match file {
            FileUploadResult::Image(image) => image.into(),
            FileUploadResult::Audio(audio) => audio.into(),
        }
    }
}
