//! The tables, the same for both databases. `migrations/` at the workspace root creates them.
//!
//! Table names are unqualified: on PostgreSQL the connection's `search_path` says where they lie.

diesel::table! {
    use diesel::sql_types::{BigInt, Binary, Integer, Nullable, SmallInt, Text};
    use crate::sql::{UtcTimestamp, Uuid};

    /// Finished images: the object is there, whole and validated.
    images (id) {
        /// UUIDv7.
        id -> Uuid,
        /// The owner; NULL for ownerless media.
        user_id -> Nullable<Uuid>,
        /// Unique.
        s3_key -> Text,
        /// As the uploader named it, cleaned; never part of a key.
        filename -> Text,
        /// As found in the bytes.
        content_type -> Text,
        /// As found in the bytes.
        format -> Text,
        /// Bytes.
        size_bytes -> BigInt,
        /// 32 bytes; NULL while nobody has counted it.
        sha256 -> Nullable<Binary>,
        /// As the storage answered.
        etag -> Text,
        /// Pixels, as displayed.
        width -> Integer,
        /// Pixels, as displayed.
        height -> Integer,
        /// EXIF orientation as stored, 1 to 8.
        orientation -> SmallInt,
        /// 1 unless animated.
        frame_count -> Integer,
        /// By the database's clock.
        created_at -> UtcTimestamp,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Binary, Integer, Nullable, SmallInt, Text};
    use crate::sql::{UtcTimestamp, Uuid};

    /// Finished audio files: the object is there, whole and validated.
    audios (id) {
        /// UUIDv7.
        id -> Uuid,
        /// The owner; NULL for ownerless media.
        user_id -> Nullable<Uuid>,
        /// Unique.
        s3_key -> Text,
        /// As the uploader named it, cleaned; never part of a key.
        filename -> Text,
        /// As found in the bytes.
        content_type -> Text,
        /// As found in the bytes.
        format -> Text,
        /// Bytes.
        size_bytes -> BigInt,
        /// 32 bytes; NULL while nobody has counted it.
        sha256 -> Nullable<Binary>,
        /// As the storage answered.
        etag -> Text,
        /// NULL if the file does not tell.
        duration_ms -> Nullable<BigInt>,
        /// Hertz.
        sample_rate -> Integer,
        /// At least 1.
        channels -> SmallInt,
        /// NULL where the codec has none.
        bit_depth -> Nullable<SmallInt>,
        /// As found in the bytes.
        codec -> Text,
        /// Bits a second, NULL if unknown.
        bitrate -> Nullable<Integer>,
        /// From the file's tags.
        title -> Nullable<Text>,
        /// From the file's tags.
        artist -> Nullable<Text>,
        /// By the database's clock.
        created_at -> UtcTimestamp,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Integer, Nullable, Text};
    use crate::sql::{UtcTimestamp, Uuid};

    /// Every key that the storage may hold without a finished row.
    object_intents (s3_key) {
        /// The key that this is about.
        s3_key -> Text,
        /// `upload`, `direct` or `purge`.
        purpose -> Text,
        /// The media that the object is or was to become.
        media_id -> Uuid,
        /// `image` or `audio`.
        kind -> Text,
        /// The owner; NULL for ownerless media.
        user_id -> Nullable<Uuid>,
        /// JSON: what the uploader declared.
        declared -> Text,
        /// Set while a multipart upload is open.
        multipart_upload_id -> Nullable<Text>,
        /// Raised by each taker, so that an earlier one loses.
        generation -> BigInt,
        /// From then on a sweep may act.
        not_before -> UtcTimestamp,
        /// From then on no late write can land on the key.
        clears_at -> UtcTimestamp,
        /// How often a sweep has claimed it.
        attempts -> Integer,
        /// Why the last attempt failed.
        last_error -> Nullable<Text>,
        /// By the database's clock.
        created_at -> UtcTimestamp,
        /// Of the owner's quota; 0 where nobody counts.
        reserved_bytes -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::{Binary, Nullable, Text};
    use crate::sql::{UtcTimestamp, Uuid};

    /// Which upload a client's idempotency key stands for.
    idempotency_keys (media_id) {
        /// The media that the upload is or was to become.
        media_id -> Uuid,
        /// `image` or `audio`.
        kind -> Text,
        /// The owner; NULL for ownerless media.
        user_id -> Nullable<Uuid>,
        /// Unique for each user.
        idempotency_key -> Text,
        /// 32 bytes: of the request that came with the key.
        request_hash -> Binary,
        /// When the media was committed; NULL until then.
        stored_at -> Nullable<UtcTimestamp>,
        /// From then on the key may be forgotten.
        expires_at -> UtcTimestamp,
        /// By the database's clock.
        created_at -> UtcTimestamp,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Text};
    use crate::sql::UtcTimestamp;

    /// Objects that a verify has seen without a row or an intent.
    orphan_candidates (s3_key) {
        /// Where it lies.
        s3_key -> Text,
        /// As the storage listed it.
        etag -> Text,
        /// Bytes, as the storage listed it.
        size_bytes -> BigInt,
        /// By the database's clock.
        first_seen_at -> UtcTimestamp,
    }
}

diesel::table! {
    use diesel::sql_types::BigInt;
    use crate::sql::Uuid;

    /// How many bytes the rows and intents of a user have together.
    user_usage (user_id) {
        /// Whose they are.
        user_id -> Uuid,
        /// Of finished media.
        used_bytes -> BigInt,
        /// Of intents.
        reserved_bytes -> BigInt,
    }
}

diesel::allow_tables_to_appear_in_same_query!(images, audios, object_intents, orphan_candidates, idempotency_keys);
