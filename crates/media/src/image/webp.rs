//! WebP (RFC 9649).

use std::io::{Read, Seek};

use super::{checked_size, exif, library_size};
use crate::archive;
use crate::bytes::{slice, u8_at, u16_le, u32_le};
use crate::error::Fault;
use crate::facts::ImageFacts;
use crate::policy::Limits;
use crate::riff;
use crate::source::Source;

const MAX_EXIF: u64 = 64 << 10;
const FLAG_ALPHA: u8 = 0x10;
const FLAG_ANIMATION: u8 = 0x02;

pub(super) fn facts<S: Read + Seek>(source: &mut Source<S>, limits: &Limits) -> Result<ImageFacts, Fault> {
    let riff = riff::open(source)?;
    if riff.claimed_end > source.len() {
        return Err(Fault::Corrupt(crate::error::TRUNCATED));
    }
    let mut at = riff.body;
    let first = riff.next(source, at)?.ok_or(Fault::Corrupt("it has no image data"))?;
    let (mut facts, animated) = header(source, &first, limits)?;
    let mut orientation = None;
    let mut frames: u32 = 0;
    let mut image_data = false;
    while let Some(chunk) = riff.next(source, at)? {
        if chunk.claimed_end() > riff.claimed_end {
            return Err(Fault::Corrupt("a chunk is larger than the file"));
        }
        at = chunk.next_at();
        match &chunk.id {
            b"VP8 " | b"VP8L" => image_data = true,
            b"ALPH" => facts.has_alpha = Some(true),
            b"ANMF" => {
                image_data = true;
                frames += 1;
                limits.check_frames(frames)?;
            }
            // All but the first may be ignored (section 2.7.1.5).
            b"EXIF" if orientation.is_none() => {
                let len = usize::try_from(chunk.len().min(MAX_EXIF)).unwrap_or_default();
                orientation = Some(exif::orientation(&source.up_to(chunk.body, len)?));
            }
            _ => {}
        }
        if !matches!(&chunk.id, b"VP8 " | b"VP8L" | b"ALPH" | b"ANMF") {
            archive::check(source, chunk.body, chunk.claimed_end())?;
        }
    }
    if !image_data {
        return Err(Fault::Corrupt("it has no image data"));
    }
    facts.frame_count = if animated { frames.max(1) } else { 1 };
    match source.len() - riff.claimed_end {
        0 => Ok(facts.turned(orientation.unwrap_or(1))),
        trailing => Err(Fault::Trailing(trailing)),
    }
}

/// Size, alpha and whether it is animated, from the first chunk.
fn header<S: Read + Seek>(
    source: &mut Source<S>,
    first: &riff::Chunk,
    limits: &Limits,
) -> Result<(ImageFacts, bool), Fault> {
    let head = source.array::<10>(first.body)?;
    let ((width, height), alpha, animated) = match &first.id {
        b"VP8 " => (lossy_size(&head)?, Some(false), false),
        b"VP8L" if u8_at(&head, 0) == 0x2F => (library_size(source)?, Some(u32_le(&head, 1) >> 28 & 1 == 1), false),
        b"VP8X" => {
            let flags = u8_at(&head, 0);
            (library_size(source)?, Some(flags & FLAG_ALPHA != 0), flags & FLAG_ANIMATION != 0)
        }
        _ => return Err(Fault::Corrupt("its first chunk is no picture")),
    };
    let (width, height) = checked_size(limits, width, height)?;
    let mut facts = ImageFacts::still(width, height);
    facts.has_alpha = alpha;
    facts.bit_depth = Some(8);
    Ok((facts, animated))
}

/// The key frame header (RFC 6386 section 9.1). The library does not mask the scaling bits of the sizes.
fn lossy_size(head: &[u8]) -> Result<(u32, u32), Fault> {
    if u8_at(head, 0) & 1 != 0 || slice(head, 3, 3) != b"\x9D\x01\x2A" {
        return Err(Fault::Corrupt("its first frame is not a key frame"));
    }
    let side = |offset| u32::from(u16_le(head, offset) & 0x3FFF);
    Ok((side(6), side(8)))
}
