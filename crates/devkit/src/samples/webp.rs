use super::bits::LowBitFirst;
use super::pictures::{pixels, tartan};

/// Symbols of the green alphabet: 256 shades and 24 lengths of copies.
const GREEN_SYMBOLS: u32 = 256 + 24;

/// A lossless WebP of a tartan: one VP8L chunk, no transform, no copies (three bytes a pixel).
///
/// Facts: `image/webp`, `width` × `height` (at most 16,384 each), one frame, no alpha.
pub fn webp(width: u16, height: u16) -> Vec<u8> {
    let mut chunk = vec![0x2F];
    chunk.extend_from_slice(&bitstream(u32::from(width), u32::from(height)));
    let length = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
    if chunk.len() % 2 == 1 {
        chunk.push(0);
    }

    let riff_length = u32::try_from(chunk.len() + 12).unwrap_or(u32::MAX);
    let mut file = b"RIFF".to_vec();
    file.extend_from_slice(&riff_length.to_le_bytes());
    file.extend_from_slice(b"WEBPVP8L");
    file.extend_from_slice(&length.to_le_bytes());
    file.extend_from_slice(&chunk);
    file
}

/// The bitstream of RFC 9649, section 3, after its signature.
fn bitstream(width: u32, height: u32) -> Vec<u8> {
    let mut bits = LowBitFirst::default();
    bits.push(width.saturating_sub(1), 14);
    bits.push(height.saturating_sub(1), 14);
    // No alpha, version 0; no transform, no colour cache, no meta prefix codes.
    bits.push(0, 1 + 3 + 3);
    code_of_eight_bits(&mut bits, GREEN_SYMBOLS);
    code_of_eight_bits(&mut bits, 256);
    code_of_eight_bits(&mut bits, 256);
    code_of_one_symbol(&mut bits, 255);
    code_of_one_symbol(&mut bits, 0);
    for (x, y) in pixels(width, height) {
        let [red, green, blue] = tartan(x, y, width, height);
        for shade in [green, red, blue] {
            // Prefix codes start with their highest bit.
            bits.push(u32::from(shade.reverse_bits()), 8);
        }
    }
    bits.into_bytes()
}

/// A prefix code in which the first 256 symbols have 8 bits, so that each stands for itself, and all others none.
fn code_of_eight_bits(bits: &mut LowBitFirst, symbols: u32) {
    // The lengths are coded as well, with one bit for each of the lengths 0 and 8. Where their own lengths stand in
    // the file is the order 17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8.
    bits.push(0, 1);
    bits.push(12 - 4, 4);
    for used in [0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1] {
        bits.push(used, 3);
    }
    bits.push(0, 1);
    for symbol in 0..symbols {
        bits.push_bit(symbol < 256);
    }
}

/// A prefix code of one symbol, which then takes no bits at all.
fn code_of_one_symbol(bits: &mut LowBitFirst, symbol: u32) {
    // Simple, one symbol, written with 8 bits.
    bits.push(0b101, 3);
    bits.push(symbol, 8);
}
