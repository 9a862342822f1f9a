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
            0xE1 if orientation.is_none() => {
                let segment = source.up_to(body + 2, usize::try_from(len - 2).unwrap_or_default())?;
                if segment.starts_with(b"Exif\0\0") {
                    orientation = Some(exif::orientation(&segment));
                }
            }
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
fn check_tail<S: Read + Seek>(source: &mut Source<S>, scan: u64) -> Result<(), Fault> {
    let start = source.len().saturating_sub(TAIL).max(scan);
    let tail = source.up_to(start, usize::try_from(TAIL).unwrap_or_default())?;
    let ended = find(&tail, b"\xff\xd9").is_some();
    if !ended && is_image_data(&tail) {
        return Err(Fault::Corrupt(TRUNCATED));
    }
    let zip = rfind(&tail, b"PK\x05\x06").filter(|at| is_zip_end(&tail, *at));
    let after_end = find(&tail, b"\xff\xd9").map_or(tail.len(), |at| at + 2);
    let rest = slice(&tail, after_end, usize::MAX);
    if zip.is_none() && !holds_foreign_content(rest) {
        return Ok(());
    }
    let bytes = (tail.len() - after_end).max(1) as u64;
    Err(MediaError::TrailingData { format: Format::Jpeg, bytes }.into())
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
