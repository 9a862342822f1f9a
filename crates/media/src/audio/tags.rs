//! Title and artist out of tags. Readers hop over everything else, pictures above all, without fetching it.

use std::io::{Read, Seek};

use crate::bytes::{slice, u8_at, u16_be, u24_be, u32_be, u32_le};
use crate::error::Fault;
use crate::facts::AudioFacts;
use crate::source::Source;
use crate::text;

/// The most bytes of one value that are looked at: enough for 255 bytes of anything.
const MAX_VALUE: usize = 2048;
/// Tags written with unsynchronisation have to be undone in memory.
const MAX_UNSYNCHRONISED: usize = 256 << 10;
const MAX_FRAMES: usize = 10_000;

/// Title and artist; the first reader that finds one wins.
#[derive(Debug, Default)]
pub(super) struct Tags {
    title: Option<String>,
    artist: Option<String>,
}

impl Tags {
    pub(super) fn title(&mut self, text: &str) {
        self.title = self.title.take().or_else(|| text::clean(text));
    }

    pub(super) fn artist(&mut self, text: &str) {
        self.artist = self.artist.take().or_else(|| text::clean(text));
    }

    /// Moves the texts into the facts.
    pub(super) fn tell(self, mut facts: AudioFacts) -> AudioFacts {
        (facts.title, facts.artist) = (self.title, self.artist);
        facts
    }

    fn complete(&self) -> bool {
        self.title.is_some() && self.artist.is_some()
    }
}

/// A number of four times seven bits (`ID3v2.4` section 6.2).
pub(super) fn syncsafe(data: &[u8], at: usize) -> u32 {
    slice(data, at, 4).iter().fold(0, |sum, byte| sum << 7 | u32::from(byte & 0x7F))
}

/// Reads the `ID3v2` tag at `at`, if there is one. A broken tag is no tag: it says nothing about the sound.
pub(super) fn id3v2<S: Read + Seek>(source: &mut Source<S>, at: u64, tags: &mut Tags) -> Result<(), Fault> {
    let head = source.up_to(at, 10)?;
    if head.len() < 10 || !head.starts_with(b"ID3") {
        return Ok(());
    }
    let (version, flags) = (u8_at(&head, 3), u8_at(&head, 5));
    let end = at + 10 + u64::from(syncsafe(&head, 6));
    if version < 4 && flags & 0x80 != 0 {
        let len = usize::try_from(end - at - 10).unwrap_or(MAX_UNSYNCHRONISED).min(MAX_UNSYNCHRONISED);
        let plain = undo_unsynchronisation(&source.up_to(at + 10, len)?);
        let end = plain.len() as u64;
        return source.aside(plain, |plain| id3_frames(plain, 0, end, version, flags, tags));
    }
    id3_frames(source, at + 10, end.min(source.len()), version, flags, tags)
}

fn id3_frames<S: Read + Seek>(
    source: &mut Source<S>,
    mut at: u64,
    end: u64,
    version: u8,
    flags: u8,
    tags: &mut Tags,
) -> Result<(), Fault> {
    if version > 2 && flags & 0x40 != 0 {
        let size = source.up_to(at, 4)?;
        at += if version == 3 { u64::from(u32_be(&size, 0)) + 4 } else { u64::from(syncsafe(&size, 0)) };
    }
    let header_len = if version == 2 { 6 } else { 10 };
    for _ in 0..MAX_FRAMES {
        if tags.complete() || at + header_len > end {
            break;
        }
        source.step()?;
        let header = source.up_to(at, 10)?;
        if !is_frame_id(&header, version) {
            break;
        }
        let body = at + header_len;
        let len = id3_frame_len(source, &header, version, body, end)?;
        let wanted =
            matches!(slice(&header, 0, 4), b"TIT2" | b"TPE1") || matches!(slice(&header, 0, 3), b"TT2" | b"TP1");
        if wanted && let Some(text) = id3_text(source, &header, version, body, len)? {
            if matches!(slice(&header, 0, 3), b"TIT" | b"TT2") { tags.title(&text) } else { tags.artist(&text) }
        }
        at = body + u64::from(len);
    }
    Ok(())
}

fn is_frame_id(header: &[u8], version: u8) -> bool {
    // A widespread writer kept the three letters of version 2.2 in 2.3, followed by NUL.
    let len = if version == 2 || u8_at(header, 3) == 0 { 3 } else { 4 };
    let id = slice(header, 0, len);
    id.len() == len && id.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// Sizes of version 2.4 are syncsafe, but widespread writers store plain ones: whichever leads to a frame is right.
fn id3_frame_len<S: Read + Seek>(
    source: &mut Source<S>,
    header: &[u8],
    version: u8,
    body: u64,
    end: u64,
) -> Result<u32, Fault> {
    match version {
        2 => return Ok(u24_be(header, 3)),
        3 => return Ok(u32_be(header, 4)),
        _ => {}
    }
    let (safe, plain) = (syncsafe(header, 4), u32_be(header, 4));
    for len in [safe, plain] {
        let next = body + u64::from(len);
        let head = source.up_to(next, 4)?;
        if next == end || (next < end && (is_frame_id(&head, 4) || head.iter().all(|byte| *byte == 0))) {
            return Ok(len);
        }
    }
    Ok(safe)
}

/// The first value of a text frame; `None` when it is compressed or encrypted.
fn id3_text<S: Read + Seek>(
    source: &mut Source<S>,
    header: &[u8],
    version: u8,
    body: u64,
    len: u32,
) -> Result<Option<String>, Fault> {
    let mut data = source.up_to(body, MAX_VALUE.min(usize::try_from(len).unwrap_or(MAX_VALUE)))?;
    let flags = if version == 2 { 0 } else { u16_be(header, 8) };
    match version {
        3 if flags & 0xC0 != 0 => return Ok(None),
        4 if flags & 0x0C != 0 => return Ok(None),
        4 => {
            if flags & 1 != 0 {
                data.drain(..data.len().min(4));
            }
            if flags & 2 != 0 {
                data = undo_unsynchronisation(&data);
            }
        }
        _ => {}
    }
    let text = slice(&data, 1, MAX_VALUE);
    Ok(Some(match u8_at(&data, 0) {
        1 => first_value(&text::utf16(text, false)),
        2 => first_value(&text::utf16(text, true)),
        3 => first_value(&text::utf8(text)),
        // Declared as ISO 8859-1, which much of it is not.
        0 => first_value(&text::guessed(text)),
        _ => return Ok(None),
    }))
}

/// Values are separated by NUL; the first that is not empty stands for all.
fn first_value(text: &str) -> String {
    text.split('\0').find(|value| !value.trim().is_empty()).unwrap_or_default().to_owned()
}

fn undo_unsynchronisation(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len());
    let mut after_ff = false;
    for byte in data {
        if !(after_ff && *byte == 0) {
            out.push(*byte);
        }
        after_ff = *byte == 0xFF;
    }
    out
}

/// Reads the `ID3v1` tag at the end of the file, if there is one.
pub(super) fn id3v1<S: Read + Seek>(source: &mut Source<S>, tags: &mut Tags) -> Result<(), Fault> {
    let Some(at) = source.len().checked_sub(128) else { return Ok(()) };
    let tag = source.up_to(at, 128)?;
    if tag.starts_with(b"TAG") {
        tags.title(&first_value(&text::guessed(slice(&tag, 3, 30))));
        tags.artist(&first_value(&text::guessed(slice(&tag, 33, 30))));
    }
    Ok(())
}

/// Reads the `APEv2` tag whose footer ends at `end`; answers where the tag starts, if there is one.
pub(super) fn ape<S: Read + Seek>(source: &mut Source<S>, end: u64, tags: &mut Tags) -> Result<Option<u64>, Fault> {
    let Some(footer_at) = end.checked_sub(32) else { return Ok(None) };
    let footer = source.up_to(footer_at, 32)?;
    if !footer.starts_with(b"APETAGEX") {
        return Ok(None);
    }
    // The size counts the footer, not the header.
    let (size, count) = (u64::from(u32_le(&footer, 12)), u32_le(&footer, 16));
    let Some(items_at) = end.checked_sub(size).filter(|_| size >= 32) else { return Ok(None) };
    let mut at = items_at;
    for _ in 0..count.min(1000) {
        if at >= footer_at {
            break;
        }
        let item = source.up_to(at, 8 + 256 + MAX_VALUE)?;
        let len = usize::try_from(u32_le(&item, 0)).unwrap_or(usize::MAX);
        let key_and_value = slice(&item, 8, usize::MAX);
        let Some(key_len) = key_and_value.iter().take(256).position(|byte| *byte == 0) else { break };
        let value = slice(key_and_value, key_len + 1, len.min(MAX_VALUE));
        let key = slice(key_and_value, 0, key_len).to_ascii_lowercase();
        match key.as_slice() {
            b"title" => tags.title(&first_value(&text::utf8(value))),
            b"artist" => tags.artist(&first_value(&text::utf8(value))),
            _ => {}
        }
        at += 8 + key_len as u64 + 1 + len as u64;
    }
    let header = if u32_le(&footer, 20) >> 31 == 1 { 32 } else { 0 };
    Ok(Some(items_at.saturating_sub(header)))
}

/// Reads Vorbis comments (Vorbis I section 5) between two offsets.
pub(super) fn vorbis_comments<S: Read + Seek>(
    source: &mut Source<S>,
    at: u64,
    end: u64,
    tags: &mut Tags,
) -> Result<(), Fault> {
    let mut at = at + 4 + u64::from(u32_le(&source.up_to(at, 4)?, 0));
    let count = u32_le(&source.up_to(at, 4)?, 0);
    at += 4;
    for _ in 0..count {
        if tags.complete() || at + 4 > end {
            break;
        }
        source.step()?;
        let len = usize::try_from(u32_le(&source.up_to(at, 4)?, 0)).unwrap_or(usize::MAX);
        let entry = source.up_to(at + 4, len.min(MAX_VALUE))?;
        let key_len = entry.iter().position(|byte| *byte == b'=').unwrap_or(entry.len());
        let value = text::utf8(slice(&entry, key_len + 1, usize::MAX));
        match slice(&entry, 0, key_len).to_ascii_lowercase().as_slice() {
            b"title" => tags.title(&value),
            b"artist" => tags.artist(&value),
            _ => {}
        }
        at += 4 + len as u64;
    }
    Ok(())
}

/// Reads Vorbis comments that were put together in memory.
pub(super) fn vorbis_comments_in<S: Read + Seek>(
    source: &mut Source<S>,
    data: Vec<u8>,
    tags: &mut Tags,
) -> Result<(), Fault> {
    let end = data.len() as u64;
    source.aside(data, |data| vorbis_comments(data, 0, end, tags))
}

/// One value of a chunk: RIFF `INFO`, AIFF `NAME` and `AUTH`.
pub(super) fn chunk_text<S: Read + Seek>(source: &mut Source<S>, at: u64, len: u64) -> Result<String, Fault> {
    let len = usize::try_from(len).unwrap_or(MAX_VALUE).min(MAX_VALUE);
    Ok(first_value(&text::guessed(&source.up_to(at, len)?)))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::policy::Budget;

    fn read(tag: Vec<u8>) -> Tags {
        let mut tags = Tags::default();
        let mut source = Source::open(Cursor::new(tag), Budget::default()).unwrap();
        id3v2(&mut source, 0, &mut tags).unwrap();
        tags
    }

    fn tag(version: u8, flags: u8, frames: &[u8]) -> Vec<u8> {
        let len = u8::try_from(frames.len()).unwrap();
        [b"ID3".as_slice(), &[version, 0, flags, 0, 0, len >> 7, len & 0x7F], frames].concat()
    }

    #[test]
    fn frames_of_each_version_are_read() {
        let two = read(tag(2, 0, b"TT2\0\0\x03\0Hi"));
        let three = read(tag(3, 0, b"TIT2\0\0\0\x07\0\0\x01\xff\xfeH\0i\0"));
        let four = read(tag(4, 0, b"TPE1\0\0\0\x06\0\0\x03A\0BCDTIT2\0\0\0\x03\0\0\x03Hi"));
        for tags in [&two, &three, &four] {
            assert_eq!(tags.title.as_deref(), Some("Hi"));
        }
        assert_eq!(four.artist.as_deref(), Some("A"));
    }

    #[test]
    fn unsynchronised_tags_are_read() {
        assert_eq!(read(tag(3, 0x80, b"TIT2\0\0\0\x03\0\0\0\xff\0a")).title.as_deref(), Some("\u{ff}a"));
    }

    #[test]
    fn broken_tags_are_no_tags() {
        assert!(read(tag(3, 0, b"TIT2\xff\xff\xff\xff\0\0\x09x")).title.is_none());
        assert!(read(b"ID3\x04\0\0\x7f\x7f\x7f\x7fTIT2".to_vec()).title.is_none());
    }
}
