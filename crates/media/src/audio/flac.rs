//! FLAC (RFC 9639).

use std::io::{Read, Seek};

use super::skip_id3;
use super::tags::{self, Tags};
use crate::bytes::{slice, u8_at, u16_be, u24_be, u64_be};
use crate::error::{Fault, TRUNCATED};
use crate::facts::{AudioFacts, Codec, DurationSource};
use crate::source::Source;

const STREAMINFO: u8 = 0;
const VORBIS_COMMENT: u8 = 4;
/// The last frame lies within this of the end: larger frames than that are not streamable (RFC 9639 section 7).
const TAIL: usize = 64 << 10;
/// Frames of CD quality are hardly larger.
const SMALL_TAIL: usize = 16 << 10;

pub(super) fn facts<S: Read + Seek>(source: &mut Source<S>) -> Result<AudioFacts, Fault> {
    let mut tags = Tags::default();
    let start = skip_id3(source)?;
    let info = read_blocks(source, start + 4, &mut tags)?;
    tags::id3v2(source, 0, &mut tags)?;
    let (info, frames_at) = info;
    let packed = u64_be(&info, 10);
    let rate = u32::try_from(packed >> 44).unwrap_or_default();
    let channels = u16::try_from((packed >> 41 & 7) + 1).unwrap_or_default();
    let bits = u16::try_from((packed >> 36 & 31) + 1).unwrap_or_default();
    let total = packed & 0xF_FFFF_FFFF;
    let frame = source.up_to(frames_at, 2)?;
    if rate > 0 && (frame.len() < 2 || u8_at(&frame, 0) != 0xFF || u8_at(&frame, 1) & 0xFE != 0xF8) {
        return Err(Fault::Corrupt("no frame follows its header"));
    }
    let mut facts = AudioFacts::new(Codec::Flac, rate, channels);
    facts.bit_depth = Some(bits);
    facts.variable_bitrate = Some(true);
    let facts = if total > 0 {
        facts.lasting(total, u64::from(rate), DurationSource::Header)
    } else {
        match last_sample(source, frames_at, u16_be(&info, 2))? {
            Some(samples) => facts.lasting(samples, u64::from(rate), DurationSource::Counted),
            None => facts,
        }
    };
    Ok(tags.tell(facts.averaging(source.len() - frames_at)))
}

/// The stream information, and where the frames start.
fn read_blocks<S: Read + Seek>(source: &mut Source<S>, mut at: u64, tags: &mut Tags) -> Result<([u8; 34], u64), Fault> {
    let mut info = None;
    let mut commented = false;
    loop {
        source.step()?;
        let header = source.array::<4>(at)?;
        let (kind, len) = (u8_at(&header, 0) & 0x7F, u64::from(u24_be(&header, 1)));
        let body = at + 4;
        if body + len > source.len() {
            return Err(Fault::Corrupt(TRUNCATED));
        }
        match kind {
            STREAMINFO if info.is_none() && len == 34 => info = Some(source.array::<34>(body)?),
            // There is but one (section 8.6).
            VORBIS_COMMENT if !commented => {
                commented = true;
                tags::vorbis_comments(source, body, body + len, tags)?;
            }
            _ => {}
        }
        // The stream information must come first (section 8.2).
        let Some(info) = info else { return Err(Fault::Corrupt("it does not start with stream information")) };
        at = body + len;
        if u8_at(&header, 0) & 0x80 != 0 {
            return Ok((info, at));
        }
    }
}

/// Where the last frame ends, in samples: frames are numbered, and their headers have a checksum of their own.
fn last_sample<S: Read + Seek>(source: &mut Source<S>, frames_at: u64, block_size: u16) -> Result<Option<u64>, Fault> {
    for len in [SMALL_TAIL, TAIL] {
        let start = source.len().saturating_sub(len as u64).max(frames_at);
        let tail = source.up_to(start, len)?;
        let mut starts = (0..tail.len().saturating_sub(5)).rev();
        if let Some(end) = starts.find_map(|at| frame_end(slice(&tail, at, 16), u64::from(block_size))) {
            return Ok(Some(end));
        }
        if start == frames_at {
            break;
        }
    }
    Ok(None)
}

/// The first sample after the frame that starts with `header` (section 9.1); `None` when none starts there.
fn frame_end(header: &[u8], fixed_size: u64) -> Option<u64> {
    if u8_at(header, 0) != 0xFF || u8_at(header, 1) & 0xFE != 0xF8 || u8_at(header, 3) & 1 != 0 {
        return None;
    }
    let variable = u8_at(header, 1) & 1 == 1;
    let (number, number_len) = coded_number(slice(header, 4, 7))?;
    let mut at = 4 + number_len;
    let code = u8_at(header, 2) >> 4;
    let size = match code {
        0 => return None,
        1 => 192,
        2..=5 => 144 << code,
        6 => u64::from(u8_at(header, at)) + 1,
        7 => u64::from(u16_be(header, at)) + 1,
        _ => 1 << code,
    };
    at += match code {
        6 => 1,
        7 => 2,
        _ => 0,
    };
    at += match u8_at(header, 2) & 15 {
        12 => 1,
        13 | 14 => 2,
        15 => return None,
        _ => 0,
    };
    let covered = slice(header, 0, at);
    (covered.len() == at && at < header.len() && crc8(covered) == u8_at(header, at))
        .then(|| if variable { number } else { number.saturating_mul(fixed_size) }.saturating_add(size))
}

/// A number coded as UTF-8 codes characters, up to 36 bits; and its length.
fn coded_number(data: &[u8]) -> Option<(u64, usize)> {
    let first = u8_at(data, 0);
    let len = match first.leading_ones() {
        0 => return Some((u64::from(first), 1)),
        ones @ 2..=7 => ones as usize,
        _ => return None,
    };
    let mut number = u64::from(first) & ((1 << (7 - len.min(7))) - 1);
    for byte in slice(data, 1, len - 1) {
        number = number << 6 | u64::from(byte & 0x3F);
    }
    (data.len() >= len).then_some((number, len))
}

/// Polynomial x^8 + x^2 + x + 1.
fn crc8(data: &[u8]) -> u8 {
    data.iter()
        .fold(0, |crc, byte| (0..8).fold(crc ^ byte, |crc, _| if crc & 0x80 == 0 { crc << 1 } else { crc << 1 ^ 0x07 }))
}
