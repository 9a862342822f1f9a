use super::bits::HighBitFirst;
use super::checksum::{crc8, crc16, md5};
use super::melody::{sample_count, whole_sample};

/// Samples of each channel in a frame; the last frame may have fewer.
const FRAME_SAMPLES: u16 = 4096;

/// A FLAC file of 16 bits that plays a melody, without tags.
///
/// Facts: `audio/flac`, `sample_rate` (at most 1,048,575), `channels` (1 to 8), 16 bits, and a duration of `duration_ms`
/// rounded down to whole samples. The digest of the samples in it is right.
pub fn flac(sample_rate: u32, channels: u16, duration_ms: u32) -> Vec<u8> {
    encode(sample_rate, channels, duration_ms, &[])
}

/// A FLAC file as [`flac`] makes it, with a title and an artist.
pub fn flac_with_tags(sample_rate: u32, channels: u16, duration_ms: u32, title: &str, artist: &str) -> Vec<u8> {
    encode(sample_rate, channels, duration_ms, &[format!("TITLE={title}"), format!("ARTIST={artist}")])
}

/// A block of tags as Vorbis, Opus and FLAC have it: the writer's name, then `NAME=value`, with lengths before each.
pub(super) fn vorbis_comment(tags: &[String]) -> Vec<u8> {
    let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    let writer = "object-store-devkit";
    let mut block = length(writer.len()).to_vec();
    block.extend_from_slice(writer.as_bytes());
    block.extend_from_slice(&length(tags.len()));
    for tag in tags {
        block.extend_from_slice(&length(tag.len()));
        block.extend_from_slice(tag.as_bytes());
    }
    block
}

fn encode(sample_rate: u32, channels: u16, duration_ms: u32, tags: &[String]) -> Vec<u8> {
    let channels = channels.clamp(1, 8);
    let count = sample_count(sample_rate, duration_ms);
    let sound: Vec<Vec<i32>> = (0..channels)
        .map(|channel| {
            (0..count).map(|position| whole_sample(position, sample_rate, channel, i32::from(i16::MAX))).collect()
        })
        .collect();

    let mut file = b"fLaC".to_vec();
    let last_block = 0x80;
    metadata_block(&mut file, 0, &stream_info(sample_rate, channels, count, &sound));
    metadata_block(&mut file, last_block | 4, &vorbis_comment(tags));
    let mut start = 0;
    for number in 0.. {
        let end = (start + usize::from(FRAME_SAMPLES)).min(count as usize);
        if start == end {
            break;
        }
        let parts: Vec<&[i32]> = sound.iter().map(|channel| &channel[start..end]).collect();
        file.extend_from_slice(&frame(number, &parts));
        start = end;
    }
    file
}

fn metadata_block(file: &mut Vec<u8>, kind: u8, content: &[u8]) {
    let [_, length @ ..] = u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes();
    file.push(kind);
    file.extend_from_slice(&length);
    file.extend_from_slice(content);
}

/// The block STREAMINFO (RFC 9639, section 8.2); frame sizes are left unknown.
fn stream_info(sample_rate: u32, channels: u16, count: u32, sound: &[Vec<i32>]) -> Vec<u8> {
    let mut info = HighBitFirst::default();
    info.push(u32::from(FRAME_SAMPLES), 16);
    info.push(u32::from(FRAME_SAMPLES), 16);
    info.push(0, 24);
    info.push(0, 24);
    info.push(sample_rate, 20);
    info.push(u32::from(channels) - 1, 3);
    info.push(16 - 1, 5);
    info.push(0, 4);
    info.push(count, 32);
    let mut info = info.into_bytes();
    let interleaved: Vec<u8> = (0..count as usize)
        .flat_map(|position| sound.iter().flat_map(move |channel| low_bytes(channel[position])))
        .collect();
    info.extend_from_slice(&md5(&interleaved));
    info
}

fn low_bytes(sample: i32) -> [u8; 2] {
    let [low, high, ..] = sample.to_le_bytes();
    [low, high]
}

fn frame(number: u32, channels: &[&[i32]]) -> Vec<u8> {
    let samples = channels.first().map_or(0, |channel| channel.len());
    let mut bits = HighBitFirst::default();
    // The sync code with a fixed number of samples a frame. That number stands at the end of the header (0111), the
    // sample rate in STREAMINFO (0000); channels are independent, samples have 16 bits (100).
    bits.push(0xFFF8, 16);
    bits.push(0b0111_0000, 8);
    bits.push(u32::try_from(channels.len()).unwrap_or(1) - 1, 4);
    bits.push(0b1000, 4);
    put_number(&mut bits, number);
    bits.push(u32::try_from(samples).unwrap_or(1) - 1, 16);
    let mut frame = bits.into_bytes();
    frame.push(crc8(&frame));

    let mut bits = HighBitFirst::default();
    for channel in channels {
        if samples > 2 { put_predicted(&mut bits, channel) } else { put_verbatim(&mut bits, channel) }
    }
    frame.extend_from_slice(&bits.into_bytes());
    frame.extend_from_slice(&crc16(&frame).to_be_bytes());
    frame
}

/// A frame's number, coded as UTF-8 codes a character, in up to four bytes: two million frames.
fn put_number(bits: &mut HighBitFirst, number: u32) {
    let following = match number {
        0..0x80 => return bits.push(number, 8),
        0x80..0x800 => 1,
        0x800..0x1_0000 => 2,
        _ => 3,
    };
    // As many ones as there are bytes, a zero, the highest bits.
    let lead = 0xF0 << (3 - following) & 0xFF;
    bits.push(lead | number >> (6 * following), 8);
    for place in (0..following).rev() {
        bits.push(0x80 | number >> (6 * place) & 0x3F, 8);
    }
}

fn put_verbatim(bits: &mut HighBitFirst, samples: &[i32]) {
    bits.push(0b0000_0010, 8);
    for sample in samples {
        bits.push(sample.cast_unsigned(), 16);
    }
}

/// A subframe with the fixed predictor of order 2 and one Rice parameter (RFC 9639, sections 9.2.5 and 9.2.7).
fn put_predicted(bits: &mut HighBitFirst, samples: &[i32]) {
    bits.push(0b0001_0100, 8);
    for sample in &samples[..2] {
        bits.push(sample.cast_unsigned(), 16);
    }
    let residual: Vec<u32> = samples
        .windows(3)
        .map(|three| {
            let error = three[2] - 2 * three[1] + three[0];
            (error << 1 ^ error >> 31).cast_unsigned()
        })
        .collect();
    let cost = |parameter: u32| {
        residual.iter().map(|error| u64::from(error >> parameter) + 1 + u64::from(parameter)).sum::<u64>()
    };
    let parameter = (0..15).min_by_key(|parameter| cost(*parameter)).unwrap_or(0);
    // Parameters of four bits, one partition.
    bits.push(0, 2 + 4);
    bits.push(parameter, 4);
    for error in residual {
        bits.push_unary(error >> parameter);
        bits.push(error, parameter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_coded_as_a_character_is() {
        for number in [0, 0x7F, 0x80, 0x7FF, 0x800, 0xFFFF, 0x1_0000, 0x10_FFFF] {
            let mut bits = HighBitFirst::default();
            put_number(&mut bits, number);
            let character = char::from_u32(number).unwrap().to_string();
            assert_eq!(bits.into_bytes(), character.as_bytes(), "{number:#x}");
        }
    }
}
