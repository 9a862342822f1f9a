use std::fmt;

use unicode_normalization::UnicodeNormalization;

/// The name that a file has for people: one path component that every system can show and store.
///
/// It never decides where bytes lie, nor what they are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Filename(String);

impl Filename {
    /// The longest name, in bytes of UTF-8: what Linux, macOS and Windows file systems take.
    pub const MAX_BYTES: usize = 255;

    /// What a file is called whose name has nothing in it.
    const NAMELESS: &'static str = "file";

    /// Makes a name of whatever a client sent. Never fails; a name that is one already stays as it is.
    ///
    /// Only the part after the last `/` or `\` counts. Control characters, line separators, byte order marks and
    /// characters that turn the direction of writing are dropped, the rest is composed (Unicode form NFC). White space
    /// and dots at the end go. What is longer than [`Filename::MAX_BYTES`] loses the end of its stem, and keeps its
    /// extension where that leaves any stem. What is then empty is called `file`.
    #[must_use]
    pub fn sanitize(raw: &str) -> Self {
        let last_part = raw.rsplit(['/', '\\']).next().unwrap_or_default();
        let composed = last_part.chars().filter(|character| !is_unwanted(*character)).nfc().collect::<String>();
        let name = without_tail(shortened(without_tail(composed)));
        Self(if name.is_empty() { Self::NAMELESS.to_owned() } else { name })
    }

    /// Makes a name of bytes that may not be UTF-8: each invalid sequence becomes U+FFFD.
    #[must_use]
    pub fn from_bytes_lossy(raw: &[u8]) -> Self {
        Self::sanitize(&String::from_utf8_lossy(raw))
    }

    /// A name that was made earlier, as it stands in the database. It is not made again, so that a later rule never
    /// renames what people know.
    #[must_use]
    pub fn from_stored(stored: impl Into<String>) -> Self {
        Self(stored.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands after the last dot, as it is written. A dot at the start alone makes no extension.
    #[must_use]
    pub fn extension(&self) -> Option<&str> {
        self.0.rsplit_once('.').filter(|(stem, extension)| !stem.is_empty() && !extension.is_empty()).map(|(_, it)| it)
    }
}

impl fmt::Display for Filename {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Filename {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

fn is_unwanted(character: char) -> bool {
    character.is_control() || is_line_separator(character) || is_direction_mark(character) || character == '\u{FEFF}'
}

fn is_line_separator(character: char) -> bool {
    matches!(character, '\u{2028}' | '\u{2029}')
}

/// The characters that exist only to turn the direction of writing (Unicode property `Bidi_Control`). Letters of
/// scripts that run to the left are not among them.
fn is_direction_mark(character: char) -> bool {
    matches!(character, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

fn without_tail(mut name: String) -> String {
    let length = name.trim_end_matches(|character: char| character == '.' || character.is_whitespace()).len();
    name.truncate(length);
    name
}

/// At most [`Filename::MAX_BYTES`], cut between characters.
fn shortened(mut name: String) -> String {
    if name.len() <= Filename::MAX_BYTES {
        return name;
    }
    let dot = name.rfind('.').unwrap_or(name.len());
    let kept_extension = name.split_off(dot);
    let room_for_stem = Filename::MAX_BYTES.saturating_sub(kept_extension.len());
    let stem_end = name.floor_char_boundary(room_for_stem);
    if stem_end > 0 {
        name.truncate(stem_end);
        return name + &kept_extension;
    }
    // The extension, or what looks like one, is the whole name.
    name.push_str(&kept_extension);
    name.truncate(name.floor_char_boundary(Filename::MAX_BYTES));
    name
}

#[cfg(test)]
mod tests {
    use super::Filename;

    fn assert_names(cases: &[(&str, &str)]) {
        for (raw, expected) in cases {
            let name = Filename::sanitize(raw);
            assert_eq!(name.as_str(), *expected, "from {raw:?}");
            assert_eq!(Filename::sanitize(name.as_str()), name, "made twice from {raw:?}");
        }
    }

    #[test]
    fn a_plain_name_stays_as_it_is() {
        let names = [
            "photo.jpg",
            "한글.pdf",
            "Capture d’écran 2022-07-21 à 18.28.12.png",
            "Two  spaces.png",
            "100%25.png",
            "a%0d%0ab.png",
            "it's (1)*.png",
            "a\"; filename=\"b.exe",
            "صورة.png",
            ".htaccess",
            "a.php.png",
            "CON",
            "no-break\u{A0}space.png",
            "👨\u{200D}👩\u{200D}👧.png",
            " leading space.png",
        ];
        for name in names {
            assert_names(&[(name, name)]);
        }
    }

    #[test]
    fn only_the_last_part_of_a_path_counts() {
        assert_names(&[
            ("../../etc/passwd", "passwd"),
            (r"C:\fakepath\x.png", "x.png"),
            (r"a/b\c.png", "c.png"),
            (r"a\b/c.png", "c.png"),
            ("a/..", "file"),
            ("folder/", "file"),
        ]);
    }

    #[test]
    fn what_cannot_be_seen_or_deceives_is_dropped() {
        assert_names(&[
            ("a\tb.png", "ab.png"),
            ("a\0b.png", "ab.png"),
            ("x.png\r\nSet-Cookie: a=1", "x.pngSet-Cookie: a=1"),
            ("a\u{7F}\u{85}\u{9F}b.png", "ab.png"),
            ("invoice\u{202E}gpj.exe", "invoicegpj.exe"),
            ("a\u{2066}b\u{2069}.png", "ab.png"),
            ("\u{200F}\u{61C}a\u{200E}.png", "a.png"),
            ("\u{FEFF}a.png", "a.png"),
            ("a\u{2028}b\u{2029}.png", "ab.png"),
            ("\u{202E}..", "file"),
        ]);
    }

    #[test]
    fn a_name_is_composed() {
        assert_names(&[
            ("u\u{308}ber.png", "über.png"),
            // Also across what is dropped.
            ("u\u{200E}\u{308}ber.png", "über.png"),
            ("\u{1112}\u{1161}\u{11AB}.png", "한.png"),
        ]);
    }

    #[test]
    fn dots_and_spaces_at_the_end_go() {
        assert_names(&[("a.png.", "a.png"), ("a.png . .", "a.png"), ("a.png\u{A0}\u{3000}", "a.png"), ("a.", "a")]);
    }

    #[test]
    fn an_empty_name_is_file() {
        assert_names(&[
            ("", "file"),
            ("   ", "file"),
            (".", "file"),
            ("..", "file"),
            (". . .", "file"),
            ("\0", "file"),
        ]);
    }

    #[test]
    fn a_long_name_loses_the_end_of_its_stem() {
        assert_names(&[
            (&"x".repeat(300), &"x".repeat(255)),
            (&format!("{}.jpeg", "я".repeat(150)), &format!("{}.jpeg", "я".repeat(125))),
            // 251 bytes are left for the stem, in which 125 characters of two bytes fit.
            (&format!("{}.png", "я".repeat(150)), &format!("{}.png", "я".repeat(125))),
            (&format!("{}.png", "я".repeat(107)), &format!("{}.png", "я".repeat(107))),
            (&format!("{}.png", "x".repeat(251)), &format!("{}.png", "x".repeat(251))),
            (&format!("{}.png", "x".repeat(252)), &format!("{}.png", "x".repeat(251))),
            (&format!("{}.tar.gz", "x".repeat(300)), &format!("{}.gz", "x".repeat(252))),
        ]);
    }

    #[test]
    fn an_extension_too_long_to_be_kept_is_cut() {
        assert_names(&[
            (&format!("a.{}", "e".repeat(300)), &format!("a.{}", "e".repeat(253))),
            (&format!(".{}", "e".repeat(300)), &format!(".{}", "e".repeat(254))),
            (&format!("я.{}", "e".repeat(253)), &format!("я.{}", "e".repeat(252))),
        ]);
    }

    #[test]
    fn a_name_that_was_cut_still_has_no_tail() {
        assert_names(&[(&format!("{} . {}", "x".repeat(252), "y".repeat(300)), &"x".repeat(252))]);
    }

    #[test]
    fn composing_cannot_make_a_name_too_long() {
        // U+1D160 is written with three characters in form NFC, 4 bytes becoming 12.
        let name = Filename::sanitize(&"\u{1D160}".repeat(60));
        assert!(name.as_str().len() <= Filename::MAX_BYTES);
        assert_eq!(Filename::sanitize(name.as_str()), name);
    }

    #[test]
    fn invalid_bytes_become_replacement_characters() {
        for (bytes, expected) in [
            (&b"a\x97b.png"[..], "a\u{FFFD}b.png"),
            (b"caf\xE9.png", "caf\u{FFFD}.png"),
            (b"\xED\xA0\x80.png", "\u{FFFD}\u{FFFD}\u{FFFD}.png"),
            (b"C:\\\xFF\\plain.png", "plain.png"),
        ] {
            assert_eq!(Filename::from_bytes_lossy(bytes).as_str(), expected);
        }
    }

    #[test]
    fn the_extension_is_what_follows_the_last_dot() {
        let extension = |name: &str| Filename::sanitize(name).extension().map(str::to_owned);
        assert_eq!(extension("photo.JPG").as_deref(), Some("JPG"));
        assert_eq!(extension("a.php.png").as_deref(), Some("png"));
        assert_eq!(extension(".htaccess"), None);
        assert_eq!(extension("CON"), None);
        assert_eq!(Filename::from_stored("a.").extension(), None);
    }

    #[test]
    fn a_stored_name_is_not_made_again() {
        assert_eq!(Filename::from_stored("../odd.").as_str(), "../odd.");
    }
}
