//! TIFF 6.0 and `BigTIFF`: the directories, each one a frame.
//!
//! Cameras keep raw sensor data in the same structure, with a thumbnail where the picture would be: they are no pictures
//! that a viewer of TIFF shows, and are refused by name.

use std::io::{Read, Seek};

use super::checked_size;
use crate::bytes::{slice, u16_be, u16_le, u32_be, u32_le, u64_be, u64_le};
use crate::error::{Fault, MediaError};
use crate::facts::ImageFacts;
use crate::policy::Limits;
use crate::source::Source;

const SUBFILE_TYPE: u16 = 0xFE;
const WIDTH: u16 = 0x100;
const HEIGHT: u16 = 0x101;
const BITS_PER_SAMPLE: u16 = 0x102;
const PHOTOMETRIC: u16 = 0x106;
const ORIENTATION: u16 = 0x112;
const SUB_DIRECTORIES: u16 = 0x14A;
const DNG_VERSION: u16 = 0xC612;
/// Sensor data behind a mosaic of colour filters, and what is left of them once it is undone (DNG 1.7 chapter 3).
const RAW_PHOTOMETRIC: [u64; 2] = [32_803, 34_892];
const MAX_ENTRIES: u64 = 4096;

struct Reader {
    big_endian: bool,
    big: bool,
}

impl Reader {
    fn short(&self, data: &[u8], at: usize) -> u16 {
        if self.big_endian { u16_be(data, at) } else { u16_le(data, at) }
    }

    fn long(&self, data: &[u8], at: usize) -> u32 {
        if self.big_endian { u32_be(data, at) } else { u32_le(data, at) }
    }

    fn offset(&self, data: &[u8], at: usize) -> u64 {
        match (self.big, self.big_endian) {
            (true, true) => u64_be(data, at),
            (true, false) => u64_le(data, at),
            (false, _) => u64::from(self.long(data, at)),
        }
    }

    /// Where the values of an entry lie when they are too many for the entry itself.
    fn elsewhere(&self, entry: &[u8]) -> Option<u64> {
        let size = match self.short(entry, 2) {
            1 | 2 | 6 | 7 => 1,
            3 | 8 => 2,
            5 | 10 | 12 | 16..=18 => 8,
            _ => 4,
        };
        let (count, room, at) =
            if self.big { (self.offset(entry, 4), 8, 12) } else { (u64::from(self.long(entry, 4)), 4, 8) };
        (count.saturating_mul(size) > room).then(|| self.offset(entry, at))
    }

    /// The first number of an entry whose values lie in the entry itself.
    fn value(&self, entry: &[u8]) -> Option<u64> {
        if self.elsewhere(entry).is_some() {
            return None;
        }
        let at = if self.big { 12 } else { 8 };
        match self.short(entry, 2) {
            1 => Some(u64::from(crate::bytes::u8_at(entry, at))),
            3 => Some(u64::from(self.short(entry, at))),
            4 => Some(u64::from(self.long(entry, at))),
            16 if self.big => Some(self.offset(entry, at)),
            _ => None,
        }
    }
}

#[derive(Default)]
struct Directory {
    subfile_type: Option<u64>,
    width: Option<u64>,
    height: Option<u64>,
    bits: Option<u64>,
    /// Where the bits of several channels are.
    bits_at: Option<u64>,
    orientation: Option<u64>,
    photometric: Option<u64>,
    has_sub_directories: bool,
    is_dng: bool,
    next: u64,
}

pub(super) fn facts<S: Read + Seek>(source: &mut Source<S>, limits: &Limits) -> Result<ImageFacts, Fault> {
    let head = source.up_to(0, 16)?;
    let reader = Reader { big_endian: head.starts_with(b"MM"), big: slice(&head, 2, 2).contains(&b'+') };
    let first = reader.offset(&head, if reader.big { 8 } else { 4 });
    let directory = read_directory(source, &reader, first)?;
    if let Some(name) = directory.raw() {
        return Err(MediaError::unsupported(name).into());
    }
    let side =
        |value: Option<u64>| u32::try_from(value.unwrap_or_default()).map_err(|_| Fault::Corrupt("its size is absurd"));
    let (width, height) = checked_size(limits, side(directory.width)?, side(directory.height)?)?;
    let mut facts = ImageFacts::still(width, height);
    let bits = match (directory.bits, directory.bits_at) {
        (None, Some(at)) => Some(u64::from(reader.short(&source.up_to(at, 2)?, 0))),
        // What is left out is 1 (section 8).
        (bits, _) => bits.or(Some(1)),
    };
    facts.bit_depth = bits.and_then(|bits| u8::try_from(bits).ok()).filter(|bits| *bits > 0);
    facts.frame_count = count_directories(source, &reader, first, directory.next, limits)?;
    let orientation = directory.orientation.and_then(|value| u8::try_from(value).ok());
    Ok(facts.turned(orientation.filter(|value| (1..=8).contains(value)).unwrap_or(1)))
}

impl Directory {
    /// What a camera calls it, if it is raw data.
    fn raw(&self) -> Option<&'static str> {
        let is_thumbnail = self.subfile_type.is_some_and(|flags| flags & 1 == 1);
        let is_sensor = self.photometric.is_some_and(|photometric| RAW_PHOTOMETRIC.contains(&photometric));
        if self.is_dng {
            Some("image/x-adobe-dng")
        } else {
            (is_sensor || (is_thumbnail && self.has_sub_directories)).then_some("image/x-raw")
        }
    }
}

fn read_directory<S: Read + Seek>(source: &mut Source<S>, reader: &Reader, at: u64) -> Result<Directory, Fault> {
    source.step()?;
    let (count_len, entry_len) = if reader.big { (8, 20) } else { (2, 12) };
    let mut head = [0; 8];
    if at == 0 || source.read_at(at, head.get_mut(..count_len).unwrap_or_default())? < count_len {
        return Err(Fault::Corrupt("a directory lies outside the file"));
    }
    let count = if reader.big { reader.offset(&head, 0) } else { u64::from(reader.short(&head, 0)) };
    if count == 0 || count > MAX_ENTRIES {
        return Err(Fault::Corrupt("a directory has no sensible number of entries"));
    }
    let len = usize::try_from(count).unwrap_or_default() * entry_len;
    let entries = source.up_to(at.saturating_add(count_len as u64), len + 8)?;
    if entries.len() < len {
        return Err(Fault::Corrupt(crate::error::TRUNCATED));
    }
    let mut directory = Directory { next: reader.offset(&entries, len), ..Directory::default() };
    for entry in slice(&entries, 0, len).chunks_exact(entry_len) {
        let tag = reader.short(entry, 0);
        directory.has_sub_directories |= tag == SUB_DIRECTORIES;
        directory.is_dng |= tag == DNG_VERSION;
        if tag == BITS_PER_SAMPLE {
            directory.bits_at = directory.bits_at.or_else(|| reader.elsewhere(entry));
        }
        let field = match tag {
            SUBFILE_TYPE => &mut directory.subfile_type,
            WIDTH => &mut directory.width,
            HEIGHT => &mut directory.height,
            BITS_PER_SAMPLE => &mut directory.bits,
            PHOTOMETRIC => &mut directory.photometric,
            ORIENTATION => &mut directory.orientation,
            _ => continue,
        };
        // No field may come twice (section 2); readers take the first one that makes sense.
        *field = field.or_else(|| reader.value(entry));
    }
    Ok(directory)
}

/// Follows the chain while it leads to readable directories; a loop ends it. Thumbnails and directories without a picture
/// are no frames.
fn count_directories<S: Read + Seek>(
    source: &mut Source<S>,
    reader: &Reader,
    first: u64,
    mut next: u64,
    limits: &Limits,
) -> Result<u32, Fault> {
    let mut seen = vec![first];
    let mut frames = 1;
    while next != 0 && !seen.contains(&next) {
        seen.push(next);
        limits.check_frames(u32::try_from(seen.len()).unwrap_or(u32::MAX))?;
        let directory = match read_directory(source, reader, next) {
            Ok(directory) => directory,
            Err(Fault::Corrupt(_)) => break,
            Err(fault) => return Err(fault),
        };
        let shows = directory.width.is_some_and(|side| side > 0) && directory.height.is_some_and(|side| side > 0);
        let is_thumbnail = directory.subfile_type.is_some_and(|flags| flags & 1 == 1);
        frames += u32::from(shows && !is_thumbnail);
        next = directory.next;
    }
    Ok(frames)
}
