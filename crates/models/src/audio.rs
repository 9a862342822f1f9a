//! Rows of `audios`.

#![expect(clippy::ref_option_ref, reason = "Diesel's derive for `&NewX<'a>` makes such references")]

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sqlite::Sqlite;

use crate::schema::audios;
use crate::{AudioId, Sha256, Timestamp, UserId};

/// A finished audio file: its object is there, whole and validated.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = audios, check_for_backend(Pg, Sqlite))]
pub struct AudioModel {
    /// UUIDv7: newer audio files have greater ids.
    pub id: AudioId,
    /// The owner; `None` for ownerless media.
    pub user_id: Option<UserId>,
    /// Where the object lies. No other row ever has or had this key.
    pub s3_key: String,
    /// As the uploader named it, cleaned.
    pub filename: String,
    /// As found in the bytes.
    pub content_type: String,
    /// As found in the bytes.
    pub format: String,
    /// The object's size in bytes.
    pub size_bytes: i64,
    /// `None` only for a direct upload whose bytes nobody has hashed yet.
    pub sha256: Option<Sha256>,
    /// As the storage answered.
    pub etag: String,
    /// Milliseconds; `None` if the file truly does not tell, never 0 for that.
    pub duration_ms: Option<i64>,
    /// Hertz.
    pub sample_rate: i32,
    /// At least 1.
    pub channels: i16,
    /// Bits a sample; `None` where the codec has no such thing.
    pub bit_depth: Option<i16>,
    /// As found in the bytes.
    pub codec: String,
    /// Bits a second, the average over the file; `None` if unknown.
    pub bitrate: Option<i32>,
    /// From the file's tags.
    pub title: Option<String>,
    /// From the file's tags.
    pub artist: Option<String>,
    /// When the row was written, by the database's clock.
    pub created_at: Timestamp,
}

/// An audio file to be inserted. The fields mean what they do in [`AudioModel`]; the database's
/// clock gives `created_at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Insertable)]
#[diesel(table_name = audios, check_for_backend(Pg, Sqlite), treat_none_as_default_value = false)]
#[expect(missing_docs, reason = "documented on AudioModel")]
pub struct NewAudio<'a> {
    pub id: AudioId,
    pub user_id: Option<UserId>,
    pub s3_key: &'a str,
    pub filename: &'a str,
    pub content_type: &'a str,
    pub format: &'a str,
    pub size_bytes: i64,
    pub sha256: Option<Sha256>,
    pub etag: &'a str,
    pub duration_ms: Option<i64>,
    pub sample_rate: i32,
    pub channels: i16,
    pub bit_depth: Option<i16>,
    pub codec: &'a str,
    pub bitrate: Option<i32>,
    pub title: Option<&'a str>,
    pub artist: Option<&'a str>,
}
