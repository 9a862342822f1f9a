//! GIF (87a and 89a specification).

use std::io::{Read, Seek};

use super::{checked_size, library_size};
use crate::archive;
use crate::bytes::{u8_at, u16_le};
use crate::error::Fault;
use crate::facts::ImageFacts;
use crate::policy::Limits;
use crate::source::Source;

const EXTENSION: u8 = 0x21;
const IMAGE: u8 = 0x2C;
const TRAILER: u8 = 0x3B;
const GRAPHIC_CONTROL: u8 = 0xF9;

pub(super) fn facts<S: Read + Seek>(source: &mut Source<S>, limits: &Limits) -> Result<ImageFacts, Fault> {
    let screen = source.array::<13>(0)?;
    let (width, height) = library_size(source)?;
    let (width, height) = checked_size(limits, width, height)?;
    let mut facts = ImageFacts::still(width, height);
    facts.has_alpha = Some(false);
    let mut frames = 0;
    let mut at = 13 + colour_table(u8_at(&screen, 10));
    loop {
        source.step()?;
        let [kind] = source.array::<1>(at)?;
        match kind {
            TRAILER => break,
            EXTENSION => {
                let header = source.array::<4>(at + 1)?;
                if header[0] == GRAPHIC_CONTROL && header[2] & 1 != 0 {
                    facts.has_alpha = Some(true);
                }
                at = skip_blocks(source, at + 2)?;
            }
            IMAGE => {
                let descriptor = source.array::<9>(at + 1)?;
                if u16_le(&descriptor, 4) == 0 || u16_le(&descriptor, 6) == 0 {
                    return Err(Fault::Corrupt("a frame has no size"));
                }
                frames += 1;
                limits.check_frames(frames)?;
                // Table, then the code size, then the data.
                at = skip_blocks(source, at + 11 + colour_table(u8_at(&descriptor, 8)))?;
            }
            // Writers pad between blocks.
            0 => at += 1,
            _ => return Err(Fault::Corrupt("a block is of no known kind")),
        }
    }
    if frames == 0 {
        return Err(Fault::Corrupt("it has no frame"));
    }
    facts.frame_count = frames;
    match source.len() - (at + 1) {
        0 => {}
        trailing => return Err(Fault::Trailing(trailing)),
    }
    // All of it was fetched, so comments and frames need not be told apart.
    archive::check(source, 0, at)?;
    Ok(facts)
}

/// The bytes of the colour table that these flags announce.
fn colour_table(flags: u8) -> u64 {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// Past a run of data sub-blocks and its terminator.
fn skip_blocks<S: Read + Seek>(source: &mut Source<S>, mut at: u64) -> Result<u64, Fault> {
    loop {
        source.step()?;
        let [len] = source.array::<1>(at)?;
        at += 1 + u64::from(len);
        if len == 0 {
            return Ok(at);
        }
    }
}
