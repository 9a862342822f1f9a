//! Sound in `WebM` and Matroska (RFC 9559, on EBML, RFC 8794).

use std::io::{Read, Seek};

use super::ogg::opus_samples;
use super::tags::Tags;
use crate::bytes::{slice, u8_at, u16_be};
use crate::error::{Fault, MediaError};
use crate::facts::{AudioFacts, Codec, DurationSource};
use crate::source::Source;
use crate::text;

const SEGMENT: u32 = 0x1853_8067;
const INFO: u32 = 0x1549_A966;
const TIMESTAMP_SCALE: u32 = 0x002A_D7B1;
const DURATION: u32 = 0x4489;
const TITLE: u32 = 0x7BA9;
const TRACKS: u32 = 0x1654_AE6B;
const TRACK_ENTRY: u32 = 0xAE;
const TRACK_TYPE: u32 = 0x83;
const CODEC_ID: u32 = 0x86;
const AUDIO: u32 = 0xE1;
const SAMPLING_FREQUENCY: u32 = 0xB5;
const OUTPUT_FREQUENCY: u32 = 0x78B5;
const CHANNELS: u32 = 0x9F;
const CLUSTER: u32 = 0x1F43_B675;
const TIMESTAMP: u32 = 0xE7;
const SIMPLE_BLOCK: u32 = 0xA3;
const BLOCK_GROUP: u32 = 0xA0;
const BLOCK: u32 = 0xA1;

const VIDEO_TRACK: u64 = 1;
const AUDIO_TRACK: u64 = 2;
const OPUS_RATE: u64 = 48_000;
/// Files up to this size have their blocks walked when the header has no duration.
const MAX_WALK: u64 = 16 << 20;

/// An element: its number, and its contents' range, cut to what holds it.
#[derive(Clone, Copy)]
struct Element {
    id: u32,
    body: u64,
    end: u64,
}

struct Track {
    kind: u64,
    codec: String,
    rate: f64,
    channels: u64,
}

#[derive(Default)]
struct Segment {
    /// Nanoseconds a tick.
    scale: u64,
    /// In ticks.
    duration: Option<f64>,
    tracks: Vec<Track>,
    first_cluster: Option<u64>,
    end: u64,
}

pub(super) fn facts<S: Read + Seek>(source: &mut Source<S>) -> Result<AudioFacts, Fault> {
    let mut tags = Tags::default();
    let segment = read_segment(source, &mut tags)?;
    if segment.tracks.iter().any(|track| track.kind == VIDEO_TRACK) {
        return Err(MediaError::unsupported("video/webm").into());
    }
    let track = segment.tracks.iter().find(|track| track.kind == AUDIO_TRACK);
    let track = track.ok_or(Fault::Corrupt("it has no track of sound"))?;
    let codec = match track.codec.as_str() {
        "A_OPUS" => Codec::Opus,
        "A_VORBIS" => Codec::Vorbis,
        other => return Err(MediaError::unsupported(format!("audio/webm; codecs={}", other.escape_default())).into()),
    };
    let rate = if codec == Codec::Opus { 48_000.0 } else { track.rate };
    let channels = u16::try_from(track.channels).unwrap_or_default();
    let mut facts =
        AudioFacts::new(codec, whole(rate).and_then(|rate| u32::try_from(rate).ok()).unwrap_or_default(), channels);
    facts.variable_bitrate = Some(true);
    let nanoseconds = |ticks: f64| whole(ticks * exact(segment.scale));
    let facts = match segment.duration.and_then(nanoseconds).filter(|length| *length > 0) {
        Some(length) => facts.lasting(length, 1_000_000_000, DurationSource::Header),
        None => match counted(source, &segment, codec)? {
            Some(length) => facts.lasting(length, 1_000_000_000, DurationSource::Counted),
            None => facts,
        },
    };
    let media = segment.first_cluster.map_or(0, |start| source.len() - start);
    Ok(tags.tell(facts.averaging(media)))
}

fn read_segment<S: Read + Seek>(source: &mut Source<S>, tags: &mut Tags) -> Result<Segment, Fault> {
    let len = source.len();
    let header = next(source, 0, len)?.ok_or(Fault::Corrupt("its header is broken"))?;
    let outer = next(source, header.end, len)?.filter(|outer| outer.id == SEGMENT);
    let outer = outer.ok_or(Fault::Corrupt("it has no segment"))?;
    let mut segment = Segment { scale: 1_000_000, end: outer.end, ..Segment::default() };
    let mut at = outer.body;
    while let Some(child) = next(source, at, outer.end)? {
        match child.id {
            INFO => read_info(source, child, &mut segment, tags)?,
            TRACKS => read_tracks(source, child, &mut segment)?,
            CLUSTER => {
                segment.first_cluster = Some(at);
                break;
            }
            _ => {}
        }
        at = child.end;
    }
    Ok(segment)
}

fn read_info<S: Read + Seek>(
    source: &mut Source<S>,
    info: Element,
    segment: &mut Segment,
    tags: &mut Tags,
) -> Result<(), Fault> {
    let mut at = info.body;
    while let Some(child) = next(source, at, info.end)? {
        match child.id {
            TIMESTAMP_SCALE => segment.scale = number(source, child)?,
            DURATION => segment.duration = Some(float(source, child)?),
            TITLE => tags.title(&text::utf8(&short(source, child, 2048)?)),
            _ => {}
        }
        at = child.end;
    }
    Ok(())
}

fn read_tracks<S: Read + Seek>(source: &mut Source<S>, tracks: Element, segment: &mut Segment) -> Result<(), Fault> {
    let mut at = tracks.body;
    while let Some(entry) = next(source, at, tracks.end)? {
        at = entry.end;
        if entry.id == TRACK_ENTRY && segment.tracks.len() < 64 {
            let track = read_track(source, entry)?;
            segment.tracks.push(track);
        }
    }
    Ok(())
}

fn read_track<S: Read + Seek>(source: &mut Source<S>, entry: Element) -> Result<Track, Fault> {
    // Rate and channels have defaults (RFC 9559 section 5.1.4.1.29).
    let mut track = Track { kind: 0, codec: String::new(), rate: 8000.0, channels: 1 };
    let mut output = None;
    let (mut at, mut end) = (entry.body, entry.end);
    while let Some(child) = next(source, at, end)? {
        at = child.end;
        match child.id {
            TRACK_TYPE => track.kind = number(source, child)?,
            CODEC_ID => track.codec = text::utf8(&short(source, child, 32)?).trim_end_matches('\0').into(),
            // Its children are read by the same loop: no other element of a track has theirs.
            AUDIO => (at, end) = (child.body, end.max(child.end)),
            SAMPLING_FREQUENCY => track.rate = float(source, child)?,
            OUTPUT_FREQUENCY => output = Some(float(source, child)?),
            CHANNELS => track.channels = number(source, child)?,
            _ => {}
        }
    }
    track.rate = output.unwrap_or(track.rate);
    Ok(track)
}

/// The end of the last block in nanoseconds; `None` when walking costs too much or there is no block.
fn counted<S: Read + Seek>(source: &mut Source<S>, segment: &Segment, codec: Codec) -> Result<Option<u64>, Fault> {
    let Some(start) = segment.first_cluster else { return Ok(None) };
    if source.len() - start > MAX_WALK || !source.affords(source.len() - start) {
        return Ok(None);
    }
    let (mut at, mut cluster, mut last) = (start, 0_u64, None);
    while let Some(element) = next(source, at, segment.end)? {
        if source.is_tired() {
            return Ok(None);
        }
        at = element.end;
        match element.id {
            CLUSTER | BLOCK_GROUP => at = element.body,
            TIMESTAMP => cluster = number(source, element)?,
            SIMPLE_BLOCK | BLOCK => {
                let head = short(source, element, 8)?;
                let track_len = u8_at(&head, 0).leading_zeros() as usize + 1;
                let relative = u16_be(&head, track_len).cast_signed();
                let time = cluster.saturating_add_signed(i64::from(relative)).saturating_mul(segment.scale);
                let samples = if codec == Codec::Opus { opus_samples(slice(&head, track_len + 3, 2)) } else { 0 };
                let length = samples * 1_000_000_000 / OPUS_RATE;
                last = last.max(Some(time.saturating_add(length)));
            }
            _ => {}
        }
    }
    Ok(last)
}

/// The element at `at`; `None` where none fits. An unknown size runs to the end of what holds it.
fn next<S: Read + Seek>(source: &mut Source<S>, at: u64, end: u64) -> Result<Option<Element>, Fault> {
    source.step()?;
    if at >= end {
        return Ok(None);
    }
    let head = source.up_to(at, 12)?;
    let id_len = u8_at(&head, 0).leading_zeros() as usize + 1;
    let size_len = u8_at(&head, id_len).leading_zeros() as usize + 1;
    if id_len > 4 || size_len > 8 || head.len() < id_len + size_len {
        return Ok(None);
    }
    let join = |bytes: &[u8]| bytes.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    let id = u32::try_from(join(slice(&head, 0, id_len))).unwrap_or_default();
    let mask = (1_u64 << (7 * size_len)) - 1;
    let size = join(slice(&head, id_len, size_len)) & mask;
    let body = at + (id_len + size_len) as u64;
    let stated = if size == mask { end } else { body.saturating_add(size) };
    Ok(Some(Element { id, body, end: stated.min(end).max(body) }))
}

fn short<S: Read + Seek>(source: &mut Source<S>, element: Element, most: usize) -> Result<Vec<u8>, Fault> {
    source.up_to(element.body, most.min(usize::try_from(element.end - element.body).unwrap_or(most)))
}

fn number<S: Read + Seek>(source: &mut Source<S>, element: Element) -> Result<u64, Fault> {
    Ok(short(source, element, 8)?.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

fn float<S: Read + Seek>(source: &mut Source<S>, element: Element) -> Result<f64, Fault> {
    let data = short(source, element, 8)?;
    Ok(match data.len() {
        4 => f64::from(f32::from_be_bytes(crate::bytes::array(&data, 0))),
        8 => f64::from_be_bytes(crate::bytes::array(&data, 0)),
        _ => 0.0,
    })
}

/// A float that is a sensible whole number once rounded.
fn whole(value: f64) -> Option<u64> {
    let sensible = value.is_finite() && (0.0..9e15).contains(&value);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
    sensible.then(|| value.round() as u64)
}

/// Exact for every scale in use.
#[expect(clippy::cast_precision_loss, reason = "scales are far below 2^53")]
fn exact(value: u64) -> f64 {
    value as f64
}
