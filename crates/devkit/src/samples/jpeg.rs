use super::bits::HighBitFirst;
use super::melody::sine;
use super::pictures::sunset;

/// A baseline JPEG of a sunset: YCbCr, no subsampling, quality of about 75, JFIF header, no orientation.
///
/// Facts: `image/jpeg`, `width` × `height`, one frame.
pub fn jpeg(width: u16, height: u16) -> Vec<u8> {
    // JFIF 1.1 with square pixels and no thumbnail.
    encode(width, height, 1, &segment(0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0"))
}

/// A JPEG with an EXIF orientation. `width` and `height` are those of the coded picture; a viewer that knows the
/// orientation shows the sunset upright.
///
/// Facts: `image/jpeg`, coded `width` × `height`, displayed `height` × `width` for 5 to 8. The orientation is written as
/// given, also outside 1 to 8, which readers must take for 1.
pub fn jpeg_with_orientation(width: u16, height: u16, orientation: u16) -> Vec<u8> {
    encode(width, height, orientation, &segment(0xE1, &exif(orientation)))
}

/// A TIFF header in big-endian order and one directory of one SHORT, tag 0x0112.
fn exif(orientation: u16) -> Vec<u8> {
    let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01".to_vec();
    exif.extend_from_slice(&orientation.to_be_bytes());
    exif.extend_from_slice(&[0; 6]);
    exif
}

fn encode(width: u16, height: u16, orientation: u16, application_segment: &[u8]) -> Vec<u8> {
    let mut file = vec![0xFF, 0xD8];
    file.extend_from_slice(application_segment);
    file.extend_from_slice(&segment(0xDB, &[&[0], &ZIGZAG.map(quantiser)[..]].concat()));
    file.extend_from_slice(&segment(0xC0, &frame_header(width, height)));
    file.extend_from_slice(&segment(0xC4, &[&[0x00][..], &DC_COUNTS, &DC_SYMBOLS].concat()));
    file.extend_from_slice(&segment(0xC4, &[&[0x10][..], &AC_COUNTS, &AC_SYMBOLS].concat()));
    // One scan of three components with tables 0, all coefficients.
    file.extend_from_slice(&segment(0xDA, &[3, 1, 0, 2, 0, 3, 0, 0, 63, 0]));
    for byte in scan(u32::from(width), u32::from(height), orientation) {
        file.push(byte);
        if byte == 0xFF {
            file.push(0);
        }
    }
    file.extend_from_slice(&[0xFF, 0xD9]);
    file
}

fn segment(marker: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 2).unwrap_or(u16::MAX);
    [&[0xFF, marker], &length.to_be_bytes()[..], payload].concat()
}

fn frame_header(width: u16, height: u16) -> Vec<u8> {
    let ([top, bottom], [left, right]) = (height.to_be_bytes(), width.to_be_bytes());
    // 8 bits; three components, each with sampling 1 × 1 and quantisation table 0.
    vec![8, top, bottom, left, right, 3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0]
}

fn scan(width: u32, height: u32, orientation: u16) -> Vec<u8> {
    let cosines = cosines();
    let (dc, ac) = (codes(&DC_COUNTS, &DC_SYMBOLS), codes(&AC_COUNTS, &AC_SYMBOLS));
    let mut bits = HighBitFirst::default();
    let mut previous = [0; 3];
    for top in (0..height).step_by(8) {
        for left in (0..width).step_by(8) {
            let block: [[f64; 3]; 64] = std::array::from_fn(|place| {
                // Blocks at the edge repeat its last pixel.
                let (x, y) = (left + low(place % 8), top + low(place / 8));
                luma_chroma(upright(x.min(width - 1), y.min(height - 1), width, height, orientation))
            });
            for (component, previous) in previous.iter_mut().enumerate() {
                let levels = transform(&block.map(|pixel| pixel[component]), &cosines);
                put_block(&mut bits, &levels, previous, &dc, &ac);
            }
        }
    }
    while !bits.len().is_multiple_of(8) {
        bits.push_bit(true);
    }
    bits.into_bytes()
}

/// The displayed picture's colour at a coded position (EXIF 2.32, tag 0x0112: where row 0 and column 0 are seen).
fn upright(x: u32, y: u32, width: u32, height: u32, orientation: u16) -> [u8; 3] {
    let (right, bottom) = (width - 1 - x, height - 1 - y);
    match orientation {
        2 => sunset(right, y, width, height),
        3 => sunset(right, bottom, width, height),
        4 => sunset(x, bottom, width, height),
        5 => sunset(y, x, height, width),
        6 => sunset(bottom, x, height, width),
        7 => sunset(bottom, right, height, width),
        8 => sunset(y, right, height, width),
        _ => sunset(x, y, width, height),
    }
}

/// JFIF's YCbCr, each around 0.
fn luma_chroma(colour: [u8; 3]) -> [f64; 3] {
    let [red, green, blue] = colour.map(f64::from);
    [
        0.299 * red + 0.587 * green + 0.114 * blue - 128.0,
        -0.168_736 * red - 0.331_264 * green + 0.5 * blue,
        0.5 * red - 0.418_688 * green - 0.081_312 * blue,
    ]
}

/// `cosines[u][x]` is the weight of sample `x` in coefficient `u` (ITU-T T.81, A.3.3).
fn cosines() -> [[f64; 8]; 8] {
    std::array::from_fn(|u| {
        let scale = if u == 0 { std::f64::consts::FRAC_1_SQRT_2 / 2.0 } else { 0.5 };
        std::array::from_fn(|x| scale * sine(f64::from((2 * low(x) + 1) * low(u)) / 32.0 + 0.25))
    })
}

/// The quantised coefficients of a block, in zigzag order.
fn transform(samples: &[f64; 64], cosines: &[[f64; 8]; 8]) -> [i32; 64] {
    let rows: [f64; 64] = std::array::from_fn(|place| {
        let (u, y) = (place % 8, place / 8);
        (0..8).map(|x| samples[y * 8 + x] * cosines[u][x]).sum()
    });
    ZIGZAG.map(|place| {
        let (u, v) = (usize::from(place) % 8, usize::from(place) / 8);
        let coefficient: f64 = (0..8).map(|y| rows[y * 8 + u] * cosines[v][y]).sum();
        whole(coefficient / f64::from(quantiser(place)))
    })
}

#[expect(clippy::cast_possible_truncation, reason = "coefficients of 8-bit samples lie within ±1,024")]
fn whole(value: f64) -> i32 {
    value.round() as i32
}

fn put_block(bits: &mut HighBitFirst, levels: &[i32; 64], previous: &mut i32, dc: &[Code; 256], ac: &[Code; 256]) {
    put_level(bits, levels[0] - *previous, 0, dc);
    *previous = levels[0];
    let mut zeros = 0;
    for level in &levels[1..] {
        if *level == 0 {
            zeros += 1;
            continue;
        }
        for _ in 0..zeros / 16 {
            put_code(bits, ac[0xF0]);
        }
        put_level(bits, *level, zeros % 16, ac);
        zeros = 0;
    }
    if zeros > 0 {
        put_code(bits, ac[0]);
    }
}

/// Writes a run of zeros and the size of a level in one code, then the level in as many bits (ITU-T T.81, F.1.2).
fn put_level(bits: &mut HighBitFirst, level: i32, zeros: usize, codes: &[Code; 256]) {
    let size = 32 - level.unsigned_abs().leading_zeros();
    put_code(bits, codes[zeros * 16 + size as usize]);
    let shown = if level < 0 { level - 1 } else { level };
    bits.push(shown.cast_unsigned(), size);
}

fn put_code(bits: &mut HighBitFirst, code: Code) {
    bits.push(code.value, code.width);
}

#[derive(Clone, Copy, Default)]
struct Code {
    value: u32,
    width: u32,
}

/// The code of each symbol: codes of one length follow each other (ITU-T T.81, annex C).
fn codes(counts: &[u8; 16], symbols: &[u8]) -> [Code; 256] {
    let mut codes = [Code::default(); 256];
    let mut symbols = symbols.iter();
    let mut value = 0;
    for (width, count) in (1..).zip(counts) {
        for symbol in symbols.by_ref().take(usize::from(*count)) {
            codes[usize::from(*symbol)] = Code { value, width };
            value += 1;
        }
        value <<= 1;
    }
    codes
}

/// Half of the example table for luminance (ITU-T T.81, table K.1), which is libjpeg's quality of 75. It serves colour
/// as well.
fn quantiser(place: u8) -> u8 {
    LUMINANCE[usize::from(place)].div_ceil(2)
}

fn low(index: usize) -> u32 {
    // Only ever 0 to 63.
    u32::try_from(index).unwrap_or(0)
}

const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

const LUMINANCE: [u8; 64] = [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51,
    87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
];

/// How many codes there are of 1 to 16 bits (ITU-T T.81, table K.3), and their symbols.
const DC_COUNTS: [u8; 16] = [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0];
const DC_SYMBOLS: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

/// The same for the other coefficients (ITU-T T.81, table K.5).
const AC_COUNTS: [u8; 16] = [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125];
#[rustfmt::skip]
const AC_SYMBOLS: [u8; 162] = [
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71,
    0x14, 0x32, 0x81, 0x91, 0xA1, 0x08, 0x23, 0x42, 0xB1, 0xC1, 0x15, 0x52, 0xD1, 0xF0, 0x24, 0x33, 0x62, 0x72,
    0x82, 0x09, 0x0A, 0x16, 0x17, 0x18, 0x19, 0x1A, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x34, 0x35, 0x36, 0x37,
    0x38, 0x39, 0x3A, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59,
    0x5A, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A, 0x83,
    0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0xA2, 0xA3,
    0xA4, 0xA5, 0xA6, 0xA7, 0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xB8, 0xB9, 0xBA, 0xC2, 0xC3,
    0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8, 0xD9, 0xDA, 0xE1, 0xE2,
    0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA,
];
