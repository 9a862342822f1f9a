//! AAC in ADTS frames (ISO/IEC 14496-3 annex 1.A). There is no length anywhere: all frames are counted.
//!
//! The header tells the core of the coder. Whether bands are replicated on top, at twice the rate, only a decoder sees.

use std::io::{Read, Seek};

use super::tags::{self, Tags};
use super::{after_id3, find_adts, skip_id3};
use crate::bytes::{array, slice, u8_at};
use crate::error::Fault;
use crate::facts::{AudioFacts, Codec, DurationSource};
use crate::source::Source;

const MAX_WALK: u64 = 16 << 20;
/// Frames that an estimate is made of when the file is too large to count.
const SAMPLED_FRAMES: u64 = 2000;
/// Junk between frames that is skipped before the rest is given up.
const MAX_GAP: usize = 64 << 10;
/// How much is looked through for a frame at a time.
const PIECE: usize = 1024;

/// Sampling frequencies by index (ISO/IEC 14496-3 table 1.18).
pub(super) const RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

#[derive(Clone, Copy)]
struct Frame {
    rate: u32,
    channels: u16,
    len: u64,
    samples: u64,
}

fn parse(header: [u8; 7]) -> Option<Frame> {
    let [sync, flags, format, channels, low, lowest, blocks] = header;
    if sync != 0xFF || flags & 0xF6 != 0xF0 {
        return None;
    }
    let rate = *RATES.get(usize::from(format >> 2 & 15))?;
    let channels = match (format & 1) << 2 | channels >> 6 {
        // Told inside the frame; stereo is the rule.
        0 => 2,
        7 => 8,
        count => u16::from(count),
    };
    let len = u64::from(header[3] & 3) << 11 | u64::from(low) << 3 | u64::from(lowest >> 5);
    let samples = 1024 * (u64::from(blocks & 3) + 1);
    (len > 7).then_some(Frame { rate, channels, len, samples })
}

/// Whether `data` starts with two frames that agree.
pub(crate) fn frames_agree(data: &[u8]) -> bool {
    let Some(first) = parse(array(data, 0)) else { return false };
    let next = slice(data, usize::try_from(first.len).unwrap_or_default(), 7);
    next.len() == 7 && parse(array(next, 0)).is_some_and(|next| next.rate == first.rate)
}

/// The first place within `reach` bytes of `from` where frames follow each other: two right there, three elsewhere.
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
    let mut done = 0;
    while done < reach {
        let at = from + done as u64;
        let data = source.up_to(at, PIECE)?;
        for (offset, header) in data.windows(7).enumerate() {
            if u8_at(header, 0) == 0xFF
                && let Some(frame) = parse(array(header, 0))
                && follow(source, at + offset as u64, frame, 3)?
            {
                return Ok(Some(at + offset as u64));
            }
        }
        if data.len() < PIECE {
            break;
        }
        // A header may lie across the edge.
        done += PIECE - 6;
    }
    Ok(None)
}

/// Whether so many frames in a row agree.
fn follow<S: Read + Seek>(source: &mut Source<S>, mut at: u64, first: Frame, wanted: u32) -> Result<bool, Fault> {
    source.step()?;
    let mut frame = first;
    for _ in 1..wanted {
        at += frame.len;
        match parse(source.padded(at)?) {
            Some(next) if next.rate == first.rate => frame = next,
            _ => return Ok(false),
        }
    }
    Ok(true)
}

pub(super) fn facts<S: Read + Seek>(source: &mut Source<S>) -> Result<AudioFacts, Fault> {
    let mut tags = Tags::default();
    let tag_end = skip_id3(source)?;
    tags::id3v2(source, 0, &mut tags)?;
    let start = find_adts(source, tag_end)?.unwrap_or(tag_end);
    let first = parse(source.padded(start)?).ok_or(Fault::Corrupt("it has no ADTS frame"))?;
    let all = source.len() - start;
    let countable = all <= MAX_WALK && source.affords(all);
    let most = if countable { u64::MAX } else { SAMPLED_FRAMES };
    let Walk { samples, bytes, given_up } = walk(source, start, first, most)?;
    let countable = countable && !given_up;
    let facts = AudioFacts::new(Codec::Aac, first.rate, first.channels);
    let rate = u64::from(first.rate);
    let mut facts = if countable {
        facts.lasting(samples, rate, DurationSource::Counted).averaging(bytes)
    } else {
        let samples = u128::from(samples) * u128::from(all) / u128::from(bytes.max(1));
        let samples = u64::try_from(samples).unwrap_or(u64::MAX);
        facts.lasting(samples, rate, DurationSource::Estimated).averaging(all)
    };
    facts.variable_bitrate = Some(true);
    Ok(tags.tell(facts))
}

/// What a walk came by.
struct Walk {
    samples: u64,
    bytes: u64,
    /// There are too many frames to look at.
    given_up: bool,
}

/// Samples and bytes of up to `most` whole frames. Junk between them is skipped while frames follow it, and tags, which
/// segments of broadcasts start with, are hopped over.
fn walk<S: Read + Seek>(source: &mut Source<S>, start: u64, first: Frame, most: u64) -> Result<Walk, Fault> {
    let mut walk = Walk { samples: 0, bytes: 0, given_up: false };
    let mut at = start;
    for _ in 0..most {
        source.step()?;
        if source.is_tired() {
            walk.given_up = true;
            break;
        }
        let frame = parse(source.padded(at)?);
        match frame.filter(|frame| frame.rate == first.rate) {
            Some(frame) if at + frame.len <= source.len() => {
                walk.samples += frame.samples;
                walk.bytes += frame.len;
                at += frame.len;
            }
            Some(_) => break,
            None if at >= source.len() => break,
            None => match after_gap(source, at)? {
                Some(next) => at = next,
                None => break,
            },
        }
    }
    Ok(walk)
}

/// Where frames go on after a tag or junk.
fn after_gap<S: Read + Seek>(source: &mut Source<S>, at: u64) -> Result<Option<u64>, Fault> {
    match after_id3(source, at)? {
        Some(next) => Ok(Some(next)),
        None => find_first(source, at + 1, MAX_GAP),
    }
}
