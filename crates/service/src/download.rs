//! Reading the bytes of stored media.

use std::io;

use bytes::Bytes;
use futures::StreamExt;
use object_store_models::{MediaId, Sha256};
use object_store_storage::{ByteRange, ByteStream, Download, StorageError};
use sha2::Digest;

use crate::actor::Actor;
use crate::dto::FileUploadResult;
use crate::error::{ObjectStoreError, Result, ValidationError};
use crate::service::ObjectStoreService;

impl ObjectStoreService {
    /// The bytes of stored media, or a range of them. The stream of a whole object ends with an error of kind
    /// [`io::ErrorKind::InvalidData`] if the bytes are not those that were uploaded, by their SHA-256.
    pub async fn download(&self, actor: Actor, id: MediaId, range: Option<ByteRange>) -> Result<Download> {
        // The connection goes back before storage is asked.
        let file = {
            let mut conn = self.connection().await?;
            self.get_file(&mut conn, actor, id).await?
        };
        let (key, size_bytes, sha256) = match &file {
            FileUploadResult::Image(image) => (&image.key, image.size_bytes, image.sha256),
            FileUploadResult::Audio(audio) => (&audio.key, audio.size_bytes, audio.sha256),
        };
        if range.is_some_and(|range| range.length == 0 || range.start >= size_bytes) {
            return Err(ValidationError::BadRange { size_bytes }.into());
        }
        let mut download = match self.storage.get(key, range).await {
            Ok(download) => download,
            Err(missing @ StorageError::NotFound { .. }) => {
                // Rows go before their objects: whoever has deleted it meanwhile has left no row.
                self.get_file(&mut self.connection().await?, actor, id).await?;
                return Err(missing.into());
            }
            Err(error) => return Err(error.into()),
        };
        if download.meta.size_bytes != size_bytes {
            return Err(ObjectStoreError::Storage(StorageError::Corrupted { reason: "length" }));
        }
        if let (None, Some(expected)) = (range, sha256) {
            download.stream = verified(download.stream, expected);
        }
        Ok(download)
    }
}

/// The same bytes, with an error at their end unless they have this digest.
pub(crate) fn verified(stream: ByteStream, expected: Sha256) -> ByteStream {
    let start = (stream, Some(sha2::Sha256::new()));
    futures::stream::unfold(start, move |(mut stream, hasher)| async move {
        // `None`: the end, or an error, was passed on.
        let mut hasher = hasher?;
        match stream.next().await {
            Some(Ok(piece)) => {
                hasher.update(&piece);
                Some((Ok(piece), (stream, Some(hasher))))
            }
            Some(Err(error)) => Some((Err(error), (stream, None))),
            None if <[u8; 32]>::from(hasher.finalize()) == *expected.as_bytes() => None,
            None => Some((Err::<Bytes, _>(digest_mismatch()), (stream, None))),
        }
    })
    .boxed()
}

fn digest_mismatch() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the stored bytes are not those that were uploaded (SHA-256 differs)")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures::{StreamExt, TryStreamExt, stream};
    use object_store_models::Sha256;
    use sha2::Digest;

    use super::verified;

    #[tokio::test]
    async fn bytes_are_checked_against_their_digest() {
        let expected = Sha256::from(<[u8; 32]>::from(sha2::Sha256::digest(b"abcd")));
        for (pieces, sound) in [(["ab", "cd"], true), (["ab", "ce"], false)] {
            let pieces = pieces.map(|piece| Ok(Bytes::from_static(piece.as_bytes())));
            let read: Result<Vec<_>, _> = verified(stream::iter(pieces).boxed(), expected).try_collect().await;
            assert_eq!(read.is_ok(), sound);
        }
    }
}
