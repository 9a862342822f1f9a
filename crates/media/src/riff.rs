//! RIFF chunks, for WAV and WebP: little- or big-endian, 32-bit sizes with RF64's 64-bit ones on top.

use std::io::{Read, Seek};

use crate::bytes::{u32_be, u32_le, u64_le};
use crate::error::Fault;
use crate::source::Source;

/// A size that is not known, or stands in the `ds64` chunk.
pub(crate) const UNKNOWN_SIZE: u32 = u32::MAX;

/// No file with a format and contents is smaller: the writer left its first guess there.
const MIN_SIZE: u32 = 12;

/// An opened RIFF file.
pub(crate) struct Riff {
    pub(crate) big_endian: bool,
    /// Where the first chunk starts.
    pub(crate) body: u64,
    /// Where the header says that the file ends; its own length when the header does not know.
    pub(crate) claimed_end: u64,
    /// Sizes from `ds64` (EBU Tech 3306).
    pub(crate) data_size: Option<u64>,
}

/// A chunk, cut to the file.
pub(crate) struct Chunk {
    pub(crate) id: [u8; 4],
    pub(crate) body: u64,
    /// As claimed.
    pub(crate) claimed: u64,
    file_end: u64,
    padded: bool,
}

impl Chunk {
    /// Bytes that are really there.
    pub(crate) fn len(&self) -> u64 {
        self.claimed.min(self.file_end.saturating_sub(self.body))
    }

    pub(crate) fn claimed_end(&self) -> u64 {
        self.body.saturating_add(self.claimed)
    }

    /// Where the next chunk starts.
    pub(crate) fn next_at(&self) -> u64 {
        self.claimed_end().saturating_add(u64::from(self.padded))
    }
}

/// Reads the file header, and `ds64` if there is one.
pub(crate) fn open<S: Read + Seek>(source: &mut Source<S>) -> Result<Riff, Fault> {
    let header = source.array::<12>(0)?;
    let big_endian = header.starts_with(b"RIFX");
    let size = if big_endian { u32_be(&header, 4) } else { u32_le(&header, 4) };
    let claimed_end = match size {
        0..MIN_SIZE | UNKNOWN_SIZE => source.len(),
        // An odd size is padded; not every writer does, and the pad byte then is simply not there.
        size => {
            let end = 8 + u64::from(size);
            if size % 2 == 1 && end + 1 == source.len() { end + 1 } else { end }
        }
    };
    let mut riff = Riff { big_endian, body: 12, claimed_end, data_size: None };
    if header.starts_with(b"RF64") || header.starts_with(b"BW64") {
        riff.read_ds64(source)?;
    }
    Ok(riff)
}

impl Riff {
    /// The chunk at `at`; `None` where no header fits any more.
    pub(crate) fn next<S: Read + Seek>(&self, source: &mut Source<S>, at: u64) -> Result<Option<Chunk>, Fault> {
        source.step()?;
        let end = self.claimed_end.min(source.len());
        if at.saturating_add(8) > end {
            return Ok(None);
        }
        let header = source.array::<8>(at)?;
        let [a, b, c, d, ..] = header;
        let size = if self.big_endian { u32_be(&header, 4) } else { u32_le(&header, 4) };
        let claimed = match self.data_size {
            Some(size64) if size == UNKNOWN_SIZE && header.starts_with(b"data") => size64,
            _ => u64::from(size),
        };
        let body = at + 8;
        let mut chunk = Chunk { id: [a, b, c, d], body, claimed, file_end: source.len(), padded: false };
        chunk.padded = claimed % 2 == 1 && pad_follows(source, chunk.claimed_end())?;
        Ok(Some(chunk))
    }

    fn read_ds64<S: Read + Seek>(&mut self, source: &mut Source<S>) -> Result<(), Fault> {
        let chunk = source.array::<32>(12)?;
        if !chunk.starts_with(b"ds64") {
            return Ok(());
        }
        let riff_size = u64_le(&chunk, 8);
        if riff_size > 0 && riff_size < u64::MAX - 8 {
            self.claimed_end = riff_size + 8;
        }
        self.data_size = Some(u64_le(&chunk, 16)).filter(|size| *size < u64::MAX / 2);
        Ok(())
    }
}

/// An odd chunk is padded with a zero byte. Some writers forget it: then the next chunk's name stands there.
fn pad_follows<S: Read + Seek>(source: &mut Source<S>, at: u64) -> Result<bool, Fault> {
    let mut next = [0];
    let there = source.read_at(at, &mut next)?;
    Ok(there == 0 || next == [0])
}
