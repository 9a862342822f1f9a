//! Rows of `images`.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sqlite::Sqlite;

use crate::schema::images;
use crate::{ImageId, Sha256, Timestamp, UserId};

/// A finished image: its object is there, whole and validated.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = images, check_for_backend(Pg, Sqlite))]
pub struct ImageModel {
    /// UUIDv7: newer images have greater ids.
    pub id: ImageId,
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
    /// Pixels, as displayed: after the orientation is applied.
    pub width: i32,
    /// Pixels, as displayed: after the orientation is applied.
    pub height: i32,
    /// EXIF orientation as stored, 1 to 8; 1 where the file has none.
    pub orientation: i16,
    /// 1 unless animated.
    pub frame_count: i32,
    /// When the row was written, by the database's clock.
    pub created_at: Timestamp,
}

/// An image to be inserted. The fields mean what they do in [`ImageModel`]; the database's clock
/// gives `created_at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Insertable)]
#[diesel(table_name = images, check_for_backend(Pg, Sqlite), treat_none_as_default_value = false)]
#[expect(missing_docs, reason = "documented on ImageModel")]
pub struct NewImage<'a> {
    pub id: ImageId,
    pub user_id: Option<UserId>,
    pub s3_key: &'a str,
    pub filename: &'a str,
    pub content_type: &'a str,
    pub format: &'a str,
    pub size_bytes: i64,
    pub sha256: Option<Sha256>,
    pub etag: &'a str,
    pub width: i32,
    pub height: i32,
    pub orientation: i16,
    pub frame_count: i32,
}
