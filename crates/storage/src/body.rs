use std::fmt;
use std::io;
use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt, TryStreamExt};

use crate::error::{StorageError, StorageResult};

/// Bytes that arrive piece by piece.
pub type ByteStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// What is put: bytes in memory, or a stream whose length is known or not.
pub enum Body {
    /// All of it is in memory.
    Bytes(Bytes),
    /// A stream. It is read once.
    Stream {
        /// The bytes.
        stream: ByteStream,
        /// How many bytes it will yield. A stream that yields another number is an error, and nothing is stored.
        length: Option<u64>,
    },
}

impl Body {
    /// The length in bytes, where it is known.
    pub fn length(&self) -> Option<u64> {
        match self {
            Self::Bytes(bytes) => Some(bytes.len() as u64),
            Self::Stream { length, .. } => *length,
        }
    }

    /// The body as a stream, whatever it is.
    pub fn into_stream(self) -> ByteStream {
        match self {
            Self::Bytes(bytes) => futures::stream::once(async move { Ok(bytes) }).boxed(),
            Self::Stream { stream, .. } => stream,
        }
    }
}

impl<B: Into<Bytes>> From<B> for Body {
    fn from(bytes: B) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("length", &self.length()).finish_non_exhaustive()
    }
}

/// Reads a stream to its end, into memory. Only for bodies that are known to be small.
///
/// # Errors
/// [`StorageError::Body`] when the stream fails.
pub async fn collect(mut stream: ByteStream) -> StorageResult<Bytes> {
    let mut all = BytesMut::new();
    while let Some(piece) = stream.try_next().await.map_err(StorageError::Body)? {
        all.extend_from_slice(&piece);
    }
    Ok(all.freeze())
}
