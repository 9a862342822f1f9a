//! AAC and ALAC in MP4 (ISO/IEC 14496-12 and -14).
//!
//! The length is the one of the track: its edit list (which leaves out the encoder's delay) where there is one, else its
//! media header, else its sample table, else the sum of its fragments.

use std::io::{Read, Seek};

use super::adts::RATES;
use super::tags::Tags;
use crate::bmff::{Box4, contents, find_child, find_path, next_box};
use crate::bytes::{find, slice, u8_at, u16_be, u24_be, u32_be, u64_be};
use crate::error::{Fault, MediaError};
use crate::facts::{AudioFacts, Codec, DurationSource};
use crate::source::Source;
use crate::text;

const MAX_TRACKS: usize = 64;
const MAX_TABLE: usize = 1 << 20;
const MAX_VALUE: usize = 2048;
/// A longer table of sizes is not worth reading for an average.
const MAX_SIZES: u64 = 4096;

struct Track {
    id: u32,
    timescale: u32,
    /// In its own timescale; 0 when the header does not tell.
    duration: u64,
    /// In the film's timescale.
    edited: Option<u64>,
    table: Box4,
    format: StreamFormat,
}

impl Track {
    /// Edits cannot show more than there is; a tenth of a second is rounding.
    fn allows(&self, edited: u64, timescale: u32) -> bool {
        let stated = u128::from(self.duration) * u128::from(timescale);
        let shown = u128::from(edited) * u128::from(self.timescale);
        self.duration == 0 || shown <= stated + u128::from(timescale) * u128::from(self.timescale) / 10
    }
}

#[derive(Clone, Copy)]
struct StreamFormat {
    codec: Codec,
    rate: u32,
    channels: u16,
    bits: Option<u16>,
    bitrate: Option<u32>,
}

/// What the top level holds.
#[derive(Default)]
struct Film {
    moov: Option<Box4>,
    has_media: bool,
    media_bytes: u64,
    first_fragment: Option<u64>,
}

pub(super) fn facts<S: Read + Seek>(source: &mut Source<S>) -> Result<AudioFacts, Fault> {
    let film = read_top(source)?;
    let moov = film.moov.ok_or(Fault::Corrupt("it has no moov box"))?;
    let timescale = match find_child(source, moov.body, moov.end, *b"mvhd")? {
        Some(mvhd) => read_header(&contents(source, mvhd, 32)?).0,
        None => 0,
    };
    let track = sound_track(source, moov)?;
    let format = &track.format;
    let mut facts = AudioFacts::new(format.codec, format.rate, format.channels);
    facts.bit_depth = format.bits;
    let rate = u64::from(track.timescale);
    if !film.has_media {
        return Err(Fault::Corrupt("it has no media data"));
    }
    let counted = if track.duration > 0 { 0 } else { table_duration(source, track.table)? };
    let facts = match track.edited {
        Some(edited) if timescale > 0 && track.allows(edited, timescale) => {
            facts.lasting(edited, u64::from(timescale), DurationSource::Header)
        }
        _ if track.duration > 0 => facts.lasting(track.duration, rate, DurationSource::Header),
        _ if counted > 0 => facts.lasting(counted, rate, DurationSource::Counted),
        _ => match fragments_duration(source, moov, film.first_fragment, track.id)? {
            0 => facts,
            total => facts.lasting(total, rate, DurationSource::Counted),
        },
    };
    let mut tags = Tags::default();
    read_tags(source, moov, &mut tags)?;
    // The media data hold the other tracks, too, so they are asked last.
    let facts = match (table_bytes(source, track.table)?, track.format.bitrate) {
        (0, Some(stated)) => AudioFacts { bitrate: Some(stated), ..facts },
        (0, None) => facts.averaging(film.media_bytes),
        (bytes, stated) => {
            let facts = facts.averaging(bytes);
            AudioFacts { bitrate: facts.bitrate.or(stated), ..facts }
        }
    };
    Ok(tags.tell(facts))
}

/// Walks the top level. Media data may be cut by the end of the file: what describes it is then still true.
fn read_top<S: Read + Seek>(source: &mut Source<S>) -> Result<Film, Fault> {
    let mut film = Film::default();
    let (mut at, end) = (0, source.len());
    while at + 8 <= end {
        let top = match next_box(source, at, end) {
            Ok(Some(top)) => top,
            Err(Fault::Corrupt(_)) if film.moov.is_some() => {
                // Cut media data, most likely; in any case nothing that is needed.
                film.has_media |= source.array::<8>(at)?.get(4..) == Some(b"mdat");
                film.media_bytes += end - at;
                break;
            }
            Ok(None) => break,
            Err(fault) => return Err(fault),
        };
        match &top.kind {
            b"moov" if film.moov.is_none() => film.moov = Some(top),
            b"moof" if film.first_fragment.is_none() => film.first_fragment = Some(at),
            b"mdat" => {
                film.has_media = true;
                film.media_bytes += top.len();
            }
            _ => {}
        }
        at = top.end;
    }
    Ok(film)
}

/// The first track of sound. A picture track makes it a film, unless its pictures are stills: cover art, chapters.
fn sound_track<S: Read + Seek>(source: &mut Source<S>, moov: Box4) -> Result<Track, Fault> {
    let mut sound = None;
    let mut at = moov.body;
    let mut tracks = 0;
    while let Some(trak) = next_box(source, at, moov.end)? {
        at = trak.end;
        if &trak.kind != b"trak" {
            continue;
        }
        tracks += 1;
        if tracks > MAX_TRACKS {
            return Err(Fault::Corrupt("it has too many tracks"));
        }
        let Some(hdlr) = find_path(source, trak, &[*b"mdia", *b"hdlr"])? else { continue };
        let hdlr = contents(source, hdlr, 12)?;
        match slice(&hdlr, 8, 4) {
            b"soun" if sound.is_none() => sound = Some(read_track(source, trak)?),
            b"vide" => refuse_film(source, trak)?,
            _ => {}
        }
    }
    sound.ok_or(Fault::Corrupt("it has no track of sound"))
}

fn refuse_film<S: Read + Seek>(source: &mut Source<S>, trak: Box4) -> Result<(), Fault> {
    let stsd = find_path(source, trak, &[*b"mdia", *b"minf", *b"stbl", *b"stsd"])?;
    let entry = match stsd {
        Some(stsd) => contents(source, stsd, 4096)?,
        None => Vec::new(),
    };
    let still = match slice(&entry, 12, 4) {
        b"jpeg" | b"png " | b"mjpa" | b"mjpb" | b"gif " => true,
        b"mp4v" => find(&entry, b"esds").and_then(|at| read_decoder(slice(&entry, at + 8, usize::MAX))).is_some_and(
            // JPEG, PNG and JPEG 2000 among the object types.
            |config| matches!(u8_at(config, 0), 0x6C..=0x6E),
        ),
        _ => false,
    };
    if still {
        return Ok(());
    }
    let quicktime = slice(source.head(), 8, 4) == b"qt  ";
    Err(MediaError::unsupported(if quicktime { "video/quicktime" } else { "video/mp4" }).into())
}

fn read_track<S: Read + Seek>(source: &mut Source<S>, trak: Box4) -> Result<Track, Fault> {
    let tkhd = find_child(source, trak.body, trak.end, *b"tkhd")?;
    let id = match tkhd {
        Some(tkhd) => {
            let tkhd = contents(source, tkhd, 32)?;
            u32_be(&tkhd, if u8_at(&tkhd, 0) == 1 { 20 } else { 12 })
        }
        None => 0,
    };
    let mdhd = find_path(source, trak, &[*b"mdia", *b"mdhd"])?.ok_or(Fault::Corrupt("its track has no header"))?;
    let (timescale, duration) = read_header(&contents(source, mdhd, 32)?);
    if timescale == 0 {
        return Err(Fault::Corrupt("its timescale is zero"));
    }
    let stbl = find_path(source, trak, &[*b"mdia", *b"minf", *b"stbl"])?;
    let stbl = stbl.ok_or(Fault::Corrupt("its track has no sample table"))?;
    let stsd = find_child(source, stbl.body, stbl.end, *b"stsd")?;
    let stsd = contents(source, stsd.ok_or(Fault::Corrupt("its track does not say how it is coded"))?, 4096)?;
    let format = read_format(&stsd)?;
    let edited = match find_path(source, trak, &[*b"edts", *b"elst"])? {
        Some(elst) => edited_duration(&contents(source, elst, MAX_TABLE)?),
        None => None,
    };
    Ok(Track { id, timescale, duration, edited, table: stbl, format })
}

/// Timescale and duration of `mvhd` and `mdhd`; an unknown duration is 0.
fn read_header(data: &[u8]) -> (u32, u64) {
    if u8_at(data, 0) == 1 {
        (u32_be(data, 20), Some(u64_be(data, 24)).filter(|ticks| *ticks != u64::MAX).unwrap_or_default())
    } else {
        (u32_be(data, 12), Some(u32_be(data, 16)).filter(|ticks| *ticks != u32::MAX).map_or(0, u64::from))
    }
}

/// The sum of the edits that show something; `None` when they say nothing, as in files written as they are recorded.
fn edited_duration(elst: &[u8]) -> Option<u64> {
    let wide = u8_at(elst, 0) == 1;
    let len = if wide { 20 } else { 12 };
    let entries = slice(elst, 8, usize::MAX).chunks_exact(len).take(u32_be(elst, 4) as usize);
    let shown = entries.filter(|entry| !matches!(slice(entry, len / 2 - 2, 4), [0xFF, 0xFF, 0xFF, 0xFF]));
    let total = shown.fold(0_u64, |total, entry| {
        total.saturating_add(if wide { u64_be(entry, 0) } else { u64::from(u32_be(entry, 0)) })
    });
    Some(total).filter(|total| *total > 0)
}

/// The sum of all sample durations in `stts`.
fn table_duration<S: Read + Seek>(source: &mut Source<S>, stbl: Box4) -> Result<u64, Fault> {
    let Some(stts) = find_child(source, stbl.body, stbl.end, *b"stts")? else { return Ok(0) };
    let stts = contents(source, stts, MAX_TABLE)?;
    let entries = slice(&stts, 8, usize::MAX).chunks_exact(8).take(u32_be(&stts, 4) as usize);
    Ok(entries.fold(0, |total, entry| total.saturating_add(u64::from(u32_be(entry, 0)) * u64::from(u32_be(entry, 4)))))
}

/// The sum of all sample sizes in `stsz`; 0 when the table is absent or too large to be worth it.
fn table_bytes<S: Read + Seek>(source: &mut Source<S>, stbl: Box4) -> Result<u64, Fault> {
    let Some(stsz) = find_child(source, stbl.body, stbl.end, *b"stsz")? else { return Ok(0) };
    let head = contents(source, stsz, 12)?;
    let (each, count) = (u64::from(u32_be(&head, 4)), u64::from(u32_be(&head, 8)));
    if each > 0 || count > MAX_SIZES {
        return Ok(each.saturating_mul(count));
    }
    let sizes = contents(source, stsz, MAX_TABLE)?;
    Ok(slice(&sizes, 12, usize::MAX).chunks_exact(4).map(|size| u64::from(u32_be(size, 0))).sum())
}

/// The first sample entry.
fn read_format(stsd: &[u8]) -> Result<StreamFormat, Fault> {
    let entry = slice(stsd, 8, usize::MAX);
    let (kind, version) = (slice(entry, 4, 4), u16_be(entry, 16));
    let (channels, bits, rate) = (u16_be(entry, 24), u16_be(entry, 26), u32_be(entry, 32) >> 16);
    let format = StreamFormat { codec: Codec::Aac, rate, channels, bits: None, bitrate: None };
    // QuickTime's later versions put more numbers before the boxes.
    let boxes = slice(entry, 36 + [0, 16, 36].get(usize::from(version)).copied().unwrap_or(0), usize::MAX);
    match kind {
        b"mp4a" => match find(boxes, b"esds") {
            Some(at) => read_esds(slice(boxes, at + 8, usize::MAX), format),
            None => Err(Fault::Corrupt("its AAC has no decoder configuration")),
        },
        b"alac" => Ok(read_alac(boxes, StreamFormat { codec: Codec::Alac, bits: Some(bits), ..format })),
        other => Err(MediaError::unsupported(format!("audio/mp4; codecs={}", other.escape_ascii())).into()),
    }
}

/// The decoder's own configuration: bits, channels, average bit rate and sample rate follow the box's version.
fn read_alac(boxes: &[u8], format: StreamFormat) -> StreamFormat {
    let Some(at) = find(boxes, b"alac") else { return format };
    let config = slice(boxes, at + 8, 24);
    if config.len() < 24 || u32_be(config, 20) == 0 {
        return format;
    }
    StreamFormat {
        bits: Some(u16::from(u8_at(config, 5))),
        channels: u16::from(u8_at(config, 9)),
        bitrate: Some(u32_be(config, 16)).filter(|rate| *rate > 0),
        rate: u32_be(config, 20),
        ..format
    }
}

/// The elementary stream descriptor (ISO/IEC 14496-1 section 7.2.6).
fn read_esds(data: &[u8], format: StreamFormat) -> Result<StreamFormat, Fault> {
    let config = read_decoder(data).ok_or(Fault::Corrupt("its AAC has no decoder configuration"))?;
    let bitrate = Some(u32_be(config, 9)).filter(|rate| *rate > 0);
    match u8_at(config, 0) {
        // MPEG-4 audio, and MPEG-2 AAC in three profiles.
        0x40 | 0x66..=0x68 => {}
        object => return Err(MediaError::unsupported(format!("audio/mp4; codecs=mp4a.{object:02x}")).into()),
    }
    let format = StreamFormat { bitrate, ..format };
    match descriptor(slice(config, 13, usize::MAX), 5) {
        Some(specific) => read_aac(specific, format),
        None => Ok(format),
    }
}

/// The decoder configuration inside an elementary stream descriptor.
fn read_decoder(data: &[u8]) -> Option<&[u8]> {
    let stream = descriptor(data, 3)?;
    let flags = u8_at(stream, 2);
    let optional = [(0x80, 2), (0x40, 1 + usize::from(u8_at(stream, 3))), (0x20, 2)];
    let skipped: usize = optional.iter().filter(|(flag, _)| flags & flag != 0).map(|(_, len)| len).sum();
    descriptor(slice(stream, 3 + skipped, usize::MAX), 4)
}

/// The contents of a descriptor with this tag at the start of `data`; its length is coded in groups of seven bits.
fn descriptor(data: &[u8], tag: u8) -> Option<&[u8]> {
    if data.first() != Some(&tag) {
        return None;
    }
    let mut len = 0;
    for at in 1..5 {
        let byte = u8_at(data, at);
        len = len << 7 | usize::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            return Some(slice(data, at + 1, len));
        }
    }
    None
}

/// The decoder configuration of AAC (ISO/IEC 14496-3 section 1.6.2.1).
fn read_aac(data: &[u8], format: StreamFormat) -> Result<StreamFormat, Fault> {
    let mut bits = Bits { data, at: 0 };
    let object = bits.object_type();
    let core_rate = bits.sample_rate();
    let layout = bits.take(4);
    if !matches!(object, 1..=6 | 17 | 19..=20 | 23 | 29 | 39 | 42) {
        return Err(MediaError::unsupported(format!("audio/mp4; codecs=mp4a.40.{object}")).into());
    }
    let mut rate = core_rate;
    // Layouts by number (ISO/IEC 23001-8 table 8); 0 means that the stream describes its own.
    let mut channels = match layout {
        0 => format.channels,
        7 | 12 | 14 => 8,
        11 => 7,
        13 => 24,
        count => u16::try_from(count).unwrap_or_default(),
    };
    // Spectral band replication plays at twice the core's rate; parametric stereo makes two channels of one.
    if matches!(object, 5 | 29) {
        rate = bits.sample_rate();
        channels = if object == 29 { 2 } else { channels };
    } else if let Some(extended) = bits.extended_rate(object) {
        rate = extended;
        channels = if channels == 1 && bits.parametric_stereo() { 2 } else { channels };
    } else if u64::from(format.rate) == u64::from(core_rate) * 2 {
        rate = format.rate;
    }
    Ok(StreamFormat { rate: if rate > 0 { rate } else { format.rate }, channels, ..format })
}

/// Bits from the most significant one on; zeros past the end.
struct Bits<'a> {
    data: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> u32 {
        let bits = (self.at..self.at + count).map(|at| u32::from(u8_at(self.data, at / 8) >> (7 - at % 8) & 1));
        self.at += count;
        bits.fold(0, |sum, bit| sum << 1 | bit)
    }

    fn object_type(&mut self) -> u32 {
        match self.take(5) {
            31 => 32 + self.take(6),
            object => object,
        }
    }

    /// The rate of band replication that is announced where older decoders do not look.
    fn extended_rate(&mut self, object: u32) -> Option<u32> {
        if object != 2 {
            return None;
        }
        let (_frame_len, core_coder) = (self.take(1), self.take(1));
        self.take(if core_coder == 1 { 15 } else { 1 });
        let announced = self.take(11) == 0x2B7 && self.object_type() == 5 && self.take(1) == 1;
        announced.then(|| self.sample_rate()).filter(|rate| *rate > 0)
    }

    /// Whether two channels are made of one; follows the rate that is announced so.
    fn parametric_stereo(&mut self) -> bool {
        self.take(11) == 0x548 && self.take(1) == 1
    }

    fn sample_rate(&mut self) -> u32 {
        match self.take(4) {
            15 => self.take(24),
            index => RATES.get(index as usize).copied().unwrap_or_default(),
        }
    }
}

/// Adds up the sample durations of a track over all fragments (ISO/IEC 14496-12 section 8.8).
fn fragments_duration<S: Read + Seek>(
    source: &mut Source<S>,
    moov: Box4,
    first: Option<u64>,
    id: u32,
) -> Result<u64, Fault> {
    let Some(mut next) = first else { return Ok(0) };
    let default = default_duration(source, moov, id)?;
    let mut total = 0_u64;
    let end = source.len();
    while let Some(moof) = whole_box(source, next, end)? {
        next = moof.end;
        if &moof.kind != b"moof" {
            continue;
        }
        let mut at = moof.body;
        while let Some(traf) = next_box(source, at, moof.end)? {
            at = traf.end;
            if &traf.kind == b"traf" {
                total = total.saturating_add(fragment_duration(source, traf, id, default)?);
            }
        }
    }
    Ok(total)
}

/// The box at `at`; `None` when the file ends before it does.
fn whole_box<S: Read + Seek>(source: &mut Source<S>, at: u64, end: u64) -> Result<Option<Box4>, Fault> {
    match next_box(source, at, end) {
        Err(Fault::Corrupt(_)) => Ok(None),
        other => other,
    }
}

fn default_duration<S: Read + Seek>(source: &mut Source<S>, moov: Box4, id: u32) -> Result<u32, Fault> {
    let Some(mvex) = find_child(source, moov.body, moov.end, *b"mvex")? else { return Ok(0) };
    let mut at = mvex.body;
    while let Some(trex) = next_box(source, at, mvex.end)? {
        at = trex.end;
        let data = contents(source, trex, 24)?;
        if &trex.kind == b"trex" && u32_be(&data, 4) == id {
            return Ok(u32_be(&data, 12));
        }
    }
    Ok(0)
}

fn fragment_duration<S: Read + Seek>(source: &mut Source<S>, traf: Box4, id: u32, default: u32) -> Result<u64, Fault> {
    let Some(tfhd) = find_child(source, traf.body, traf.end, *b"tfhd")? else { return Ok(0) };
    let tfhd = contents(source, tfhd, 32)?;
    if u32_be(&tfhd, 4) != id {
        return Ok(0);
    }
    let flags = u24_be(&tfhd, 1);
    let before = [(1, 8), (2, 4)].iter().filter(|(flag, _)| flags & flag != 0).map(|(_, len)| len).sum::<usize>();
    let default = if flags & 8 != 0 { u32_be(&tfhd, 8 + before) } else { default };
    let mut total = 0_u64;
    let mut at = traf.body;
    while let Some(trun) = next_box(source, at, traf.end)? {
        at = trun.end;
        if &trun.kind == b"trun" {
            total = total.saturating_add(run_duration(&contents(source, trun, MAX_TABLE)?, default));
        }
    }
    Ok(total)
}

fn run_duration(trun: &[u8], default: u32) -> u64 {
    let (flags, count) = (u24_be(trun, 1), u32_be(trun, 4));
    if flags & 0x100 == 0 {
        return u64::from(count) * u64::from(default);
    }
    let before = [1, 4].iter().filter(|flag| flags & **flag != 0).count() * 4;
    let each = [0x100, 0x200, 0x400, 0x800].iter().filter(|flag| flags & **flag != 0).count() * 4;
    let samples = slice(trun, 8 + before, usize::MAX).chunks_exact(each).take(count as usize);
    samples.map(|sample| u64::from(u32_be(sample, 0))).sum()
}

/// Title and artist of the item list that iTunes keeps.
fn read_tags<S: Read + Seek>(source: &mut Source<S>, moov: Box4, tags: &mut Tags) -> Result<(), Fault> {
    let found = read_item_list(source, moov, tags);
    match found {
        // Broken tags say nothing about the sound.
        Err(Fault::Corrupt(_)) => Ok(()),
        other => other,
    }
}

fn read_item_list<S: Read + Seek>(source: &mut Source<S>, moov: Box4, tags: &mut Tags) -> Result<(), Fault> {
    let Some(meta) = find_path(source, moov, &[*b"udta", *b"meta"])? else { return Ok(()) };
    // `meta` has version and flags here, but not in QuickTime.
    let start = if slice(&source.up_to(meta.body, 8)?, 4, 4) == b"hdlr" { meta.body } else { meta.body + 4 };
    let Some(ilst) = find_child(source, start, meta.end, *b"ilst")? else { return Ok(()) };
    let mut at = ilst.body;
    while let Some(item) = next_box(source, at, ilst.end)? {
        at = item.end;
        if !matches!(&item.kind, b"\xa9nam" | b"\xa9ART") {
            continue;
        }
        let Some(data) = find_child(source, item.body, item.end, *b"data")? else { continue };
        let data = contents(source, data, MAX_VALUE)?;
        let value = slice(&data, 8, usize::MAX);
        let value = if u32_be(&data, 0) == 2 { text::utf16(value, true) } else { text::utf8(value) };
        if &item.kind == b"\xa9nam" { tags.title(&value) } else { tags.artist(&value) }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A decoder configuration from numbers and their widths.
    fn config(fields: &[(u32, usize)]) -> Vec<u8> {
        let bits: Vec<u32> =
            fields.iter().flat_map(|(value, width)| (0..*width).rev().map(move |at| value >> at & 1)).collect();
        bits.chunks(8)
            .map(|byte| byte.iter().enumerate().fold(0, |sum, (at, bit)| sum | u8::try_from(*bit).unwrap() << (7 - at)))
            .collect()
    }

    fn read(fields: &[(u32, usize)], stated_rate: u32) -> (u32, u16) {
        let format = StreamFormat { codec: Codec::Aac, rate: stated_rate, channels: 2, bits: None, bitrate: None };
        let format = read_aac(&config(fields), format).unwrap();
        (format.rate, format.channels)
    }

    #[test]
    fn replicated_bands_and_parametric_stereo_are_heard() {
        // LC at 22050 Hz, mono, then what older decoders do not see.
        let core = [(2, 5), (7, 4), (1, 4), (0, 3)];
        assert_eq!(read(&core, 22_050), (22_050, 1));
        assert_eq!(read(&core, 44_100), (44_100, 1), "stated outside only");
        let replicated = [&core[..], &[(0x2B7, 11), (5, 5), (1, 1), (4, 4)]].concat();
        assert_eq!(read(&replicated, 22_050), (44_100, 1));
        let stereo = [&replicated[..], &[(0x548, 11), (1, 1)]].concat();
        assert_eq!(read(&stereo, 22_050), (44_100, 2));
        // Announced at once: replication, and stereo.
        assert_eq!(read(&[(5, 5), (7, 4), (1, 4), (4, 4), (2, 5)], 22_050), (44_100, 1));
        assert_eq!(read(&[(29, 5), (7, 4), (1, 4), (4, 4), (2, 5)], 22_050), (44_100, 2));
    }
}
