//! Rows into DTOs. Rows are taken apart without `..`, so that a new column is a decision.

use std::error::Error as StdError;
use std::num::TryFromIntError;

use object_store_models::{AudioModel, ImageModel};
use object_store_storage::{KeyError, ObjectKey};

use crate::dto::{AudioRead, ImageRead};

/// A row holds what no row of ours can.
#[derive(Debug, thiserror::Error)]
#[error("the row of {id} holds an impossible value")]
pub struct CorruptRow {
    id: String,
    #[source]
    source: Box<dyn StdError + Send + Sync>,
}

impl CorruptRow {
    pub(crate) fn of(id: impl std::fmt::Display, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { id: id.to_string(), source: source.into() }
    }
}

impl TryFrom<ImageModel> for ImageRead {
    type Error = CorruptRow;

    fn try_from(row: ImageModel) -> Result<Self, CorruptRow> {
        let id = row.id;
        image(row).map_err(|source| CorruptRow { id: id.to_string(), source })
    }
}

impl TryFrom<AudioModel> for AudioRead {
    type Error = CorruptRow;

    fn try_from(row: AudioModel) -> Result<Self, CorruptRow> {
        let id = row.id;
        audio(row).map_err(|source| CorruptRow { id: id.to_string(), source })
    }
}

fn image(row: ImageModel) -> Result<ImageRead, Box<dyn StdError + Send + Sync>> {
    let ImageModel {
        id,
        user_id,
        s3_key,
        filename,
        content_type,
        format,
        size_bytes,
        sha256,
        etag,
        width,
        height,
        orientation,
        frame_count,
        created_at,
    } = row;
    Ok(ImageRead {
        id,
        user_id,
        filename,
        content_type,
        format,
        size_bytes: size_bytes.try_into()?,
        sha256,
        etag,
        width: width.try_into()?,
        height: height.try_into()?,
        orientation: orientation.try_into()?,
        frame_count: frame_count.try_into()?,
        created_at,
        key: key(&s3_key)?,
    })
}

fn audio(row: AudioModel) -> Result<AudioRead, Box<dyn StdError + Send + Sync>> {
    let AudioModel {
        id,
        user_id,
        s3_key,
        filename,
        content_type,
        format,
        size_bytes,
        sha256,
        etag,
        duration_ms,
        sample_rate,
        channels,
        bit_depth,
        codec,
        bitrate,
        title,
        artist,
        created_at,
    } = row;
    Ok(AudioRead {
        id,
        user_id,
        filename,
        content_type,
        format,
        size_bytes: size_bytes.try_into()?,
        sha256,
        etag,
        duration_ms: unsigned(duration_ms)?,
        sample_rate: sample_rate.try_into()?,
        channels: channels.try_into()?,
        bit_depth: unsigned(bit_depth)?,
        codec,
        bitrate: unsigned(bitrate)?,
        title,
        artist,
        created_at,
        key: key(&s3_key)?,
    })
}

fn key(text: &str) -> Result<ObjectKey, KeyError> {
    ObjectKey::parse(text)
}

fn unsigned<S, U: TryFrom<S, Error = TryFromIntError>>(value: Option<S>) -> Result<Option<U>, TryFromIntError> {
    value.map(U::try_from).transpose()
}
