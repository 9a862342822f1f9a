//! Vorbis and Opus in Ogg (RFC 3533, RFC 7845, Vorbis I).
//!
//! The length is the granule position of the last page, less what Opus puts before the start. In a chain of streams,
//! every link that is coded alike is counted: players stop at others.

use std::io::{Read, Seek};

use super::tags::{self, Tags};
use crate::bytes::{rfind, slice, u8_at, u16_le, u32_le, u64_le};
use crate::error::{Fault, MediaError};
use crate::facts::{AudioFacts, Codec, DurationSource};
use crate::format::Format;
use crate::source::Source;

/// The largest page: header, 255 lacing values, 255 segments of 255 bytes.
const MAX_PAGE: usize = 27 + 255 + 255 * 255;
const SMALL_TAIL: usize = 8 << 10;
/// Comments are read from this much of their packet; pictures come later or are skipped.
const MAX_COMMENTS: usize = 8 << 10;
/// No position: no packet ends on the page.
const NO_GRANULE: u64 = u64::MAX;
const BEGINNING: u8 = 2;
/// Opus positions always count at this rate (RFC 7845 section 4).
const OPUS_RATE: u32 = 48_000;

struct Page {
    flags: u8,
    granule: u64,
    serial: u32,
    body: u64,
    lacing: Vec<u8>,
    end: u64,
}

pub(super) fn facts<S: Read + Seek>(source: &mut Source<S>, format: Format) -> Result<AudioFacts, Fault> {
    let first = read_page(source, 0)?.ok_or(Fault::Corrupt("its first page is broken"))?;
    let head = source.up_to(first.body, 64)?;
    let mut tags = Tags::default();
    let audio_at = read_headers(source, &first, format, &mut tags)?;
    let (facts, pre_skip) = match format {
        Format::OggOpus => {
            let facts = AudioFacts::new(Codec::Opus, OPUS_RATE, u16::from(u8_at(&head, 9)));
            (facts, u64::from(u16_le(&head, 10)))
        }
        _ => (AudioFacts::new(Codec::Vorbis, u32_le(&head, 12), u16::from(u8_at(&head, 11))), 0),
    };
    let rate = u64::from(facts.sample_rate);
    let start = if format == Format::OggOpus { opus_start(source, audio_at)? } else { 0 };
    let mut facts = match last_page(source, audio_at)? {
        Some(last) if last.serial == first.serial => {
            let samples = last.granule.saturating_sub(start).saturating_sub(pre_skip);
            facts.lasting(samples, rate, DurationSource::Header)
        }
        Some(_) => match chained(source, &first, pre_skip)? {
            Some(samples) => facts.lasting(samples, rate, DurationSource::Counted),
            None => facts,
        },
        None => facts,
    };
    facts.variable_bitrate = Some(true);
    Ok(tags.tell(facts.averaging(source.len() - audio_at)))
}

/// The page at `at`; `None` where none starts or it is cut.
fn read_page<S: Read + Seek>(source: &mut Source<S>, at: u64) -> Result<Option<Page>, Fault> {
    source.step()?;
    let header = source.padded::<27>(at)?;
    if !header.starts_with(b"OggS\0") {
        return Ok(None);
    }
    let segments = usize::from(u8_at(&header, 26));
    let lacing = source.up_to(at + 27, segments)?;
    // Past the end it reads as no segments, which is a page only if the file really goes so far.
    if lacing.len() < segments || at + 27 > source.len() {
        return Ok(None);
    }
    let body = at + 27 + lacing.len() as u64;
    let end = body + lacing.iter().map(|len| u64::from(*len)).sum::<u64>();
    Ok((end <= source.len()).then(|| Page {
        flags: u8_at(&header, 5),
        granule: u64_le(&header, 6),
        serial: u32_le(&header, 14),
        body,
        lacing,
        end,
    }))
}

/// Reads the comment packet and finds the first page of sound. A second stream beside the first one is refused when it
/// is a picture.
fn read_headers<S: Read + Seek>(
    source: &mut Source<S>,
    first: &Page,
    format: Format,
    tags: &mut Tags,
) -> Result<u64, Fault> {
    // Vorbis has three header packets, Opus two; the first fills the first page.
    let mut missing = if format == Format::OggOpus { 1 } else { 2 };
    let mut comments = Vec::new();
    let mut comments_open = true;
    let mut at = first.end;
    while missing > 0 {
        let page = read_page(source, at)?.ok_or(Fault::Corrupt(crate::error::TRUNCATED))?;
        at = page.end;
        if page.serial != first.serial {
            refuse_pictures(source, &page)?;
            continue;
        }
        let mut segment = page.body;
        for len in page.lacing {
            if comments_open && comments.len() < MAX_COMMENTS {
                comments.extend(source.up_to(segment, usize::from(len))?);
            }
            segment += u64::from(len);
            if len < 255 {
                comments_open = false;
                missing = i32::max(missing - 1, 0);
            }
        }
    }
    let prefix = if format == Format::OggOpus { b"OpusTags".as_slice() } else { b"\x03vorbis" };
    if let Some(comments) = comments.strip_prefix(prefix) {
        tags::vorbis_comments_in(comments.to_vec(), tags)?;
    }
    Ok(at)
}

fn refuse_pictures<S: Read + Seek>(source: &mut Source<S>, page: &Page) -> Result<(), Fault> {
    let head = source.up_to(page.body, 8)?;
    let picture = head.starts_with(b"\x80theora") || head.starts_with(b"\x01video") || head.starts_with(b"BBCD");
    if page.flags & BEGINNING != 0 && picture { Err(MediaError::unsupported("video/ogg").into()) } else { Ok(()) }
}

/// The last whole page that has a position.
fn last_page<S: Read + Seek>(source: &mut Source<S>, audio_at: u64) -> Result<Option<Page>, Fault> {
    let mut end = source.len();
    // Usually the last page is small. It may also be cut, and the one before it be of full size.
    for window in [SMALL_TAIL, MAX_PAGE, MAX_PAGE] {
        let start = end.saturating_sub(window as u64).max(audio_at);
        let tail = source.up_to(start, usize::try_from(end.saturating_sub(start)).unwrap_or(MAX_PAGE))?;
        let mut upto = tail.len();
        while let Some(offset) = rfind(slice(&tail, 0, upto), b"OggS") {
            let page = read_page(source, start + offset as u64)?;
            if let Some(page) = page.filter(|page| page.granule != NO_GRANULE && page.granule < NO_GRANULE / 2) {
                return Ok(Some(page));
            }
            upto = offset;
        }
        // The name may lie across the edge.
        end = (start + 3).min(end);
        if start == audio_at {
            break;
        }
    }
    Ok(None)
}

/// The position before the first sound of a stream that was recorded from the middle on: the first page's position less
/// the samples of its packets. A first page that is also the last one may be cut short, and then says nothing.
fn opus_start<S: Read + Seek>(source: &mut Source<S>, audio_at: u64) -> Result<u64, Fault> {
    let Some(page) = read_page(source, audio_at)? else { return Ok(0) };
    if page.flags & 4 != 0 || page.granule == NO_GRANULE {
        return Ok(0);
    }
    let (mut samples, mut packet, mut segment, mut at_start) = (0, page.body, page.body, page.flags & 1 == 0);
    for len in page.lacing {
        segment += u64::from(len);
        if len < 255 {
            if at_start {
                samples += opus_samples(&source.up_to(packet, 2)?);
            }
            at_start = true;
            packet = segment;
        }
    }
    Ok(page.granule.saturating_sub(samples))
}

/// Samples at 48 kHz of a packet, by its first bytes (RFC 6716 section 3.1).
pub(super) fn opus_samples(packet: &[u8]) -> u64 {
    let toc = u8_at(packet, 0);
    let config = toc >> 3;
    let frame = match config {
        0..=11 => [480, 960, 1920, 2880][usize::from(config & 3)],
        12..=15 => [480, 960][usize::from(config & 1)],
        _ => [120, 240, 480, 960][usize::from(config & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u64::from(u8_at(packet, 1) & 0x3F),
    };
    if packet.is_empty() { 0 } else { frame * frames }
}

/// Adds up the links of a chain by walking all pages; `None` when that costs too much.
fn chained<S: Read + Seek>(source: &mut Source<S>, first: &Page, pre_skip: u64) -> Result<Option<u64>, Fault> {
    if !source.affords(source.len()) {
        return Ok(None);
    }
    let (mut total, mut link, mut serial, mut at) = (0_u64, 0, Some(first.serial), first.end);
    let kind = source.padded::<8>(first.body)?;
    while let Some(page) = read_page(source, at)? {
        if source.is_tired() {
            return Ok(None);
        }
        at = page.end;
        if page.flags & BEGINNING != 0 {
            total = total.saturating_add(u64::saturating_sub(link, pre_skip));
            let alike = source.padded(page.body)? == kind;
            (serial, link) = (alike.then_some(page.serial), 0);
        } else if serial == Some(page.serial) && page.granule < NO_GRANULE / 2 {
            link = page.granule;
        }
    }
    Ok(Some(total.saturating_add(link.saturating_sub(pre_skip))))
}
