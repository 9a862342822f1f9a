//! The one EXIF tag that changes what a viewer shows: orientation.

use crate::bytes::{find, slice, u16_be, u16_le, u32_be, u32_le};

const ORIENTATION: u16 = 0x0112;
const SHORT: u16 = 3;
const LONG: u16 = 4;
/// More entries than any camera writes into the first directory.
const MAX_ENTRIES: usize = 1024;

/// The orientation in an EXIF block, with or without its `Exif\0\0` prefix. Whatever is absent or invalid is 1.
pub(super) fn orientation(block: &[u8]) -> u8 {
    let tiff = block.strip_prefix(b"Exif\0\0").unwrap_or(block);
    read(tiff).and_then(|value| u8::try_from(value).ok()).filter(|value| (1..=8).contains(value)).unwrap_or(1)
}

/// Where the first directory of an EXIF block ends, by what its beginning says; past the block when it does not say.
pub(super) fn directory_end(block: &[u8]) -> usize {
    let prefix = if block.starts_with(b"Exif\0\0") { 6 } else { 0 };
    let tiff = slice(block, prefix, usize::MAX);
    let big_endian = tiff.starts_with(b"MM");
    let start = if big_endian { u32_be(tiff, 4) } else { u32_le(tiff, 4) };
    let start = usize::try_from(start).unwrap_or(usize::MAX);
    let count = if big_endian { u16_be(tiff, start) } else { u16_le(tiff, start) };
    let len = 2 + usize::from(count) * 12;
    if slice(tiff, start, 2).len() < 2 { usize::MAX } else { prefix + start.saturating_add(len) }
}

/// The orientation in a PNG text chunk: XMP that is not compressed, or a hexadecimal EXIF profile.
pub(super) fn orientation_in_text(text: &[u8]) -> Option<u8> {
    if text.starts_with(b"XML:com.adobe.xmp\0\0") {
        let at = find(text, b"tiff:Orientation")?;
        // As an attribute or as an element: the value is the next digit either way.
        let digit = slice(text, at + 16, 8).iter().find(|byte| byte.is_ascii_digit())?;
        return Some(digit - b'0').filter(|value| (1..=8).contains(value));
    }
    let profile = text.strip_prefix(b"Raw profile type exif\0\nexif\n")?;
    // A length in spaces and digits, a line break, then the bytes.
    let start = profile.iter().position(|byte| *byte == b'\n')?;
    let digits: Vec<u8> = slice(profile, start, usize::MAX).iter().filter_map(|byte| hex_value(*byte)).collect();
    let block: Vec<u8> =
        digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |sum, digit| sum << 4 | digit)).collect();
    Some(orientation(&block))
}

fn hex_value(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn read(tiff: &[u8]) -> Option<u32> {
    let big_endian = match slice(tiff, 0, 4) {
        b"II*\0" => false,
        b"MM\0*" => true,
        _ => return None,
    };
    let short = |data: &[u8], at| if big_endian { u16_be(data, at) } else { u16_le(data, at) };
    let long = |data: &[u8], at| if big_endian { u32_be(data, at) } else { u32_le(data, at) };
    let directory = usize::try_from(long(tiff, 4)).ok()?;
    let count = usize::from(short(tiff, directory)).min(MAX_ENTRIES);
    let entry = (0..count)
        .map(|index| slice(tiff, directory.saturating_add(2 + index * 12), 12))
        .take_while(|entry| entry.len() == 12)
        .find(|entry| short(entry, 0) == ORIENTATION)?;
    match short(entry, 2) {
        SHORT => Some(u32::from(short(entry, 8))),
        LONG => Some(long(entry, 8)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(value: u16) -> Vec<u8> {
        let mut tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
        tiff.extend(value.to_le_bytes());
        tiff.extend([0; 6]);
        tiff
    }

    #[test]
    fn valid_values_are_read_and_others_mean_upright() {
        for value in 1..=8 {
            assert_eq!(u16::from(orientation(&block(value))), value);
        }
        for value in [0, 9, 65_535] {
            assert_eq!(orientation(&block(value)), 1);
        }
    }

    #[test]
    fn the_directory_tells_where_it_ends() {
        assert_eq!(directory_end(&block(1)), 22);
        assert_eq!(directory_end(&[b"Exif\0\0".to_vec(), block(1)].concat()), 28);
        assert_eq!(directory_end(b"II*\0\xff\xff\xff\xff"), usize::MAX);
        assert!(directory_end(b"MM") > 2);
    }

    #[test]
    fn the_prefix_is_optional_and_cuts_are_harmless() {
        let whole = [b"Exif\0\0".to_vec(), block(6)].concat();
        assert_eq!(orientation(&whole), 6);
        for len in 0..whole.len() - 4 {
            let _ = orientation(&whole[..len]);
        }
    }
}
