//! Facts of sound.

pub(crate) mod adts;
mod aiff;
mod flac;
mod mp4;
pub(crate) mod mpeg;
mod ogg;
mod tags;
mod wav;
mod webm;

use std::io::{Read, Seek};

use crate::bytes::{slice, u8_at};
use crate::detect::{Detected, UNKNOWN, holds_foreign_content};
use crate::error::Fault;
use crate::facts::AudioFacts;
use crate::format::Format;
use crate::source::Source;

/// Junk before the first MPEG frame that is put up with: some recorders cut streams anywhere.
const MAX_JUNK: usize = 64 << 10;
/// Programs that do not see each other's tags leave a few.
const MAX_TAGS: u32 = 100;
/// Two of the largest frames, and then some.
const ENOUGH_AFTER_TAG: usize = 8 << 10;
/// No hardware or codec goes beyond; it also keeps every rate inside a signed 32-bit column.
const MAX_SAMPLE_RATE: u32 = 16_000_000;
/// Enough for every ambisonic and cinema layout.
const MAX_CHANNELS: u16 = 255;

/// Reads the facts of sound whose type is known.
pub(crate) fn facts<S: Read + Seek>(source: &mut Source<S>, format: Format) -> Result<AudioFacts, Fault> {
    let facts = match format {
        Format::Wav => wav::facts(source),
        Format::Mp3 => mpeg::facts(source),
        Format::Flac => flac::facts(source),
        Format::OggVorbis | Format::OggOpus => ogg::facts(source, format),
        Format::Mp4Audio => mp4::facts(source),
        Format::Aiff => aiff::facts(source),
        Format::WebmAudio => webm::facts(source),
        Format::Adts => adts::facts(source),
        _ => Err(Fault::Corrupt("it is not sound")),
    }?;
    check_stream(facts.sample_rate, facts.channels)?;
    if facts.bit_depth == Some(0) {
        return Err(Fault::Corrupt("its samples have no bits"));
    }
    Ok(facts)
}

fn check_stream(sample_rate: u32, channels: u16) -> Result<(), Fault> {
    if sample_rate == 0 {
        return Err(Fault::Corrupt("its sample rate is zero"));
    }
    if channels == 0 {
        return Err(Fault::Corrupt("it has no channels"));
    }
    if sample_rate > MAX_SAMPLE_RATE || channels > MAX_CHANNELS {
        return Err(Fault::Corrupt("its sample rate or number of channels is absurd"));
    }
    Ok(())
}

/// The format behind ID3 tags.
pub(crate) fn behind_tags<S: Read + Seek>(source: &mut Source<S>) -> Result<Format, Fault> {
    let at = skip_id3(source)?;
    let head = source.up_to(at, 4096)?;
    if head.starts_with(b"fLaC") {
        return Ok(Format::Flac);
    }
    if !mpeg::frames_agree(&head) && adts::frames_agree(&head) {
        return Ok(Format::Adts);
    }
    if find_mpeg(source, at)?.is_some() {
        return Ok(Format::Mp3);
    }
    match find_adts(source, at)? {
        Some(_) => Ok(Format::Adts),
        None => Err(Fault::Corrupt("no MPEG frame follows its tag")),
    }
}

/// Whether `head` starts with tags after which too little is left to tell what follows.
pub(crate) fn tag_reaches_end(head: &[u8]) -> bool {
    let mut at = 0;
    while slice(head, at, 3) == b"ID3" {
        let size = usize::try_from(tags::syncsafe(head, at + 6)).unwrap_or(usize::MAX);
        at = at.saturating_add(10).saturating_add(size);
        if at.saturating_add(ENOUGH_AFTER_TAG) > head.len() {
            return true;
        }
    }
    false
}

/// MPEG or ADTS frames behind bytes that are nothing known.
pub(crate) fn behind_junk<S: Read + Seek>(source: &mut Source<S>) -> Result<Detected, Fault> {
    if find_mpeg(source, 0)?.is_some() {
        return Ok(Detected::Format(Format::Mp3));
    }
    Ok(match find_adts(source, 0)? {
        Some(_) => Detected::Format(Format::Adts),
        None => Detected::Refused(UNKNOWN),
    })
}

/// The first MPEG frame at or after `at`, unless something that a browser would run lies before it.
fn find_mpeg<S: Read + Seek>(source: &mut Source<S>, at: u64) -> Result<Option<u64>, Fault> {
    let found = mpeg::find_first(source, at, MAX_JUNK)?;
    behind_harmless_junk(source, at, found)
}

/// The first ADTS frame, likewise.
fn find_adts<S: Read + Seek>(source: &mut Source<S>, at: u64) -> Result<Option<u64>, Fault> {
    let found = adts::find_first(source, at, MAX_JUNK)?;
    behind_harmless_junk(source, at, found)
}

fn behind_harmless_junk<S: Read + Seek>(
    source: &mut Source<S>,
    at: u64,
    found: Option<u64>,
) -> Result<Option<u64>, Fault> {
    let Some(start) = found else { return Ok(None) };
    let junk = source.up_to(at, usize::try_from(start - at).unwrap_or(MAX_JUNK))?;
    Ok((!holds_foreign_content(&junk)).then_some(start))
}

/// Past all `ID3v2` tags at the start, by their own size fields: pictures in them are never read.
fn skip_id3<S: Read + Seek>(source: &mut Source<S>) -> Result<u64, Fault> {
    let mut at = 0;
    for _ in 0..MAX_TAGS {
        source.step()?;
        match after_id3(source, at)? {
            Some(end) if end > source.len() => return Err(Fault::Corrupt("its ID3 tag is larger than the file")),
            Some(end) => at = end,
            None => return Ok(at),
        }
    }
    Err(Fault::Corrupt("it has too many ID3 tags"))
}

/// Past the `ID3v2` tag at `at`, if there is one.
fn after_id3<S: Read + Seek>(source: &mut Source<S>, at: u64) -> Result<Option<u64>, Fault> {
    let head = source.up_to(at, 10)?;
    if head.len() < 10 || !head.starts_with(b"ID3") {
        return Ok(None);
    }
    let footer = if u8_at(&head, 5) & 0x10 == 0 { 0 } else { 10 };
    Ok(Some(at + 10 + footer + u64::from(tags::syncsafe(&head, 6))))
}
