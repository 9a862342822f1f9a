use super::melody::{sample_count, whole_sample};

/// A RIFF WAV with integer PCM that plays a melody.
///
/// `bits` are those of a sample, 1 to 32; samples of other than whole bytes stand at the top of the next larger
/// number of bytes, as the format asks.
///
/// Facts: `audio/wav`, `sample_rate`, `channels`, `bits`, and a duration of `duration_ms` rounded down to whole samples.
pub fn wav(sample_rate: u32, channels: u16, bits: u16, duration_ms: u32) -> Vec<u8> {
    let bits = bits.clamp(1, 32);
    let block = channels.saturating_mul(bits.div_ceil(8));
    let data = samples(sample_rate, channels, bits, sample_count(sample_rate, duration_ms));
    let padding = data.len() % 2;
    let data_length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let riff_length = u32::try_from(36 + data.len() + padding).unwrap_or(u32::MAX);

    let mut file = b"RIFF".to_vec();
    file.extend_from_slice(&riff_length.to_le_bytes());
    file.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0");
    file.extend_from_slice(&channels.to_le_bytes());
    file.extend_from_slice(&sample_rate.to_le_bytes());
    file.extend_from_slice(&sample_rate.saturating_mul(u32::from(block)).to_le_bytes());
    file.extend_from_slice(&block.to_le_bytes());
    file.extend_from_slice(&bits.to_le_bytes());
    file.extend_from_slice(b"data");
    file.extend_from_slice(&data_length.to_le_bytes());
    file.extend_from_slice(&data);
    file.resize(file.len() + padding, 0);
    file
}

fn samples(sample_rate: u32, channels: u16, bits: u16, count: u32) -> Vec<u8> {
    let bytes = usize::from(bits.div_ceil(8));
    let mut data = Vec::new();
    for position in 0..count {
        for channel in 0..channels {
            let at_the_top = whole_sample(position, sample_rate, channel, i32::MAX >> (32 - bits)) << (32 - bits);
            // Up to 8 bits are written without a sign.
            let offset = if bits <= 8 { 0x8000_0000 } else { 0 };
            let all = (at_the_top.cast_unsigned() ^ offset).to_le_bytes();
            data.extend_from_slice(&all[4 - bytes..]);
        }
    }
    data
}
