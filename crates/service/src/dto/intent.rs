use object_store_models::{IntentPurpose, MediaId, MediaKind, ObjectIntent, Timestamp, UserId};
use serde::{Serialize, Serializer};

/// An intent, for operators: a key that storage may hold without a finished row, and what is to become of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IntentRead {
    /// The key.
    pub key: String,
    /// What is going on: `upload`, `direct` or `purge`.
    #[serde(serialize_with = "as_text")]
    pub purpose: IntentPurpose,
    /// The media that the object is or was to become.
    #[serde(serialize_with = "as_text")]
    pub id: MediaId,
    /// The kind of that media.
    #[serde(serialize_with = "as_text")]
    pub kind: MediaKind,
    /// Whose it is.
    pub user_id: Option<UserId>,
    /// The multipart upload that is open for it.
    pub multipart_upload_id: Option<String>,
    /// Raised whenever somebody takes it.
    pub generation: i64,
    /// When a sweep may act.
    pub not_before: Timestamp,
    /// When no late write can land on the key any more.
    pub clears_at: Timestamp,
    /// How often a sweep has taken it.
    pub attempts: i32,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When it was written.
    pub created_at: Timestamp,
    /// How many bytes of the owner's quota it holds.
    pub reserved_bytes: u64,
}

/// What a sweep would take now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DueReport {
    /// How many intents are due.
    pub due: u64,
    /// The first of them, those due longest first.
    pub intents: Vec<IntentRead>,
}

impl From<ObjectIntent> for IntentRead {
    fn from(intent: ObjectIntent) -> Self {
        let ObjectIntent {
            s3_key,
            purpose,
            media_id,
            user_id,
            // What an uploader declared is nobody else's business.
            declared: _,
            multipart_upload_id,
            generation,
            not_before,
            clears_at,
            attempts,
            last_error,
            created_at,
            reserved_bytes,
        } = intent;
        Self {
            key: s3_key,
            purpose,
            id: media_id,
            kind: media_id.kind(),
            user_id,
            multipart_upload_id,
            generation,
            not_before,
            clears_at,
            attempts,
            last_error,
            created_at,
            reserved_bytes: u64::try_from(reserved_bytes).unwrap_or_default(),
        }
    }
}

fn as_text<S: Serializer>(value: &impl std::fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}
