//! JPEG (ITU-T T.81). Read here, because cameras and editors leave junk between segments that `imagesize` refuses.

use std::io::{Read, Seek};

use super::{checked_size, exif};
use crate::bytes::{find, rfind, slice, u8_at, u16_be};
use crate::detect::holds_foreign_content;
use crate::error::{Fault, MediaError, TRUNCATED};
use crate::facts::ImageFacts;
use crate::format::Format;
use crate::policy::Limits;
use crate::source::Source;

/// Junk before a marker that is skipped, as decoders do.
const MAX_JUNK: u64 = 64 << 10;
/// A ZIP end record lies within a 64 KiB comment and its own 22 bytes of the end.
const TAIL: u64 = (64 << 10) + 22;
/// Enough to see that a picture goes on to the end of the file.
const SHORT_TAIL: u64 = 32 << 10;
/// What is read of an EXIF segment at first.
const EXIF_START: usize = 2 << 10;

pub(super) fn facts<S: Read + Seek>(source: &mut Source<S>, limits: &Limits) -> Result<ImageFacts, Fault> {
    let mut orientation = None;
    let mut found = None;
    let mut at = 2;
    let scan = loop {
        source.step()?;
        let (marker, body) = next_marker(source, at)?;
        match marker {
            // Standalone: restart markers, TEM, and a repeated start.
            0x01 | 0xD0..=0xD8 => {
                at = body;
                continue;
            }
            0xD9 => return Err(Fault::Corrupt("it ends before its image data")),
            _ => {}
        }
        let len = u64::from(u16::from_be_bytes(source.array::<2>(body)?));
        if len < 2 {
            return Err(Fault::Corrupt("a segment is shorter than its own header"));
        }
        match marker {
            // Start of frame; the gaps are DHT, JPG and DAC.
            0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF if found.is_none() => {
                let frame = source.array::<8>(body)?;
                let (width, height) = (u32::from(u16_be(&frame, 5)), u32::from(u16_be(&frame, 3)));
                let (width, height) = checked_size(limits, width, height)?;
                found = Some((width, height, u8_at(&frame, 2)));
            }
            0xE1 if orientation.is_none() => orientation = read_exif(source, body + 2, len - 2)?,
            0xDA => break body + len,
            _ => {}
        }
        at = body + len;
    };
    let (width, height, depth) = found.ok_or(Fault::Corrupt("it has no frame header"))?;
    if scan >= source.len() {
        return Err(Fault::Corrupt(TRUNCATED));
    }
    check_tail(source, scan)?;
    let mut facts = ImageFacts::still(width, height);
    facts.bit_depth = Some(depth);
    facts.has_alpha = Some(false);
    Ok(facts.turned(orientation.unwrap_or(1)))
}

/// The orientation of an EXIF segment; `None` when it is something else. The first directory nearly always comes first,
/// and thumbnails and maker notes after it: so the rest is fetched only when that is not so.
fn read_exif<S: Read + Seek>(source: &mut Source<S>, at: u64, len: u64) -> Result<Option<u8>, Fault> {
    if &source.padded::<6>(at)? != b"Exif\0\0" {
        return Ok(None);
    }
    let len = usize::try_from(len).unwrap_or_default();
    let start = source.up_to(at, len.min(EXIF_START))?;
    if start.len() < len && exif::directory_end(&start) > start.len() {
        return Ok(Some(exif::orientation(&source.up_to(at, len)?)));
    }
    Ok(Some(exif::orientation(&start)))
}

/// The marker at or after `at`, and where its segment starts.
fn next_marker<S: Read + Seek>(source: &mut Source<S>, at: u64) -> Result<(u8, u64), Fault> {
    let mut junk = 0;
    while junk <= MAX_JUNK {
        let pair = source.array::<2>(at + junk)?;
        // FF FF is fill, FF 00 is an escaped byte of image data.
        if u8_at(&pair, 0) == 0xFF && !matches!(u8_at(&pair, 1), 0 | 0xFF) {
            return Ok((u8_at(&pair, 1), at + junk + 2));
        }
        junk += 1;
    }
    Err(Fault::Corrupt("a marker is missing"))
}

/// Cameras put more pictures, maps and padding after the end, so bytes there are tolerated; an archive or markup is
/// not, because then the file is two things at once.
///
/// An archive is found by its end record, which a comment of up to 64 KiB may follow. So much is fetched unless the last
/// part of the file is plainly image data up to a single end marker, which leaves no room for anything after it.
fn check_tail<S: Read + Seek>(source: &mut Source<S>, scan: u64) -> Result<(), Fault> {
    let mut tail = read_tail(source, scan, SHORT_TAIL)?;
    if !is_image_to_the_end(&tail) {
        tail = read_tail(source, scan, TAIL)?;
    }
    let ended = find(&tail, b"\xff\xd9");
    if ended.is_none() && is_image_data(&tail) {
        return Err(Fault::Corrupt(TRUNCATED));
    }
    let zip = rfind(&tail, b"PK\x05\x06").filter(|at| is_zip_end(&tail, *at));
    let after_end = ended.map_or(tail.len(), |at| at + 2);
    let rest = slice(&tail, after_end, usize::MAX);
    if zip.is_none() && !holds_foreign_content(rest) {
        return Ok(());
    }
    let bytes = (tail.len() - after_end).max(1) as u64;
    Err(MediaError::TrailingData { format: Format::Jpeg, bytes }.into())
}

/// At most the last `len` bytes, from `scan` on.
fn read_tail<S: Read + Seek>(source: &mut Source<S>, scan: u64, len: u64) -> Result<Vec<u8>, Fault> {
    let start = source.len().saturating_sub(len).max(scan);
    source.up_to(start, usize::try_from(len).unwrap_or_default())
}

/// Whether this is the inside of a scan and then the end of the picture, and dense as coded data are: a comment that only
/// ends as a picture does is text or filling, and shows by few different bytes or no escaped ones.
fn is_image_to_the_end(tail: &[u8]) -> bool {
    let Some(scan) = tail.strip_suffix(b"\xff\xd9").filter(|scan| is_image_data(scan)) else { return false };
    let mut counts = [0_usize; 256];
    for byte in scan {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let different = counts.iter().filter(|count| **count > 0).count();
    let most = counts.iter().max().copied().unwrap_or_default();
    let escaped = counts.get(0xFF).copied().unwrap_or_default();
    different >= 240 && most < scan.len() / 16 && escaped >= scan.len() / 2048
}

/// Whether this is the inside of a scan: there, FF is followed by 00 or a restart marker only (ITU-T T.81 section F.1.2.3).
fn is_image_data(data: &[u8]) -> bool {
    data.windows(2).all(|pair| u8_at(pair, 0) != 0xFF || matches!(u8_at(pair, 1), 0 | 0xD0..=0xD7))
}

/// The record and its comment must fit: four bytes alone may turn up in image data by chance.
fn is_zip_end(tail: &[u8], at: usize) -> bool {
    let comment = usize::from(crate::bytes::u16_le(tail, at + 20));
    at + 22 <= tail.len() && at + 22 + comment <= tail.len()
}
