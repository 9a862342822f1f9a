use object_store_media::Kind;
use object_store_models::{MediaKind, ObjectIntent};
use serde::{Deserialize, Serialize};

use crate::direct::parts::Parts;
use crate::translate::CorruptRow;

/// What a client declared of a direct upload, as its intent keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeclaredUpload {
    /// Cleaned.
    pub(crate) filename: String,
    /// One of the names of an accepted format.
    pub(crate) content_type: String,
    /// Where it was known.
    pub(crate) size_bytes: Option<u64>,
    /// Whether an idempotency key stands for it.
    pub(crate) is_keyed: bool,
    /// The size of its parts, if it comes in parts. Kept, so that parts which were sent stay right.
    #[serde(default)]
    pub(crate) part_bytes: Option<u64>,
}

impl DeclaredUpload {
    pub(crate) fn to_json(&self) -> String {
        let Self { filename, content_type, size_bytes, is_keyed, part_bytes } = self;
        serde_json::json!({
            "filename": filename,
            "content_type": content_type,
            "size_bytes": size_bytes,
            "is_keyed": is_keyed,
            "part_bytes": part_bytes,
        })
        .to_string()
    }

    pub(crate) fn of(intent: &ObjectIntent) -> Result<Self, CorruptRow> {
        serde_json::from_str(&intent.declared).map_err(|error| CorruptRow::of(intent.media_id, error))
    }

    /// How it is cut, if it comes in parts.
    pub(crate) fn parts(&self) -> Option<Parts> {
        Parts::of(self.size_bytes?, self.part_bytes?)
    }
}

/// The media crate's word for a kind of row.
pub(crate) fn kind_of_bytes(kind: MediaKind) -> Kind {
    match kind {
        MediaKind::Image => Kind::Image,
        MediaKind::Audio => Kind::Audio,
    }
}
