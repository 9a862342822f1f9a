//! Bodies on their way to the server.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use md5::{Digest, Md5};
use object_store_storage::{ByteStream, StorageError};
use tokio::time::Instant;

/// How much is handed over at once. A body moves in pieces of this size, so that a slow one is seen to move.
const PIECE_BYTES: usize = 128 * 1024;

/// What sender and waiter know of a body on its way.
#[derive(Debug)]
pub(crate) struct Progress {
    last: Mutex<Instant>,
    fault: Mutex<Option<StorageError>>,
    waits_for_source: AtomicBool,
}

impl Progress {
    /// Nothing has moved yet, and nothing can before there is a connection, for which there is a time of its own.
    pub(crate) fn new(connect_timeout: Duration) -> Arc<Self> {
        let now = Instant::now();
        Arc::new(Self {
            last: Mutex::new(now.checked_add(connect_timeout).unwrap_or(now)),
            fault: Mutex::new(None),
            waits_for_source: AtomicBool::new(false),
        })
    }

    /// When patience ends, unless there is more progress.
    pub(crate) fn deadline(&self, patience: Duration) -> Instant {
        *lock(&self.last) + patience
    }

    /// What was wrong with the body, if anything was.
    pub(crate) fn take_fault(&self) -> Option<StorageError> {
        lock(&self.fault).take()
    }

    /// Whether the body's own reader is what everybody waits for.
    pub(crate) fn waits_for_source(&self) -> bool {
        self.waits_for_source.load(Ordering::Acquire)
    }

    fn step(&self) {
        *lock(&self.last) = Instant::now();
    }

    fn wait_for_source(&self, waits: bool) {
        self.waits_for_source.store(waits, Ordering::Release);
    }

    fn fail(&self, fault: StorageError) -> io::Error {
        *lock(&self.fault) = Some(fault);
        io::Error::other("the body is withheld")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes in memory, in pieces.
pub(crate) fn pieces(bytes: Bytes, progress: Arc<Progress>) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    futures::stream::unfold((bytes, progress), |(mut bytes, progress)| async move {
        if bytes.is_empty() {
            return None;
        }
        progress.step();
        let piece = bytes.split_to(bytes.len().min(PIECE_BYTES));
        Some((Ok(piece), (bytes, progress)))
    })
    .fuse()
}

/// A stream that must yield exactly `length` bytes, with the digest if there is one. The last piece is held back until
/// the stream has ended and everything is as announced: without it the server has no whole body and stores nothing.
pub(crate) fn checked(
    source: ByteStream,
    length: u64,
    md5: Option<[u8; 16]>,
    progress: Arc<Progress>,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let state = Checked {
        source,
        ready: Bytes::new(),
        seen: 0,
        length,
        digest: md5.map(|md5| (Md5::new(), md5)),
        progress,
        stage: Stage::Reading,
    };
    futures::stream::unfold(state, |mut state| async move {
        let item = state.next().await?;
        Some((item, state))
    })
    .fuse()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Reading,
    /// The source has ended and was right.
    Proven,
    Failed,
}

struct Checked {
    source: ByteStream,
    ready: Bytes,
    seen: u64,
    length: u64,
    digest: Option<(Md5, [u8; 16])>,
    progress: Arc<Progress>,
    stage: Stage,
}

impl Checked {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        if self.stage == Stage::Failed {
            return None;
        }
        if self.ready.is_empty()
            && self.stage == Stage::Reading
            && let Err(fault) = self.read().await
        {
            self.stage = Stage::Failed;
            return Some(Err(self.progress.fail(fault)));
        }
        if self.ready.is_empty() {
            return None;
        }
        self.progress.step();
        let piece = self.ready.split_to(self.ready.len().min(PIECE_BYTES));
        Some(Ok(piece))
    }

    /// Reads what may be sent next.
    async fn read(&mut self) -> Result<(), StorageError> {
        while self.seen < self.length {
            let Some(piece) = self.pull().await? else {
                return Err(StorageError::Corrupted { reason: "the body is shorter than announced" });
            };
            if self.seen < self.length && !piece.is_empty() {
                self.ready = piece;
                return Ok(());
            }
            self.ready = piece;
        }
        while self.pull().await?.is_some() {}
        if let Some((hash, announced)) = self.digest.take()
            && hash.finalize()[..] != announced
        {
            return Err(StorageError::Corrupted { reason: "the body has another MD5 than announced" });
        }
        self.stage = Stage::Proven;
        Ok(())
    }

    async fn pull(&mut self) -> Result<Option<Bytes>, StorageError> {
        self.progress.wait_for_source(true);
        let piece = self.source.next().await;
        self.progress.wait_for_source(false);
        let Some(piece) = piece.transpose().map_err(StorageError::Body)? else { return Ok(None) };
        self.seen = self.seen.saturating_add(piece.len() as u64);
        if self.seen > self.length {
            return Err(StorageError::Corrupted { reason: "the body is longer than announced" });
        }
        if let Some((hash, _)) = &mut self.digest {
            hash.update(&piece);
        }
        Ok(Some(piece))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use std::io;

    use bytes::Bytes;
    use futures::{StreamExt, TryStreamExt};
    use md5::{Digest, Md5};
    use object_store_storage::{ByteStream, StorageError};

    use super::{Progress, checked, pieces};

    fn source(pieces: &[&'static str]) -> ByteStream {
        let pieces: Vec<io::Result<Bytes>> =
            pieces.iter().map(|piece| Ok(Bytes::from_static(piece.as_bytes()))).collect();
        futures::stream::iter(pieces).boxed()
    }

    /// What was sent, and what was found wrong.
    async fn send(source: ByteStream, length: u64, md5: Option<[u8; 16]>) -> (Vec<u8>, Option<StorageError>) {
        let progress = Progress::new(Duration::ZERO);
        let mut stream = Box::pin(checked(source, length, md5, progress.clone()));
        let mut sent = Vec::new();
        while let Some(Ok(piece)) = stream.next().await {
            sent.extend_from_slice(&piece);
        }
        assert!(stream.next().await.is_none(), "nothing follows the end");
        (sent, progress.take_fault())
    }

    #[tokio::test]
    async fn a_right_body_passes() {
        let md5 = Md5::digest(b"abcdef").into();
        for pieces in [&["abcdef"][..], &["abc", "def"], &["", "abc", "", "def", ""], &["abc", "def", "", ""]] {
            let (sent, fault) = send(source(pieces), 6, Some(md5)).await;
            assert_eq!((sent.as_slice(), fault.is_none()), (&b"abcdef"[..], true), "{pieces:?}");
        }
    }

    #[tokio::test]
    async fn a_wrong_body_never_arrives_whole() {
        for (pieces, length) in
            [(&["abc"][..], 4), (&["abc", "d"], 3), (&["abcd"], 3), (&[], 1), (&["abc", "", "d"], 3)]
        {
            let (sent, fault) = send(source(pieces), length, None).await;
            assert!((sent.len() as u64) < length, "{pieces:?}");
            assert!(matches!(fault, Some(StorageError::Corrupted { .. })), "{pieces:?} {fault:?}");
        }
        let (sent, fault) = send(source(&["abc", "def"]), 6, Some([0; 16])).await;
        assert_eq!(sent, b"abc");
        assert!(matches!(fault, Some(StorageError::Corrupted { reason }) if reason.contains("MD5")));
    }

    #[tokio::test]
    async fn the_readers_own_error_is_kept() {
        let broken = futures::stream::iter([Ok(Bytes::from_static(b"ab")), Err(io::Error::other("disk"))]).boxed();
        let (sent, fault) = send(broken, 6, None).await;
        assert_eq!(sent, b"ab");
        assert!(matches!(fault, Some(StorageError::Body(error)) if error.to_string() == "disk"));
    }

    #[tokio::test]
    async fn large_pieces_are_cut() {
        let bytes = Bytes::from(vec![7; 1_000_000]);
        let sent: Vec<Bytes> = pieces(bytes.clone(), Progress::new(Duration::ZERO)).try_collect().await.unwrap();
        assert!(sent.len() > 7 && sent.concat() == bytes);
        let whole = futures::stream::iter([Ok(bytes.clone())]).boxed();
        let sent: Vec<Bytes> =
            checked(whole, 1_000_000, None, Progress::new(Duration::ZERO)).try_collect().await.unwrap();
        assert!(sent.len() > 7 && sent.concat() == bytes);
    }
}
