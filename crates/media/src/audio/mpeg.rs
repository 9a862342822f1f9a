//! MPEG audio frames (ISO/IEC 11172-3, 13818-3 and the unofficial 2.5).
//!
//! The length is, in this order: what a Xing, Info or VBRI header says, less the encoder's delay and padding; else the
//! sum of all frames; else, when the file is too large to walk, an estimate from frames all over it.

use std::io::{Read, Seek};

use super::tags::{self, Tags};
use super::{find_mpeg, skip_id3};
use crate::bytes::{array, slice, u8_at, u24_be, u32_be};
use crate::error::Fault;
use crate::facts::{AudioFacts, Codec, DurationSource};
use crate::source::Source;

/// Files up to this size are walked frame by frame when no header tells their length.
const MAX_WALK: u64 = 16 << 20;
/// Junk between frames that is skipped before the rest is given up.
const MAX_GAP: usize = 64 << 10;
/// How much is looked through for a frame at a time.
const PIECE: usize = 1024;
/// Places, and frames at each, that an estimate is made of.
const PLACES: u64 = 32;
const FRAMES_A_PLACE: usize = 16;

/// A frame header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    /// 1 for MPEG-1, 0 for MPEG-2 and 2.5.
    first_version: bool,
    layer: u8,
    bitrate: u32,
    pub(super) sample_rate: u32,
    pub(super) channels: u16,
    samples: u32,
    len: u32,
}

/// Reads a frame header. The free format (no stated bit rate) is not known to be in use and is not read.
fn parse(header: [u8; 4]) -> Option<Frame> {
    let bits = u32::from_be_bytes(header);
    let version = bits >> 19 & 3;
    let layer = 4 - (bits >> 17 & 3);
    if bits >> 21 != 0x7FF || version == 1 || layer == 4 {
        return None;
    }
    let first_version = version == 3;
    let bitrate = bitrate(first_version, layer, bits >> 12 & 15)? * 1000;
    let base_rate = [44_100, 48_000, 32_000].get((bits >> 10 & 3) as usize)?;
    let sample_rate = match version {
        3 => *base_rate,
        2 => base_rate / 2,
        _ => base_rate / 4,
    };
    let padding = bits >> 9 & 1;
    let (samples, len) = match (layer, first_version) {
        (1, _) => (384, (12 * bitrate / sample_rate + padding) * 4),
        (3, false) => (576, 72 * bitrate / sample_rate + padding),
        _ => (1152, 144 * bitrate / sample_rate + padding),
    };
    let channels = if bits >> 6 & 3 == 3 { 1 } else { 2 };
    (bits & 3 != 2 && len > 4).then_some(Frame {
        first_version,
        layer: u8::try_from(layer).ok()?,
        bitrate,
        sample_rate,
        channels,
        samples,
        len,
    })
}

/// Kilobits a second by index (ISO/IEC 11172-3 section 2.4.2.3, 13818-3 section 2.4.2.3).
fn bitrate(first_version: bool, layer: u32, index: u32) -> Option<u32> {
    const V1_L1: [u32; 14] = [32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448];
    const V1_L2: [u32; 14] = [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384];
    const V1_L3: [u32; 14] = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
    const V2_L1: [u32; 14] = [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256];
    const V2_REST: [u32; 14] = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
    let table = match (first_version, layer) {
        (true, 1) => V1_L1,
        (true, 2) => V1_L2,
        (true, _) => V1_L3,
        (false, 1) => V2_L1,
        (false, _) => V2_REST,
    };
    table.get((index as usize).checked_sub(1)?).copied()
}

impl Frame {
    /// Whether both can belong to one stream.
    fn agrees(&self, other: &Self) -> bool {
        (self.first_version, self.layer, self.sample_rate) == (other.first_version, other.layer, other.sample_rate)
    }

    fn codec(&self) -> Codec {
        match self.layer {
            1 => Codec::Mp1,
            2 => Codec::Mp2,
            _ => Codec::Mp3,
        }
    }
}

/// Whether `data` starts with two frames that agree.
pub(crate) fn frames_agree(data: &[u8]) -> bool {
    let Some(first) = parse(array(data, 0)) else { return false };
    let next = slice(data, first.len as usize, 4);
    next.len() == 4 && parse(array(next, 0)).is_some_and(|next| next.agrees(&first))
}

/// The first place within `reach` bytes of `from` where frames follow each other: two right there, three elsewhere,
/// fewer where the file ends after the last.
pub(super) fn find_first<S: Read + Seek>(
    source: &mut Source<S>,
    from: u64,
    reach: usize,
) -> Result<Option<u64>, Fault> {
    if let Some(first) = parse(source.padded(from)?)
        && follow(source, from, first, 2)?
    {
        return Ok(Some(from));
    }
    search(source, from, reach, |_| true)
}

/// The first place within `reach` bytes of `from` where three wanted frames follow each other.
fn search<S: Read + Seek>(
    source: &mut Source<S>,
    from: u64,
    reach: usize,
    wanted: impl Fn(&Frame) -> bool,
) -> Result<Option<u64>, Fault> {
    let mut done = 0;
    while done < reach {
        let at = from + done as u64;
        let data = source.up_to(at, PIECE)?;
        for (offset, header) in data.windows(4).enumerate() {
            if u8_at(header, 0) == 0xFF
                && let Some(frame) = parse(array(header, 0)).filter(&wanted)
                && follow(source, at + offset as u64, frame, 3)?
            {
                return Ok(Some(at + offset as u64));
            }
        }
        if data.len() < PIECE {
            break;
        }
        // A header may lie across the edge.
        done += PIECE - 3;
    }
    Ok(None)
}

/// Whether so many frames in a row agree, or at least two and then comes the end of the file or a tag.
fn follow<S: Read + Seek>(source: &mut Source<S>, at: u64, first: Frame, wanted: u32) -> Result<bool, Fault> {
    source.step()?;
    let mut next_at = at + u64::from(first.len);
    for seen in 1..wanted {
        let header = source.up_to(next_at, 4)?;
        if header.len() < 4 || header.starts_with(b"TAG") {
            return Ok(seen == 2 && next_at <= source.len());
        }
        match parse(array(&header, 0)) {
            Some(frame) if frame.agrees(&first) => next_at += u64::from(frame.len),
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// What a Xing, Info or VBRI header says.
struct Summary {
    frames: u64,
    /// Bytes of sound, when it tells.
    bytes: Option<u64>,
    /// Samples to drop at both ends.
    trim: u64,
    variable: bool,
}

pub(super) fn facts<S: Read + Seek>(source: &mut Source<S>) -> Result<AudioFacts, Fault> {
    let mut tags = Tags::default();
    let tag_end = skip_id3(source)?;
    tags::id3v2(source, 0, &mut tags)?;
    let end = without_tail_tags(source, &mut tags)?;
    let start = find_mpeg(source, tag_end)?.ok_or(Fault::Corrupt("it has no MPEG frame"))?;
    Ok(tags.tell(stream_facts(source, start, end, start == tag_end)?))
}

/// Facts of the frames between two offsets. Junk before the first one (not `clean`) means that the file was cut or joined:
/// what a header says was then said about another one, and players take it for a frame like any other.
pub(super) fn stream_facts<S: Read + Seek>(
    source: &mut Source<S>,
    start: u64,
    end: u64,
    clean: bool,
) -> Result<AudioFacts, Fault> {
    const NO_FRAME: Fault = Fault::Corrupt("it has no whole MPEG frame");
    let first = parse(source.padded(start)?).ok_or(NO_FRAME)?;
    let facts = AudioFacts::new(first.codec(), first.sample_rate, first.channels);
    let rate = u64::from(first.sample_rate);
    let summary = if clean { read_summary(source, start, first)? } else { None };
    // The frame that holds the header holds no sound.
    let start = if summary.is_some() { start + u64::from(first.len) } else { start };
    let present = end.saturating_sub(start);
    if walk(source, start, end, first, 1)?.samples == 0 {
        return Err(NO_FRAME);
    }
    if let Some(summary) = summary.filter(|summary| summary.describes(present)) {
        let samples = summary.frames * u64::from(first.samples);
        let trimmed = samples.checked_sub(summary.trim).filter(|left| *left > 0).unwrap_or(samples);
        let mut facts = facts.lasting(trimmed, rate, DurationSource::Header);
        facts.variable_bitrate = Some(summary.variable);
        return Ok(facts.averaging(summary.bytes.unwrap_or(present)));
    }
    if present <= MAX_WALK && source.affords(present) {
        let sum = walk(source, start, end, first, usize::MAX)?;
        if !sum.given_up {
            let mut facts = facts.lasting(sum.samples, rate, DurationSource::Counted);
            facts.variable_bitrate = Some(sum.variable);
            return Ok(facts.averaging(sum.bytes));
        }
    }
    estimate(source, start, end, first, facts)
}

impl Summary {
    /// A summary without frames says nothing, and one of fewer bytes than there are was made for another file: for the
    /// first of several that were joined. Tags at the end that are not known here are short.
    fn describes(&self, present: u64) -> bool {
        self.frames > 0 && self.bytes.is_none_or(|bytes| present <= bytes + bytes / 16 + (8 << 10))
    }
}

fn read_summary<S: Read + Seek>(source: &mut Source<S>, start: u64, first: Frame) -> Result<Option<Summary>, Fault> {
    let frame = source.up_to(start, (first.len as usize).min(2048))?;
    let side_info = match (first.first_version, first.channels) {
        (true, 1) | (false, 2) => 17,
        (true, _) => 32,
        (false, _) => 9,
    };
    // With a checksum, the side information starts two bytes later; not every writer says so.
    for offset in [4 + side_info, 6 + side_info] {
        if matches!(slice(&frame, offset, 4), b"Xing" | b"Info") {
            return Ok(Some(read_xing(slice(&frame, offset, usize::MAX))));
        }
    }
    let vbri = slice(&frame, 36, 26);
    Ok(vbri.starts_with(b"VBRI").then(|| Summary {
        frames: u64::from(u32_be(vbri, 14)),
        bytes: Some(u64::from(u32_be(vbri, 10))).filter(|bytes| *bytes > 0),
        trim: 0,
        variable: true,
    }))
}

/// The fields are there as the flags say, then what LAME added.
fn read_xing(data: &[u8]) -> Summary {
    let flags = u32_be(data, 4);
    let mut at = 8;
    let mut field = |flag: u32, len: usize| {
        let here = at;
        let present = flags & flag != 0;
        at += if present { len } else { 0 };
        present.then_some(here)
    };
    let frames = field(1, 4).map_or(0, |at| u32_be(data, at));
    let bytes = field(2, 4).map(|at| u64::from(u32_be(data, at))).filter(|bytes| *bytes > 0);
    field(4, 100);
    field(8, 4);
    let encoder = slice(data, at, 9);
    let known = matches!(slice(encoder, 0, 4), b"LAME" | b"Lavf" | b"Lavc" | b"L3.9" | b"GOGO");
    let gaps = u24_be(data, at + 21);
    Summary {
        frames: u64::from(frames),
        bytes,
        trim: if known { u64::from(gaps >> 12) + u64::from(gaps & 0xFFF) } else { 0 },
        variable: data.starts_with(b"Xing"),
    }
}

/// What a walk came by.
#[derive(Default)]
struct Sum {
    samples: u64,
    bytes: u64,
    variable: bool,
    /// There are too many frames to look at.
    given_up: bool,
}

/// Adds up to `most` frames from `start` on; junk between them is skipped while frames follow it. Of a frame that the end
/// cuts, decoders make something as long as most of it is there.
fn walk<S: Read + Seek>(source: &mut Source<S>, start: u64, end: u64, first: Frame, most: usize) -> Result<Sum, Fault> {
    let mut sum = Sum::default();
    let mut at = start;
    for _ in 0..most {
        source.step()?;
        if most == usize::MAX && source.is_tired() {
            sum.given_up = true;
            break;
        }
        let frame = parse(source.padded(at)?).filter(|frame| frame.agrees(&first));
        match frame {
            Some(frame) if at + u64::from(frame.len / 2) < end => {
                sum.samples += u64::from(frame.samples);
                sum.bytes += u64::from(frame.len);
                sum.variable |= frame.bitrate != first.bitrate;
                at += u64::from(frame.len);
            }
            Some(_) => break,
            None if at + 4 > end => break,
            None => match search(source, at + 1, MAX_GAP, |frame| frame.agrees(&first))?.filter(|next| *next < end) {
                Some(next) => at = next,
                None => break,
            },
        }
    }
    Ok(sum)
}

fn estimate<S: Read + Seek>(
    source: &mut Source<S>,
    start: u64,
    end: u64,
    first: Frame,
    facts: AudioFacts,
) -> Result<AudioFacts, Fault> {
    let mut all = Sum::default();
    for place in 0..PLACES {
        let from = start + (end - start) / PLACES * place;
        let Some(at) = find_first(source, from, 8 << 10)? else { continue };
        let Some(here) = parse(source.padded(at)?).filter(|frame| frame.agrees(&first)) else { continue };
        let sum = walk(source, at, end, here, FRAMES_A_PLACE)?;
        all.samples += sum.samples;
        all.bytes += sum.bytes;
        all.variable |= sum.variable || here.bitrate != first.bitrate;
    }
    if all.bytes == 0 {
        return Ok(facts);
    }
    let samples = u128::from(all.samples) * u128::from(end - start) / u128::from(all.bytes);
    let samples = u64::try_from(samples).unwrap_or(u64::MAX);
    let mut facts = facts.lasting(samples, u64::from(first.sample_rate), DurationSource::Estimated);
    facts.variable_bitrate = Some(all.variable);
    Ok(facts.averaging(end - start))
}

/// Where the sound ends: before `ID3v1`, Lyrics3 and `APEv2` tags, which are read on the way.
fn without_tail_tags<S: Read + Seek>(source: &mut Source<S>, tags: &mut Tags) -> Result<u64, Fault> {
    let mut end = source.len();
    let id3v1 = end >= 128 && source.up_to(end - 128, 3)? == b"TAG";
    if id3v1 {
        end -= 128;
    }
    let lyrics = source.up_to(end.saturating_sub(15), 15)?;
    if lyrics.len() == 15 && lyrics.ends_with(b"LYRICS200") {
        let digits = std::str::from_utf8(slice(&lyrics, 0, 6)).ok().and_then(|digits| digits.parse::<u64>().ok());
        end = end.saturating_sub(15 + digits.unwrap_or_default());
    }
    if let Some(start) = tags::ape(source, end, tags)? {
        end = start;
    }
    if id3v1 {
        tags::id3v1(source, tags)?;
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read() {
        let frame = parse([0xFF, 0xFB, 0x90, 0x00]).unwrap();
        assert_eq!(
            (frame.bitrate, frame.sample_rate, frame.channels, frame.samples, frame.len),
            (128_000, 44_100, 2, 1152, 417)
        );
        let frame = parse([0xFF, 0xE3, 0x18, 0xC0]).unwrap();
        assert_eq!(
            (frame.bitrate, frame.sample_rate, frame.channels, frame.samples, frame.len),
            (8_000, 8_000, 1, 576, 72)
        );
    }

    #[test]
    fn reserved_values_are_no_frames() {
        for header in [
            [0xFF, 0xEB, 0x90, 0],
            [0xFF, 0xF9, 0x90, 0],
            [0xFF, 0xFB, 0xF0, 0],
            [0xFF, 0xFB, 0x9C, 0],
            [0xFF, 0xFB, 0, 0],
        ] {
            assert!(parse(header).is_none(), "{header:x?}");
        }
    }
}
