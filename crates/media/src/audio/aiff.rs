//! AIFF and AIFF-C.

use std::io::{Read, Seek};

use super::tags::{self, Tags};
use crate::bytes::{array, slice, u16_be, u32_be};
use crate::error::{Fault, MediaError};
use crate::facts::{AudioFacts, Codec, DurationSource};
use crate::source::Source;

struct Common {
    codec: Codec,
    channels: u16,
    frames: u32,
    bits: u16,
    rate: u32,
}

pub(super) fn facts<S: Read + Seek>(source: &mut Source<S>) -> Result<AudioFacts, Fault> {
    let form = source.array::<12>(0)?;
    let compressed = form.ends_with(b"AIFC");
    // Recorders that cannot go back leave the sizes at zero.
    let end = match u32_be(&form, 4) {
        0 => source.len(),
        size => source.len().min(8 + u64::from(size)),
    };
    let mut tags = Tags::default();
    let mut common = None;
    let mut sound = None;
    let mut at = 12;
    while at + 8 <= end {
        source.step()?;
        let header = source.array::<8>(at)?;
        let (body, len) = (at + 8, u64::from(u32_be(&header, 4)));
        match slice(&header, 0, 4) {
            b"COMM" if common.is_none() => common = Some(read_common(&source.up_to(body, 22)?, compressed)?),
            // The sound starts after an offset and a block size.
            b"SSND" => {
                let len = if len == 0 { u64::MAX } else { len };
                sound = Some(len.min(source.len().saturating_sub(body)).saturating_sub(8));
                if len == u64::MAX {
                    break;
                }
            }
            b"NAME" => tags.title(&tags::chunk_text(source, body, len)?),
            b"AUTH" => tags.artist(&tags::chunk_text(source, body, len)?),
            b"ID3 " => tags::id3v2(source, body, &mut tags)?,
            _ => {}
        }
        at = body + len + len % 2;
    }
    let common = common.ok_or(Fault::Corrupt("it has no COMM chunk"))?;
    let present = sound.ok_or(Fault::Corrupt("it has no SSND chunk"))?;
    let mut facts = AudioFacts::new(common.codec, common.rate, common.channels);
    let bits = match common.codec {
        Codec::ALaw | Codec::MuLaw => 8,
        _ => common.bits,
    };
    facts.bit_depth = Some(bits);
    facts.variable_bitrate = Some(false);
    let frame_len = u64::from(bits.div_ceil(8)) * u64::from(common.channels);
    let held = present.checked_div(frame_len).unwrap_or_default();
    let (frames, from) = match common.codec {
        // What is not there does not last, and what is there lasts though nobody counted it.
        Codec::Pcm | Codec::PcmFloat | Codec::ALaw | Codec::MuLaw
            if held < u64::from(common.frames) || common.frames == 0 =>
        {
            (held, DurationSource::Counted)
        }
        _ => (u64::from(common.frames), DurationSource::Header),
    };
    Ok(tags.tell(facts.lasting(frames, u64::from(common.rate), from).averaging(present)))
}

fn read_common(data: &[u8], compressed: bool) -> Result<Common, Fault> {
    if data.len() < 18 {
        return Err(Fault::Corrupt("its COMM chunk is too short"));
    }
    let codec = match slice(data, 18, 4) {
        _ if !compressed => Codec::Pcm,
        b"NONE" | b"sowt" | b"twos" | b"in24" | b"in32" | b"raw " => Codec::Pcm,
        b"fl32" | b"FL32" | b"fl64" | b"FL64" => Codec::PcmFloat,
        b"alaw" | b"ALAW" => Codec::ALaw,
        b"ulaw" | b"ULAW" => Codec::MuLaw,
        other => return Err(MediaError::unsupported(format!("audio/aiff; codec={}", other.escape_ascii())).into()),
    };
    Ok(Common {
        codec,
        channels: u16_be(data, 0),
        frames: u32_be(data, 2),
        bits: u16_be(data, 6),
        rate: extended(data),
    })
}

/// The 80-bit float of the sample rate, as a whole number; 0 when it is none.
fn extended(data: &[u8]) -> u32 {
    let exponent = u32::from(u16_be(data, 8) & 0x7FFF);
    let mantissa = u64::from_be_bytes(array(data, 10));
    let shift = (16_383 + 63_u32).checked_sub(exponent).filter(|shift| *shift < 64);
    shift.and_then(|shift| u32::try_from(mantissa >> shift).ok()).unwrap_or_default()
}
