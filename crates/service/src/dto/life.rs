use object_store_models::Timestamp;
use serde::Serialize;

use crate::dto::{FileUploadResult, IntentRead};

/// All that is known of one id, for operators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ObjectLife {
    /// The id that was asked for.
    pub id: String,
    /// The finished media, if there is.
    pub file: Option<FileUploadResult>,
    /// Where the object of the finished media lies.
    pub key: Option<String>,
    /// The intents that were made for it and are not done.
    pub intents: Vec<IntentRead>,
    /// Its keys, and what storage says about each.
    pub objects: Vec<ObjectSeen>,
    /// Multipart uploads of its keys that are open.
    pub uploads: Vec<UploadSeen>,
}

/// What storage says about one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ObjectSeen {
    /// The key.
    pub key: String,
    /// What names it in the database.
    pub named_by: NamedBy,
    /// The object; `None` if there is none.
    pub object: Option<ObjectFacts>,
    /// Since when a verify has seen it without a name.
    pub orphan_since: Option<Timestamp>,
}

/// What names a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NamedBy {
    /// A row: it is the object of finished media.
    Row,
    /// An intent: it is on its way, or to go.
    Intent,
    /// Neither.
    Nothing,
}

/// An object, as storage knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ObjectFacts {
    /// Its size.
    pub size_bytes: u64,
    /// Its entity tag.
    pub etag: String,
    /// The content type it was stored with.
    pub content_type: Option<String>,
    /// When it was written, by the storage's clock.
    pub last_modified: Option<Timestamp>,
}

/// A multipart upload that is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UploadSeen {
    /// The key it would create.
    pub key: String,
    /// The storage's name for it.
    pub upload_id: String,
    /// When it was begun, by the storage's clock.
    pub initiated: Option<Timestamp>,
}

impl ObjectLife {
    /// Whether anything at all is known of the id.
    pub fn is_known(&self) -> bool {
        self.file.is_some() || !self.intents.is_empty() || !self.objects.is_empty() || !self.uploads.is_empty()
    }
}
