//! Text out of tags, made fit to store and show.

/// The most bytes of a stored tag.
const MAX_BYTES: usize = 255;

/// Removes what must not be stored or shown (NUL, control characters, direction controls, byte order marks), trims,
/// cuts at 255 bytes between characters. Nothing left is `None`.
pub(crate) fn clean(text: &str) -> Option<String> {
    let mut out = String::new();
    let kept = text.chars().filter(|c| !c.is_control() && !is_direction_control(*c));
    for c in kept.skip_while(|c| c.is_whitespace()) {
        if out.len() + c.len_utf8() > MAX_BYTES {
            break;
        }
        out.push(c);
    }
    out.truncate(out.trim_end().len());
    (!out.is_empty()).then_some(out)
}

/// UTF-8 up to a first NUL; bad bytes become U+FFFD.
pub(crate) fn utf8(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// ISO 8859-1.
pub(crate) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// UTF-8 if it is that, else ISO 8859-1: what programs write into fields without a stated encoding.
pub(crate) fn guessed(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| latin1(bytes), str::to_owned)
}

/// UTF-16 with the byte order of its mark, `big_endian` without one.
pub(crate) fn utf16(bytes: &[u8], big_endian: bool) -> String {
    let (bytes, big_endian) = match bytes {
        [0xFF, 0xFE, rest @ ..] => (rest, false),
        [0xFE, 0xFF, rest @ ..] => (rest, true),
        _ => (bytes, big_endian),
    };
    let units = bytes.chunks_exact(2).map(|pair| {
        let pair = crate::bytes::array(pair, 0);
        if big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
    });
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// Characters that change the direction of what follows, or hide in it.
fn is_direction_control(c: char) -> bool {
    matches!(c, '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
        || matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_characters_go() {
        assert_eq!(clean("\u{202e} a\0b\x07\u{200f}\u{feff} "), Some("ab".to_owned()));
        assert_eq!(clean("\0\u{2066} \n"), None);
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        let cut = clean(&"\u{1F3B5}".repeat(100)).unwrap();
        assert_eq!((cut.len(), cut.chars().count()), (252, 63));
    }

    #[test]
    fn encodings_are_read() {
        assert_eq!(utf16(b"\xff\xfeA\0\x3c\xd8", false), "A\u{fffd}");
        assert_eq!(utf16(b"\0A", true), "A");
        assert_eq!(guessed(b"caf\xe9"), "caf\u{e9}");
        assert_eq!(utf8(b"a\xe5"), "a\u{fffd}");
    }
}
