use std::fmt;
use std::io;
use std::path::Path;

use bytes::Bytes;
use futures::StreamExt;
use object_store_storage::ByteStream;
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;

/// The bytes of an upload.
pub struct UploadBody(pub(crate) Source);

pub(crate) enum Source {
    Bytes(Bytes),
    Stream { stream: ByteStream, length: Option<u64> },
}

/// How much is read from a reader at once.
const READ_BUFFER: usize = 256 << 10;

impl UploadBody {
    /// A stream of bytes. A `length` that is known lets storage take the body as one request; a stream that yields
    /// another number of bytes is an error, and nothing is stored.
    pub fn from_stream(stream: ByteStream, length: Option<u64>) -> Self {
        Self(Source::Stream { stream, length })
    }

    /// A reader, such as the body of a request. `length` as in [`UploadBody::from_stream`].
    pub fn from_reader(reader: impl AsyncRead + Send + 'static, length: Option<u64>) -> Self {
        Self::from_stream(ReaderStream::with_capacity(reader, READ_BUFFER).boxed(), length)
    }

    /// A file, of the length it has now.
    ///
    /// # Errors
    /// Those of opening it, and [`io::ErrorKind::InvalidInput`] where the path names no regular file.
    pub async fn from_file(path: impl AsRef<Path> + Send) -> io::Result<Self> {
        let file = tokio::fs::File::open(path).await?;
        let metadata = file.metadata().await?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        Ok(Self::from_reader(file, Some(metadata.len())))
    }
}

impl<B: Into<Bytes>> From<B> for UploadBody {
    fn from(bytes: B) -> Self {
        Self(Source::Bytes(bytes.into()))
    }
}

impl fmt::Debug for UploadBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = match &self.0 {
            Source::Bytes(bytes) => Some(bytes.len() as u64),
            Source::Stream { length, .. } => *length,
        };
        f.debug_struct("UploadBody").field("length", &length).finish_non_exhaustive()
    }
}
