use super::bits::LowBitFirst;
use super::pictures::{pixels, ripple, ripple_colour};

/// Colours of the palette, and so the code that clears the decoder's table; the next one ends the picture.
const COLOURS: u32 = 128;

/// How many codes of 8 bits may follow a clear code: each but the first adds an entry to the table, and at 256
/// entries codes grow to 9 bits.
const CODES_BEFORE_CLEAR: usize = 120;

/// A GIF of rings on water: 128 colours, not compressed (about one byte a pixel and frame).
///
/// Facts: `image/gif`, `width` × `height`, `frames` frames; with more than one, the rings move outwards for ever, about
/// sixteen frames a second.
pub fn gif(width: u16, height: u16, frames: u16) -> Vec<u8> {
    let size = [width.to_le_bytes(), height.to_le_bytes()].concat();
    let mut file = b"GIF89a".to_vec();
    file.extend_from_slice(&size);
    // A global table of 2^(6 + 1) colours with 8 bits each; background 0; no aspect ratio.
    file.extend_from_slice(&[0b1111_0110, 0, 0]);
    file.extend((0..COLOURS).flat_map(ripple_colour));
    if frames > 1 {
        file.extend_from_slice(b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00");
    }
    for frame in 0..frames {
        // Keep the frame, show it for 6 hundredths of a second, nothing is transparent.
        file.extend_from_slice(&[0x21, 0xF9, 4, 0b0000_0100, 6, 0, 0, 0]);
        file.extend_from_slice(&[0x2C, 0, 0, 0, 0]);
        file.extend_from_slice(&size);
        file.push(0);
        let phase = u32::from(frame) * COLOURS / u32::from(frames);
        picture(&mut file, u32::from(width), u32::from(height), phase);
    }
    file.push(0x3B);
    file
}

/// LZW as a decoder expects it, except that the table is cleared before it would be of use.
fn picture(file: &mut Vec<u8>, width: u32, height: u32, phase: u32) {
    let mut codes = LowBitFirst::default();
    for (position, (x, y)) in pixels(width, height).enumerate() {
        if position.is_multiple_of(CODES_BEFORE_CLEAR) {
            codes.push(COLOURS, 8);
        }
        codes.push(ripple(x, y, width, height, phase), 8);
    }
    codes.push(COLOURS + 1, 8);

    file.push(7);
    for block in codes.into_bytes().chunks(255) {
        file.push(u8::try_from(block.len()).unwrap_or(u8::MAX));
        file.extend_from_slice(block);
    }
    file.push(0);
}
