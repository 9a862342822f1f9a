//! PNG and APNG (W3C PNG third edition).

use std::io::{Read, Seek};

use super::{checked_size, exif, library_size};
use crate::archive;
use crate::bytes::{u8_at, u32_be};
use crate::error::{Fault, TRUNCATED};
use crate::facts::ImageFacts;
use crate::policy::Limits;
use crate::source::Source;

const SIGNATURE: u64 = 8;
/// Chunk lengths use 31 bits (section 5.3); so do width and height.
const MAX_31_BIT: u32 = i32::MAX as u32;
/// EXIF blocks beyond this are not orientation, but thumbnails and maker notes.
const MAX_EXIF: usize = 64 << 10;

/// Text beyond this is not looked through for orientation.
const MAX_TEXT: usize = 16 << 10;
/// Nor are texts beyond so many.
const MAX_TEXTS: u32 = 256;

struct Chunk {
    kind: [u8; 4],
    body: u64,
    len: u32,
}

impl Chunk {
    /// Past the checksum.
    fn end(&self) -> u64 {
        self.body + u64::from(self.len) + 4
    }
}

pub(super) fn facts<S: Read + Seek>(source: &mut Source<S>, limits: &Limits) -> Result<ImageFacts, Fault> {
    let mut facts = header(source, limits)?;
    let mut orientation = None;
    let mut in_text = None;
    let mut texts = 0;
    let mut image_data = false;
    let mut at = SIGNATURE;
    loop {
        let chunk = next_chunk(source, at)?;
        at = chunk.end();
        match &chunk.kind {
            b"IEND" => break,
            b"IDAT" => image_data = true,
            // An animation is only one when it is announced before the image data (section 11.3.6.1).
            // A number that does not fit 31 bits is none.
            b"acTL" if !image_data => {
                let frames = u32_be(&source.array::<4>(chunk.body)?, 0);
                facts.frame_count = if (1..=MAX_31_BIT).contains(&frames) { frames } else { 1 };
                limits.check_frames(facts.frame_count)?;
            }
            b"tRNS" => facts.has_alpha = Some(true),
            // There is but one (section 11.3.4.6).
            b"eXIf" if orientation.is_none() => {
                let block = source.up_to(chunk.body, MAX_EXIF.min(chunk.len as usize))?;
                orientation = Some(exif::orientation(&block));
            }
            // Before there was a chunk for it, programs kept orientation in text.
            b"iTXt" | b"tEXt" if in_text.is_none() && texts < MAX_TEXTS => {
                texts += 1;
                in_text = exif::orientation_in_text(&source.up_to(chunk.body, MAX_TEXT.min(chunk.len as usize))?);
            }
            _ => {}
        }
        if !matches!(&chunk.kind, b"IDAT" | b"fdAT") {
            archive::check(source, chunk.body, chunk.end())?;
        }
    }
    if !image_data {
        return Err(Fault::Corrupt("it has no image data"));
    }
    match source.len() - at {
        0 => Ok(facts.turned(orientation.or(in_text).unwrap_or(1))),
        trailing => Err(Fault::Trailing(trailing)),
    }
}

fn header<S: Read + Seek>(source: &mut Source<S>, limits: &Limits) -> Result<ImageFacts, Fault> {
    let first = next_chunk(source, SIGNATURE)?;
    let (chunk, by_library) = match &first.kind {
        b"IHDR" => (first, true),
        // Apple's build tools put a chunk of their own before the header; the library would read its size from there.
        b"CgBI" => (next_chunk(source, first.end())?, false),
        _ => return Err(Fault::Corrupt("it does not start with its header")),
    };
    if &chunk.kind != b"IHDR" || chunk.len != 13 {
        return Err(Fault::Corrupt("it does not start with its header"));
    }
    let ihdr = source.array::<13>(chunk.body)?;
    let (width, height) = if by_library { library_size(source)? } else { (u32_be(&ihdr, 0), u32_be(&ihdr, 4)) };
    let (width, height) = checked_size(limits, width, height)?;
    if width > MAX_31_BIT || height > MAX_31_BIT {
        return Err(Fault::Corrupt("its size is absurd"));
    }
    let (depth, colour) = (u8_at(&ihdr, 8), u8_at(&ihdr, 9));
    if !matches!(depth, 1 | 2 | 4 | 8 | 16) || !matches!(colour, 0 | 2 | 3 | 4 | 6) {
        return Err(Fault::Corrupt("its colour type does not exist"));
    }
    let mut facts = ImageFacts::still(width, height);
    facts.bit_depth = Some(depth);
    facts.has_alpha = Some(matches!(colour, 4 | 6));
    Ok(facts)
}

fn next_chunk<S: Read + Seek>(source: &mut Source<S>, at: u64) -> Result<Chunk, Fault> {
    source.step()?;
    let header = source.array::<8>(at)?;
    let [a, b, c, d, kind @ ..] = header;
    let chunk = Chunk { kind, body: at + 8, len: u32::from_be_bytes([a, b, c, d]) };
    if chunk.len > MAX_31_BIT || !kind.iter().all(u8::is_ascii_alphabetic) {
        return Err(Fault::Corrupt("a chunk header is broken"));
    }
    if chunk.end() > source.len() {
        return Err(Fault::Corrupt(TRUNCATED));
    }
    Ok(chunk)
}
