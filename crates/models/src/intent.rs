//! Rows of `object_intents`.

#![expect(clippy::ref_option_ref, reason = "Diesel's derive for `&NewX<'a>` makes such references")]

use diesel::deserialize::FromSqlRow;
use diesel::expression::AsExpression;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel::sqlite::Sqlite;

use crate::schema::object_intents;
use crate::text::text_enum;
use crate::{MediaId, Timestamp, UserId};

/// What an intent is for, stored as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = Text)]
pub enum IntentPurpose {
    /// We are writing the object and will commit its row.
    Upload,
    /// A client holds a signed URL and may write the object.
    Direct,
    /// The object is to go.
    Purge,
}

text_enum!(IntentPurpose, "purpose of an intent", {
    Upload => "upload",
    Direct => "direct",
    Purge => "purge",
});

/// A key that the storage may hold without a finished row, and what is to become of it.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = object_intents, check_for_backend(Pg, Sqlite))]
pub struct ObjectIntent {
    /// The key that this is about.
    pub s3_key: String,
    /// What is going on.
    pub purpose: IntentPurpose,
    /// The media that the object is or was to become: the columns `media_id` and `kind`.
    #[diesel(embed)]
    pub media_id: MediaId,
    /// The owner; `None` for ownerless media.
    pub user_id: Option<UserId>,
    /// JSON: what the uploader declared. `{}` where that is nothing.
    pub declared: String,
    /// Set while a multipart upload is open.
    pub multipart_upload_id: Option<String>,
    /// Raised by each taker, so that a statement of an earlier one matches nothing.
    pub generation: i64,
    /// From then on, by the database's clock, a sweep may act.
    pub not_before: Timestamp,
    /// From then on, by the database's clock, no late write can land on the key.
    pub clears_at: Timestamp,
    /// How often a sweep has claimed it.
    pub attempts: i32,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When the row was written, by the database's clock.
    pub created_at: Timestamp,
    /// How many bytes of the owner's quota it holds; 0 where nobody counts. Of a purge it is what has yet to be given
    /// back.
    pub reserved_bytes: i64,
}

/// An intent to be inserted. The fields mean what they do in [`ObjectIntent`]; `generation` starts
/// at 1 and `attempts` at 0, and the database's clock gives the times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Insertable)]
#[diesel(table_name = object_intents, check_for_backend(Pg, Sqlite), treat_none_as_default_value = false)]
#[expect(missing_docs, reason = "documented on ObjectIntent")]
pub struct NewIntent<'a> {
    pub s3_key: &'a str,
    pub purpose: IntentPurpose,
    #[diesel(embed)]
    pub media_id: MediaId,
    pub user_id: Option<UserId>,
    pub declared: &'a str,
    pub multipart_upload_id: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purpose_reads_back_what_it_shows() {
        for purpose in IntentPurpose::ALL {
            assert_eq!(purpose.as_str().parse(), Ok(*purpose));
        }
        assert!("Purge".parse::<IntentPurpose>().is_err());
    }
}
