//! TIFF 6.0 and `BigTIFF`: the directories, each one a frame.

use std::io::{Read, Seek};

use super::checked_size;
use crate::bytes::{slice, u16_be, u16_le, u32_be, u32_le, u64_be, u64_le};
use crate::error::Fault;
use crate::facts::ImageFacts;
use crate::policy::Limits;
use crate::source::Source;

const SUBFILE_TYPE: u16 = 0xFE;
const WIDTH: u16 = 0x100;
const HEIGHT: u16 = 0x101;
const BITS_PER_SAMPLE: u16 = 0x102;
const ORIENTATION: u16 = 0x112;
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

    /// One number of an entry whose value lies in the entry itself.
    fn value(&self, entry: &[u8]) -> Option<u64> {
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
    orientation: Option<u64>,
    next: u64,
}

pub(super) fn facts<S: Read + Seek>(source: &mut Source<S>, limits: &Limits) -> Result<ImageFacts, Fault> {
    let head = source.up_to(0, 16)?;
    let reader = Reader { big_endian: head.starts_with(b"MM"), big: slice(&head, 2, 2).contains(&b'+') };
    let first = reader.offset(&head, if reader.big { 8 } else { 4 });
    let directory = read_directory(source, &reader, first)?;
    let side =
        |value: Option<u64>| u32::try_from(value.unwrap_or_default()).map_err(|_| Fault::Corrupt("its size is absurd"));
    let (width, height) = checked_size(limits, side(directory.width)?, side(directory.height)?)?;
    let mut facts = ImageFacts::still(width, height);
    facts.bit_depth = directory.bits.and_then(|bits| u8::try_from(bits).ok()).filter(|bits| *bits > 0);
    facts.frame_count = count_directories(source, &reader, first, directory.next, limits)?;
    let orientation = directory.orientation.and_then(|value| u8::try_from(value).ok());
    Ok(facts.turned(orientation.filter(|value| (1..=8).contains(value)).unwrap_or(1)))
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
        let field = match reader.short(entry, 0) {
            SUBFILE_TYPE => &mut directory.subfile_type,
            WIDTH => &mut directory.width,
            HEIGHT => &mut directory.height,
            BITS_PER_SAMPLE => &mut directory.bits,
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
