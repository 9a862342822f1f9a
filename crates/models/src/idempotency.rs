//! Rows of `idempotency_keys`.

use std::fmt;

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sqlite::Sqlite;

use crate::schema::idempotency_keys;
use crate::{ImageId, MediaId, MediaKind, Sha256, Timestamp, UserId};

/// The column `media_id` before its kind is known; an id of either kind has the same bytes.
type Untyped = ImageId;

/// What an idempotency key stands for. `Debug` does not show the key.
#[derive(Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = idempotency_keys, check_for_backend(Pg, Sqlite))]
pub struct IdempotencyKeyModel {
    media_id: Untyped,
    kind: MediaKind,
    /// The owner; `None` for ownerless media.
    pub user_id: Option<UserId>,
    /// As the client sent it. Unique for each user, and among ownerless media.
    pub idempotency_key: String,
    /// Of the request that came with it.
    pub request_hash: Sha256,
    /// When the media was committed; `None` until then, and for ever if the upload was given up.
    pub stored_at: Option<Timestamp>,
    /// From then on, by the database's clock, it may be forgotten.
    pub expires_at: Timestamp,
    /// When the row was written, by the database's clock.
    pub created_at: Timestamp,
}

impl IdempotencyKeyModel {
    /// The media that the upload is or was to become: the columns `media_id` and `kind`.
    #[must_use]
    pub fn media_id(&self) -> MediaId {
        MediaId::of(self.kind, self.media_id.uuid())
    }
}

/// A key to be remembered. The fields mean what they do in [`IdempotencyKeyModel`]; the database's clock gives the
/// times. `Debug` does not show the key.
#[derive(Clone, Copy, PartialEq, Eq, Insertable)]
#[diesel(table_name = idempotency_keys, check_for_backend(Pg, Sqlite), treat_none_as_default_value = false)]
pub struct NewIdempotencyKey<'a> {
    media_id: Untyped,
    kind: MediaKind,
    /// The owner; `None` for ownerless media.
    pub user_id: Option<UserId>,
    /// As the client sent it.
    pub idempotency_key: &'a str,
    /// Of the request that came with it.
    pub request_hash: Sha256,
}

impl<'a> NewIdempotencyKey<'a> {
    /// A key that stands for the upload of this media.
    #[must_use]
    pub fn new(media_id: MediaId, user_id: Option<UserId>, idempotency_key: &'a str, request_hash: Sha256) -> Self {
        Self { media_id: media_id.uuid().into(), kind: media_id.kind(), user_id, idempotency_key, request_hash }
    }

    /// The media that the upload is to become.
    #[must_use]
    pub fn media_id(&self) -> MediaId {
        MediaId::of(self.kind, self.media_id.uuid())
    }
}

impl fmt::Debug for IdempotencyKeyModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdempotencyKeyModel")
            .field("media_id", &self.media_id())
            .field("user_id", &self.user_id)
            .field("stored_at", &self.stored_at)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for NewIdempotencyKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewIdempotencyKey")
            .field("media_id", &self.media_id())
            .field("user_id", &self.user_id)
            .finish_non_exhaustive()
    }
}
