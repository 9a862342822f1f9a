//! The beginning of a body: all of it where it is small, enough to tell its type where it is not.

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt};
use object_store_storage::ByteStream;

use crate::dto::UploadBody;
use crate::dto::upload_body::Source;
use crate::error::{ObjectStoreError, Result, ValidationError};
use crate::mutants::{self, Mutant};

/// Streams up to this length are read into memory and validated before anything is written; of longer ones this much is
/// looked at first.
pub(crate) const IN_MEMORY: usize = 8 << 20;

pub(crate) enum Intake {
    Whole(Bytes),
    /// Longer than [`IN_MEMORY`].
    Long {
        head: Bytes,
        rest: ByteStream,
        length: Option<u64>,
    },
}

/// Reads the beginning of a body that may have at most `limit` bytes.
pub(crate) async fn take_in(body: UploadBody, limit: u64) -> Result<Intake> {
    match body.0 {
        Source::Bytes(bytes) => {
            check_size(bytes.len() as u64, limit)?;
            Ok(Intake::Whole(bytes))
        }
        Source::Stream { stream, length } => {
            check_size(length.unwrap_or_default(), limit)?;
            take_in_stream(stream, length, limit).await
        }
    }
}

pub(crate) fn check_size(actual: u64, limit: u64) -> Result<(), ValidationError> {
    let is_allowed = actual < limit || (actual == limit && !mutants::is(Mutant::RefusesTheLargest));
    if is_allowed { Ok(()) } else { Err(ValidationError::TooLarge { limit, actual }) }
}

async fn take_in_stream(mut stream: ByteStream, length: Option<u64>, limit: u64) -> Result<Intake> {
    let mut head = BytesMut::new();
    while head.len() <= IN_MEMORY {
        let Some(piece) = stream.try_next().await.map_err(ObjectStoreError::Body)? else {
            check_length(length, head.len() as u64)?;
            return Ok(Intake::Whole(head.freeze()));
        };
        head.extend_from_slice(&piece);
        check_size(head.len() as u64, limit)?;
    }
    Ok(Intake::Long { head: head.freeze(), rest: stream.boxed(), length })
}

pub(crate) fn check_length(announced: Option<u64>, actual: u64) -> Result<(), ValidationError> {
    match announced {
        Some(announced) if announced != actual => Err(ValidationError::LengthMismatch { announced, actual }),
        _ => Ok(()),
    }
}
