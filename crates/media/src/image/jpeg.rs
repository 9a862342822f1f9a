//! JPEG (ITU-T T.81). Read here, because cameras and editors leave junk between segments that `imagesize` refuses.

use std::io::{Read, Seek};

use super::{checked_size, exif};
use crate::archive;
use crate::bytes::{find, slice, u8_at, u16_be};
use crate::detect::holds_foreign_content;
use crate::error::{Fault, TRUNCATED};
use crate::facts::ImageFacts;
use crate::policy::Limits;
use crate::source::Source;

/// Junk before a marker that is skipped, as decoders do.
const MAX_JUNK: usize = 64 << 10;
/// How much is looked through for a marker at a time.
const PIECE: usize = 256;
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
    let pair = source.array::<2>(at)?;
    if let Some(marker) = marker(&pair) {
        return Ok((marker, at + 2));
    }
    let mut junk = 0;
    while junk <= MAX_JUNK {
        let piece = source.up_to(at + junk as u64, PIECE)?;
        if piece.len() < 2 {
            return Err(Fault::Corrupt(TRUNCATED));
        }
        if let Some((offset, marker)) =
            piece.windows(2).enumerate().find_map(|(offset, pair)| Some((offset, marker(pair)?)))
        {
            return Ok((marker, at + (junk + offset + 2) as u64));
        }
        // A marker may lie across the edge.
        junk += piece.len() - 1;
    }
    Err(Fault::Corrupt("a marker is missing"))
}

/// FF FF is fill, FF 00 is an escaped byte of image data.
fn marker(pair: &[u8]) -> Option<u8> {
    let marker = u8_at(pair, 1);
    (u8_at(pair, 0) == 0xFF && !matches!(marker, 0 | 0xFF)).then_some(marker)
}

/// Cameras put more pictures, maps and padding after the end, so bytes there are tolerated; an archive or markup is
/// not, because then the file is two things at once.
///
/// Nothing but the image data itself shows where it ends, and a comment of an archive can be made to look like it: so all
/// of the end is fetched in which unpackers look for an archive.
fn check_tail<S: Read + Seek>(source: &mut Source<S>, scan: u64) -> Result<(), Fault> {
    let len = source.len();
    let start = len.saturating_sub(archive::TAIL).max(scan);
    let tail = source.up_to(start, usize::try_from(len - start).unwrap_or_default())?;
    let ended = find(&tail, b"\xff\xd9").map(|at| at + 2);
    if ended.is_none() && is_image_data(&tail) {
        return Err(Fault::Corrupt(TRUNCATED));
    }
    // A tail without an end that is no image data lies behind it.
    let after_end = ended.unwrap_or_default();
    if archive::ends_between(source, start, len)? || holds_foreign_content(slice(&tail, after_end, usize::MAX)) {
        let bytes = (tail.len() - after_end).max(1) as u64;
        return Err(Fault::Trailing(bytes));
    }
    // Comments and other segments.
    archive::check(source, 0, scan)
}

/// Whether this is the inside of a scan: there, FF is followed by 00 or a restart marker only (ITU-T T.81 section F.1.2.3).
fn is_image_data(data: &[u8]) -> bool {
    data.windows(2).all(|pair| u8_at(pair, 0) != 0xFF || matches!(u8_at(pair, 1), 0 | 0xD0..=0xD7))
}
