//! An object in storage as something that can be read and seeked, for finding the facts of a file that is too large for
//! memory.

use std::collections::VecDeque;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use bytes::Bytes;
use object_store_storage::{ByteRange, ObjectKey, ObjectStorage, StorageError, StorageResult, collect};
use tokio::runtime::Handle;

use crate::upload::pause;

/// How much one ranged read fetches.
const BLOCK: u64 = 128 << 10;

/// How many blocks are kept: enough for a parser that goes back and forth between a few places.
const KEPT_BLOCKS: usize = 16;

/// How often a block is asked for.
const FETCH_ATTEMPTS: u32 = 3;

/// Reads an object by ranged requests. For use on a thread that may block.
pub(crate) struct RangedObject {
    storage: Arc<dyn ObjectStorage>,
    runtime: Handle,
    key: ObjectKey,
    size_bytes: u64,
    position: u64,
    /// The beginning, which is in memory already.
    head: Bytes,
    /// The most recently used last.
    blocks: VecDeque<(u64, Bytes)>,
    /// What each range has to be of, where somebody else may write the object meanwhile.
    etag: Option<String>,
}

impl RangedObject {
    pub(crate) fn new(
        storage: Arc<dyn ObjectStorage>,
        runtime: Handle,
        key: ObjectKey,
        size_bytes: u64,
        head: Bytes,
    ) -> Self {
        Self { storage, runtime, key, size_bytes, position: 0, head, blocks: VecDeque::new(), etag: None }
    }

    /// Fails with [`StorageError::PreconditionFailed`] once the object is no longer the one with this entity tag.
    pub(crate) fn only(mut self, etag: impl Into<String>) -> Self {
        self.etag = Some(etag.into());
        self
    }

    /// The bytes from `position` on, as many as are at hand; empty only at the end.
    fn at(&mut self, position: u64) -> io::Result<Bytes> {
        if position >= self.size_bytes {
            return Ok(Bytes::new());
        }
        if let Some(rest) = tail(&self.head, position) {
            return Ok(rest);
        }
        let start = position - position % BLOCK;
        let block = self.block(start)?;
        tail(&block, position - start)
            .ok_or_else(|| io::Error::other(StorageError::Corrupted { reason: "a range came back too short" }))
    }

    fn block(&mut self, start: u64) -> io::Result<Bytes> {
        if let Some(index) = self.blocks.iter().position(|(at, _)| *at == start)
            && let Some(block) = self.blocks.remove(index)
        {
            self.blocks.push_back(block.clone());
            return Ok(block.1);
        }
        let bytes = self.runtime.block_on(self.fetch_again(start)).map_err(io::Error::other)?;
        if self.blocks.len() == KEPT_BLOCKS {
            self.blocks.pop_front();
        }
        self.blocks.push_back((start, bytes.clone()));
        Ok(bytes)
    }

    /// A finished upload is not thrown away because one of its many small downloads failed.
    async fn fetch_again(&self, start: u64) -> StorageResult<Bytes> {
        let mut attempt = 1;
        loop {
            match self.fetch(start).await {
                Err(StorageError::Unavailable { .. }) if attempt < FETCH_ATTEMPTS => {
                    pause(attempt).await;
                    attempt += 1;
                }
                done => return done,
            }
        }
    }

    async fn fetch(&self, start: u64) -> StorageResult<Bytes> {
        let length = BLOCK.min(self.size_bytes - start);
        let download = self.storage.get(&self.key, Some(ByteRange { start, length })).await?;
        if self.etag.as_ref().is_some_and(|etag| *etag != download.meta.etag) {
            return Err(StorageError::PreconditionFailed);
        }
        collect(download.stream).await.map_err(broken_off)
    }
}

/// What breaks off on its way from storage may arrive next time.
pub(crate) fn broken_off(error: StorageError) -> StorageError {
    match error {
        StorageError::Body(source) => StorageError::Unavailable {
            reason: "a download broke off".to_owned(),
            outcome_unknown: false,
            source: Some(Box::new(source)),
        },
        other => other,
    }
}

/// What follows `position` in `bytes`; `None` where nothing does.
fn tail(bytes: &Bytes, position: u64) -> Option<Bytes> {
    let position = usize::try_from(position).ok()?;
    (position < bytes.len()).then(|| bytes.slice(position..))
}

impl Read for RangedObject {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.at(self.position)?;
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for RangedObject {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
            SeekFrom::End(offset) => self.size_bytes.checked_add_signed(offset),
        };
        self.position =
            target.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "seek to before the beginning"))?;
        Ok(self.position)
    }
}
