//! Vorbis and Opus in Ogg (RFC 3533, RFC 7845, Vorbis I).
//!
//! The length is the granule position of the last page, less what Opus puts before the start. In a chain of streams,
//! every link that is coded alike is counted: players stop at others. Streams that run beside the sound (a skeleton,
//! captions) are passed over; pictures make it a film.

use std::io::{Read, Seek};

use super::tags::{self, Tags};
use crate::archive;
use crate::bytes::{rfind, slice, u8_at, u16_le, u32_le, u64_le};
use crate::detect::{Detected, ogg_stream};
use crate::error::{Fault, MediaError};
use crate::facts::{AudioFacts, Codec, DurationSource};
use crate::format::Format;
use crate::source::Source;

/// The largest page: header, 255 lacing values, 255 segments of 255 bytes.
const MAX_PAGE: usize = 27 + 255 + 255 * 255;
/// How far back the last page is looked for, step by step: usually it is small, but it may also be cut, and the one
/// before it be of full size.
const TAILS: [usize; 6] = [8 << 10, 8 << 10, 16 << 10, 32 << 10, MAX_PAGE, MAX_PAGE];
/// Comments are read from this much of their packet; pictures come later or are skipped.
const MAX_COMMENTS: usize = 8 << 10;
/// No position: no packet ends on the page.
const NO_GRANULE: u64 = u64::MAX;
const CONTINUED: u8 = 1;
const BEGINNING: u8 = 2;
const END: u8 = 4;
/// More streams side by side than anyone writes.
const MAX_STREAMS: usize = 64;
/// Pages of other streams that may come before the first one of sound.
const MAX_PAGES_BESIDE: u32 = 64;
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

/// The streams that begin together.
struct Group {
    /// The first page of the sound.
    first: Page,
    serials: Vec<u32>,
    end: u64,
}

pub(super) fn facts<S: Read + Seek>(source: &mut Source<S>, format: Format) -> Result<AudioFacts, Fault> {
    let group = read_group(source, format)?;
    let first = &group.first;
    let head = source.up_to(first.body, 64)?;
    let mut tags = Tags::default();
    let audio_at = read_headers(source, &group, format, &mut tags)?;
    let (facts, pre_skip) = match format {
        Format::OggOpus => (AudioFacts::new(Codec::Opus, OPUS_RATE, u16::from(u8_at(&head, 9))), pre_skip(&head)),
        _ => (AudioFacts::new(Codec::Vorbis, u32_le(&head, 12), u16::from(u8_at(&head, 11))), 0),
    };
    let rate = u64::from(facts.sample_rate);
    let mut facts = match last_page(source, audio_at, |_| true)? {
        Some(last) if group.serials.contains(&last.serial) => {
            archive::check(source, last.end, source.len())?;
            match last_page(source, audio_at, |page| page.serial == first.serial)? {
                Some(last) => {
                    let (start, how) = start_of_sound(source, audio_at, first, format)?;
                    facts.lasting(last.granule.saturating_sub(start).saturating_sub(pre_skip), rate, how)
                }
                None => facts,
            }
        }
        Some(_) => match chained(source, &group, format)? {
            Some(samples) => facts.lasting(samples, rate, DurationSource::Counted),
            None => facts,
        },
        None => facts,
    };
    facts.variable_bitrate = Some(true);
    Ok(tags.tell(facts.averaging(source.len() - audio_at)))
}

/// What decoders drop of the beginning (RFC 7845 section 5.1).
fn pre_skip(head: &[u8]) -> u64 {
    u64::from(u16_le(head, 10))
}

/// The first pages of all streams come before anything else (RFC 3533 section 6). Not every writer marks the very first.
fn read_group<S: Read + Seek>(source: &mut Source<S>, format: Format) -> Result<Group, Fault> {
    let (mut first, mut serials, mut end) = (None, Vec::new(), 0);
    while let Some(page) = read_page(source, end)?.filter(|page| end == 0 || page.flags & BEGINNING != 0) {
        end = page.end;
        serials.push(page.serial);
        match ogg_stream(&source.up_to(page.body, 64)?) {
            Some(Detected::Refused("video/ogg")) => return Err(MediaError::unsupported("video/ogg").into()),
            Some(Detected::Format(found)) if found == format && first.is_none() => first = Some(page),
            _ => {}
        }
        if serials.len() == MAX_STREAMS {
            return Err(Fault::Corrupt("it has too many streams"));
        }
    }
    let first = first.ok_or(Fault::Corrupt("its first page is broken"))?;
    Ok(Group { first, serials, end })
}

impl Page {
    /// Whether a position is known.
    fn has_granule(&self) -> bool {
        self.granule < NO_GRANULE / 2
    }
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

/// Reads the comment packet and finds the first page of sound.
fn read_headers<S: Read + Seek>(
    source: &mut Source<S>,
    group: &Group,
    format: Format,
    tags: &mut Tags,
) -> Result<u64, Fault> {
    // Vorbis has three header packets, Opus two; the first fills the first page.
    let mut missing = if format == Format::OggOpus { 1 } else { 2 };
    let mut comments = Vec::new();
    let mut comments_open = true;
    let mut at = group.end;
    while missing > 0 {
        let page = read_page(source, at)?.ok_or(Fault::Corrupt(crate::error::TRUNCATED))?;
        at = page.end;
        if page.serial != group.first.serial {
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
        tags::vorbis_comments_in(source, comments.to_vec(), tags)?;
    }
    Ok(at)
}

/// The last whole page that has a position, of those that are wanted.
fn last_page<S: Read + Seek>(
    source: &mut Source<S>,
    audio_at: u64,
    wanted: impl Fn(&Page) -> bool,
) -> Result<Option<Page>, Fault> {
    let mut end = source.len();
    for window in TAILS {
        let start = end.saturating_sub(window as u64).max(audio_at);
        let tail = source.up_to(start, usize::try_from(end.saturating_sub(start)).unwrap_or(MAX_PAGE))?;
        let mut upto = tail.len();
        while let Some(offset) = rfind(slice(&tail, 0, upto), b"OggS") {
            let page = read_page(source, start + offset as u64)?;
            if let Some(page) = page.filter(|page| page.has_granule() && wanted(page)) {
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
fn start_of_sound<S: Read + Seek>(
    source: &mut Source<S>,
    audio_at: u64,
    first: &Page,
    format: Format,
) -> Result<(u64, DurationSource), Fault> {
    const FROM_ZERO: (u64, DurationSource) = (0, DurationSource::Header);
    let mut at = audio_at;
    for _ in 0..MAX_PAGES_BESIDE {
        let Some(page) = read_page(source, at)? else { break };
        at = page.end;
        if page.serial != first.serial {
            continue;
        }
        if page.flags & END != 0 || !page.has_granule() {
            break;
        }
        if format == Format::OggOpus {
            let samples = opus_samples_of(source, &page)?;
            return Ok((page.granule.saturating_sub(samples), DurationSource::Header));
        }
        // How long the packets of Vorbis are is told by their insides: at most half a long block each.
        let exponent = u8_at(&source.up_to(first.body, 29)?, 28) >> 4;
        let packets = page.lacing.iter().filter(|len| **len < 255).count() as u64;
        let most = packets << exponent >> 1;
        return Ok(match page.granule.saturating_sub(most) {
            0 => FROM_ZERO,
            start => (start, DurationSource::Estimated),
        });
    }
    Ok(FROM_ZERO)
}

/// The samples of the packets that begin and end on a page.
fn opus_samples_of<S: Read + Seek>(source: &mut Source<S>, page: &Page) -> Result<u64, Fault> {
    let (mut samples, mut packet, mut segment) = (0, page.body, page.body);
    let mut at_start = page.flags & CONTINUED == 0;
    for len in &page.lacing {
        segment += u64::from(*len);
        if *len < 255 {
            if at_start {
                samples += opus_samples(&source.up_to(packet, 2)?);
            }
            at_start = true;
            packet = segment;
        }
    }
    Ok(samples)
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
fn chained<S: Read + Seek>(source: &mut Source<S>, group: &Group, format: Format) -> Result<Option<u64>, Fault> {
    if !source.affords(source.len()) {
        return Ok(None);
    }
    let wanted = Link::begin(source, &group.first, format)?;
    let (mut link, mut total, mut at) = (Some(wanted), 0_u64, group.end);
    let mut among_first_pages = false;
    while let Some(page) = read_page(source, at)? {
        if source.is_tired() {
            return Ok(None);
        }
        at = page.end;
        if page.flags & BEGINNING != 0 {
            if !among_first_pages {
                total = total.saturating_add(link.take().map_or(0, |link| link.samples()));
            }
            among_first_pages = true;
            let begun = Link::begin(source, &page, format)?;
            link = link.or(Some(begun).filter(|begun| begun.kind == wanted.kind));
            continue;
        }
        among_first_pages = false;
        if let Some(link) = link.as_mut().filter(|link| link.serial == page.serial && page.has_granule()) {
            link.end = page.granule;
        }
    }
    Ok(Some(total.saturating_add(link.map_or(0, |link| link.samples()))))
}

/// One of several streams that follow each other.
#[derive(Clone, Copy)]
struct Link {
    /// What says how it is coded: of Vorbis also the rate.
    kind: [u8; 16],
    serial: u32,
    pre_skip: u64,
    end: u64,
}

impl Link {
    fn begin<S: Read + Seek>(source: &mut Source<S>, page: &Page, format: Format) -> Result<Self, Fault> {
        let mut kind = source.padded::<16>(page.body)?;
        let opus = format == Format::OggOpus;
        let pre_skip = if opus { pre_skip(&kind) } else { 0 };
        if opus {
            // The rest is about its beginning and its source.
            kind.iter_mut().skip(10).for_each(|byte| *byte = 0);
        }
        Ok(Self { kind, serial: page.serial, pre_skip, end: 0 })
    }

    fn samples(&self) -> u64 {
        self.end.saturating_sub(self.pre_skip)
    }
}
