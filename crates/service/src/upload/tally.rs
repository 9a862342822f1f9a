//! Counting and hashing a stream on its way, and stopping it when it is too long.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::StreamExt;
use object_store_models::Sha256;
use object_store_storage::ByteStream;
use sha2::Digest;

use crate::error::ValidationError;

/// What has gone through a [`tallied`] stream so far.
#[derive(Clone, Default)]
pub(crate) struct Tally(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    hasher: sha2::Sha256,
    size_bytes: u64,
    refusal: Option<ValidationError>,
}

/// The same stream, counted and hashed. It fails after more than `limit` or more than `announced` bytes, or after fewer
/// than `announced`; [`Tally::refusal`] then says so.
pub(crate) fn tallied(stream: ByteStream, limit: u64, announced: Option<u64>) -> (ByteStream, Tally) {
    let tally = Tally::default();
    let counted = {
        let tally = tally.clone();
        stream.map(move |piece| piece.and_then(|piece| tally.add(piece, limit, announced)))
    };
    let end = {
        let tally = tally.clone();
        futures::stream::iter(std::iter::once_with(move || tally.end(announced)).flatten())
    };
    (counted.chain(end).boxed(), tally)
}

impl Tally {
    /// The digest and the number of bytes.
    pub(crate) fn finish(&self) -> (Sha256, u64) {
        self.with(|state| (<[u8; 32]>::from(state.hasher.clone().finalize()).into(), state.size_bytes))
    }

    /// Why the stream was stopped, if it was.
    pub(crate) fn refusal(&self) -> Option<ValidationError> {
        self.with(|state| state.refusal.clone())
    }

    fn add(&self, piece: Bytes, limit: u64, announced: Option<u64>) -> io::Result<Bytes> {
        self.with(|state| {
            state.size_bytes += piece.len() as u64;
            let actual = state.size_bytes;
            if let Some(announced) = announced
                && actual > announced
            {
                return Err(state.refuse(ValidationError::LengthMismatch { announced, actual }));
            }
            if actual > limit {
                return Err(state.refuse(ValidationError::TooLarge { limit, actual }));
            }
            state.hasher.update(&piece);
            Ok(piece)
        })
    }

    /// What follows the last piece: an error if there were too few.
    fn end(&self, announced: Option<u64>) -> Option<io::Result<Bytes>> {
        self.with(|state| match announced {
            Some(announced) if state.size_bytes < announced => {
                let actual = state.size_bytes;
                Some(Err(state.refuse(ValidationError::LengthMismatch { announced, actual })))
            }
            _ => None,
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        // Nothing in here panics half-way through a change.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn refuse(&mut self, refusal: ValidationError) -> io::Error {
        self.refusal = Some(refusal.clone());
        io::Error::other(refusal)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures::{StreamExt, TryStreamExt, stream};
    use sha2::Digest;

    use super::tallied;
    use crate::error::ValidationError;

    async fn run(pieces: &'static [&'static str], limit: u64, announced: Option<u64>) -> Result<u64, ValidationError> {
        let pieces = stream::iter(pieces.iter().map(|piece| Ok(Bytes::from_static(piece.as_bytes())))).boxed();
        let (stream, tally) = tallied(pieces, limit, announced);
        match stream.try_for_each(|_| async { Ok(()) }).await {
            Ok(()) => Ok(tally.finish().1),
            Err(_) => Err(tally.refusal().unwrap()),
        }
    }

    #[tokio::test]
    async fn a_stream_within_its_limits_passes() {
        assert_eq!(run(&["ab", "", "cd"], 4, Some(4)).await, Ok(4));
        assert_eq!(run(&["ab", "cd"], 4, None).await, Ok(4));
    }

    #[tokio::test]
    async fn the_digest_is_that_of_all_bytes() {
        let (stream, tally) = tallied(stream::iter([Ok(Bytes::from_static(b"abcd"))]).boxed(), 4, None);
        stream.try_for_each(|_| async { Ok(()) }).await.unwrap();
        assert_eq!(*tally.finish().0.as_bytes(), <[u8; 32]>::from(sha2::Sha256::digest(b"abcd")));
    }

    #[tokio::test]
    async fn a_stream_outside_its_limits_is_stopped() {
        assert_eq!(run(&["ab", "cde"], 4, None).await, Err(ValidationError::TooLarge { limit: 4, actual: 5 }));
        let long = ValidationError::LengthMismatch { announced: 3, actual: 4 };
        assert_eq!(run(&["ab", "cd", "ef"], 9, Some(3)).await, Err(long));
        let short = ValidationError::LengthMismatch { announced: 5, actual: 4 };
        assert_eq!(run(&["ab", "cd"], 9, Some(5)).await, Err(short));
    }
}
