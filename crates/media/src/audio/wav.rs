//! WAV: RIFF, RIFX, RF64 and broadcast wave.
//!
//! Read by an own walk: `hound` knows neither 64-bit sizes nor streamed, unpadded or cut files. For plain PCM it is asked
//! as well, and must agree.

use std::io::{Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::tags::{self, Tags};
use super::{check_stream, mpeg};
use crate::archive;
use crate::bytes::{u16_be, u16_le, u32_be, u32_le};
use crate::error::{Fault, MediaError};
use crate::facts::{AudioFacts, Codec, DurationSource};
use crate::riff::{self, Riff, UNKNOWN_SIZE};
use crate::source::Source;

const PCM: u16 = 1;
const FLOAT: u16 = 3;
const EXTENSIBLE: u16 = 0xFFFE;
/// `hound` reads what precedes the sound byte by byte; beyond this it is not asked.
const MAX_HOUND_HEADER: u64 = 4096;
/// Zero bytes after the end that are taken for padding.
const MAX_ZEROS: u64 = 64 << 10;

struct Form {
    tag: u16,
    channels: u16,
    rate: u32,
    align: u16,
    bits: u16,
    samples_a_block: u16,
}

/// What the walk found.
#[derive(Default)]
struct Chunks {
    form: Option<Form>,
    /// Start and length of the first sound that is there.
    data: Option<(u64, u64)>,
    /// Length of all of it.
    data_len: u64,
    /// It runs to its stated end.
    whole: bool,
    /// Its stated length is not made up.
    stated: bool,
    fact: Option<u32>,
    end: u64,
}

pub(super) fn facts<S: Read + Seek>(source: &mut Source<S>) -> Result<AudioFacts, Fault> {
    let riff = riff::open(source)?;
    let mut tags = Tags::default();
    let chunks = walk(source, &riff, &mut tags)?;
    let form = chunks.form.as_ref().ok_or(Fault::Corrupt("it has no fmt chunk"))?;
    let (data_at, _) = chunks.data.ok_or(Fault::Corrupt("it has no data chunk"))?;
    check_trailing(source, &riff, &chunks)?;
    check_stream(form.rate, form.channels)?;
    let facts = read_codec(source, form, &chunks)?;
    if matches!(facts.codec, Codec::Pcm | Codec::PcmFloat)
        && chunks.whole
        && !riff.big_endian
        && data_at <= MAX_HOUND_HEADER
    {
        check_with_hound(source, form, data_at)?;
    }
    Ok(tags.tell(facts))
}

fn walk<S: Read + Seek>(source: &mut Source<S>, riff: &Riff, tags: &mut Tags) -> Result<Chunks, Fault> {
    let mut chunks = Chunks { whole: true, stated: true, end: riff.body, ..Chunks::default() };
    let mut at = riff.body;
    while let Some(chunk) = riff.next(source, at)? {
        if !chunk.id.iter().all(|byte| (0x20..0x7F).contains(byte)) {
            break;
        }
        match &chunk.id {
            b"fmt " => {
                let len = usize::try_from(chunk.len()).unwrap_or(40).min(40);
                chunks.form = chunks.form.or(Some(read_form(&source.up_to(chunk.body, len)?, riff.big_endian)?));
            }
            b"data" => {
                let streamed = chunk.claimed == u64::from(UNKNOWN_SIZE)
                    || (chunk.claimed == 0 && !riff_goes_on(source, riff, chunk.body)?);
                let present = source.len().saturating_sub(chunk.body);
                let len = if streamed { present } else { chunk.len() };
                chunks.stated &= !streamed;
                chunks.whole &= streamed || chunk.claimed_end() <= source.len();
                chunks.data = chunks.data.or(Some((chunk.body, len)));
                chunks.data_len = chunks.data_len.saturating_add(len);
                if streamed {
                    chunks.end = source.len();
                    return Ok(chunks);
                }
            }
            b"fact" => {
                let fact = source.up_to(chunk.body, 4)?;
                chunks.fact = Some(if riff.big_endian { u32_be(&fact, 0) } else { u32_le(&fact, 0) });
            }
            b"LIST" => read_info(source, riff, &chunk, tags)?,
            b"id3 " | b"ID3 " => tags::id3v2(source, chunk.body, tags)?,
            _ => {}
        }
        if &chunk.id != b"data" {
            archive::check(source, chunk.body, chunk.claimed_end())?;
        }
        chunks.end = chunk.next_at().min(source.len());
        at = chunk.next_at();
    }
    Ok(chunks)
}

/// Whether another chunk, and no sound, follows an empty data chunk; an empty one at the very end is just empty.
fn riff_goes_on<S: Read + Seek>(source: &mut Source<S>, riff: &Riff, at: u64) -> Result<bool, Fault> {
    if at >= source.len() {
        return Ok(true);
    }
    let next = riff.next(source, at)?;
    Ok(next.is_some_and(|next| next.id.iter().all(u8::is_ascii_graphic) && next.claimed_end() <= source.len()))
}

fn read_form(data: &[u8], big_endian: bool) -> Result<Form, Fault> {
    if data.len() < 14 {
        return Err(Fault::Corrupt("its fmt chunk is too short"));
    }
    let short = |at| if big_endian { u16_be(data, at) } else { u16_le(data, at) };
    let long = |at| if big_endian { u32_be(data, at) } else { u32_le(data, at) };
    let tag = if short(0) == EXTENSIBLE && data.len() >= 26 { short(24) } else { short(0) };
    Ok(Form {
        tag,
        channels: short(2),
        rate: long(4),
        align: short(12),
        bits: short(14),
        samples_a_block: if short(16) >= 2 { short(18) } else { 0 },
    })
}

fn read_info<S: Read + Seek>(
    source: &mut Source<S>,
    riff: &Riff,
    list: &riff::Chunk,
    tags: &mut Tags,
) -> Result<(), Fault> {
    if source.up_to(list.body, 4)? != b"INFO" {
        return Ok(());
    }
    let mut at = list.body + 4;
    while at < list.claimed_end()
        && let Some(item) = riff.next(source, at)?
    {
        match &item.id {
            b"INAM" => tags.title(&tags::chunk_text(source, item.body, item.len())?),
            b"IART" => tags.artist(&tags::chunk_text(source, item.body, item.len())?),
            _ => {}
        }
        at = item.next_at();
    }
    Ok(())
}

/// Whatever follows the stated end is refused, padding with zeros excepted. A stated end before the end of the sound was
/// never brought up to date and says nothing.
fn check_trailing<S: Read + Seek>(source: &mut Source<S>, riff: &Riff, chunks: &Chunks) -> Result<(), Fault> {
    let mut at = riff.claimed_end.max(chunks.end);
    let trailing = source.len().saturating_sub(at);
    if trailing > MAX_ZEROS {
        return Err(Fault::Trailing(trailing));
    }
    while at < source.len() {
        let part = source.up_to(at, 4096)?;
        if part.iter().any(|byte| *byte != 0) {
            return Err(Fault::Trailing(trailing));
        }
        at += part.len() as u64;
    }
    Ok(())
}

fn read_codec<S: Read + Seek>(source: &mut Source<S>, form: &Form, chunks: &Chunks) -> Result<AudioFacts, Fault> {
    let codec = match form.tag {
        PCM => Codec::Pcm,
        FLOAT => Codec::PcmFloat,
        2 => Codec::AdpcmMs,
        6 => Codec::ALaw,
        7 => Codec::MuLaw,
        0x11 => Codec::AdpcmIma,
        0x20 => Codec::AdpcmYamaha,
        0x31 => Codec::Gsm,
        0x50 | 0x55 => return read_mpeg(source, chunks),
        0x64 | 0x65 | 0x28F => Codec::AdpcmG722,
        other => return Err(MediaError::unsupported(format!("audio/wav; codec=0x{other:04x}")).into()),
    };
    let mut facts = AudioFacts::new(codec, form.rate, form.channels);
    facts.bit_depth = Some(form.bits).filter(|bits| *bits > 0);
    facts.variable_bitrate = Some(false);
    // A length that the header states but the file does not hold is cut to what is there, and so counted.
    let source_of_length = if chunks.whole && chunks.stated { DurationSource::Header } else { DurationSource::Counted };
    let samples = match codec {
        Codec::Pcm | Codec::PcmFloat | Codec::ALaw | Codec::MuLaw => chunks.data_len / frame_len(form)?,
        Codec::AdpcmMs | Codec::AdpcmIma | Codec::Gsm => coded_samples(form, chunks, codec),
        _ => chunks.data_len.saturating_mul(2) / u64::from(form.channels),
    };
    let facts = facts.lasting(samples, u64::from(form.rate), source_of_length);
    Ok(match codec {
        Codec::Pcm | Codec::PcmFloat | Codec::ALaw | Codec::MuLaw => {
            let bits = frame_len(form)?.saturating_mul(8).saturating_mul(u64::from(form.rate));
            AudioFacts { bitrate: u32::try_from(bits).ok(), ..facts }
        }
        _ => facts.averaging(chunks.data_len),
    })
}

/// Bytes of one sample in all channels. Samples may be stored in wider slots, never in narrower ones.
fn frame_len(form: &Form) -> Result<u64, Fault> {
    if form.bits == 0 || form.bits > 64 {
        return Err(Fault::Corrupt("its bits a sample make no sense"));
    }
    let needed = form.bits.div_ceil(8).saturating_mul(form.channels);
    match form.align {
        0 => Ok(u64::from(needed)),
        align if align < needed => Err(Fault::Corrupt("its samples are wider than their slots")),
        align => Ok(u64::from(align)),
    }
}

/// Samples in whole blocks; the fact chunk cuts the last one.
fn coded_samples(form: &Form, chunks: &Chunks, codec: Codec) -> u64 {
    let channels = u64::from(form.channels);
    let align = u64::from(form.align).max(1);
    let a_block = match (form.samples_a_block, codec) {
        (0, Codec::Gsm) => 320,
        // A block starts with a header a channel, which holds one or two samples; the rest is two samples a byte.
        (0, Codec::AdpcmIma) => align.saturating_sub(4 * channels) * 2 / channels + 1,
        (0, _) => align.saturating_sub(7 * channels) * 2 / channels + 2,
        (stated, _) => u64::from(stated),
    };
    let present = (chunks.data_len / align).saturating_mul(a_block);
    let rest = chunks.data_len % align;
    let partial = if codec == Codec::Gsm { 0 } else { rest.saturating_sub(4 * channels) * 2 / channels };
    let present = present.saturating_add(partial);
    chunks.fact.map(u64::from).filter(|fact| *fact > 0).map_or(present, |fact| fact.min(present))
}

/// MPEG frames in a data chunk say more than the fmt chunk about them.
fn read_mpeg<S: Read + Seek>(source: &mut Source<S>, chunks: &Chunks) -> Result<AudioFacts, Fault> {
    let (at, len) = chunks.data.unwrap_or_default();
    let start = mpeg::find_first(source, at, 4096)?.unwrap_or(at);
    mpeg::stream_facts(source, start, at.saturating_add(len), start == at)
}

/// The library reads fewer files, but those it reads it must see alike. It is given no more than the header: where it loses
/// its way, after a padded chunk for one, it would read on to the end.
fn check_with_hound<S: Read + Seek>(source: &mut Source<S>, form: &Form, header_len: u64) -> Result<(), Fault> {
    let mut view = source.view();
    let header = view.by_ref().take(header_len);
    // Its panics are contained: it is not ours.
    let spec = catch_unwind(AssertUnwindSafe(|| hound::WavReader::new(header).map(|reader| reader.spec())));
    view.failure()?;
    let Ok(Ok(spec)) = spec else { return Ok(()) };
    if (spec.channels, spec.sample_rate) != (form.channels, form.rate) {
        return Err(Fault::Corrupt("its fmt chunk contradicts itself"));
    }
    Ok(())
}
