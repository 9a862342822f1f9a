use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::filename::Filename;

/// What a browser does with a download.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Disposition {
    /// Shows it where it can.
    #[default]
    Inline,
    /// Saves it under its name.
    Attachment,
}

/// All but the characters that stand for themselves in an extended parameter (`attr-char`, RFC 8187, section 3.2.1).
const NOT_ATTR_CHAR: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// The value of `Content-Disposition` (RFC 6266): `filename*` with the whole name, and before it a `filename` in ASCII for
/// whoever knows only that. Always printable ASCII, whatever the name is.
#[must_use]
pub fn content_disposition(disposition: Disposition, filename: &Filename) -> String {
    let disposition = match disposition {
        Disposition::Inline => "inline",
        Disposition::Attachment => "attachment",
    };
    let plain = plain(filename.as_str());
    let extended = utf8_percent_encode(filename.as_str(), NOT_ATTR_CHAR);
    format!("{disposition}; filename=\"{plain}\"; filename*=UTF-8''{extended}")
}

/// The name in printable ASCII without what clients misread in a quoted string: quotes, backslashes, semicolons, per cent
/// signs (RFC 6266, appendix D) and slashes become `_`. Spaces that follow each other become one.
fn plain(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    for character in name.chars() {
        match character {
            ' ' if plain.ends_with(' ') => {}
            '"' | '\\' | ';' | '%' | '/' => plain.push('_'),
            ' '..='~' => plain.push(character),
            _ => plain.push('_'),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::{Disposition, content_disposition};
    use crate::filename::Filename;

    fn parameters(name: &str) -> String {
        let attachment = content_disposition(Disposition::Attachment, &Filename::from_stored(name));
        let inline = content_disposition(Disposition::Inline, &Filename::from_stored(name));
        let parameters = attachment.strip_prefix("attachment; ").unwrap().to_owned();
        assert_eq!(inline, format!("inline; {parameters}"));
        parameters
    }

    #[test]
    fn both_forms_of_the_name_are_given() {
        for (name, expected) in [
            ("photo.jpg", r#"filename="photo.jpg"; filename*=UTF-8''photo.jpg"#),
            ("한글.pdf", r#"filename="__.pdf"; filename*=UTF-8''%ED%95%9C%EA%B8%80.pdf"#),
            ("d’été à 8.png", r#"filename="d__t_ _ 8.png"; filename*=UTF-8''d%E2%80%99%C3%A9t%C3%A9%20%C3%A0%208.png"#),
            ("Two  spaces.png", r#"filename="Two spaces.png"; filename*=UTF-8''Two%20%20spaces.png"#),
            (
                "a\".png; filename=\"evil.exe",
                r#"filename="a_.png_ filename=_evil.exe"; filename*=UTF-8''a%22.png%3B%20filename%3D%22evil.exe"#,
            ),
            ("x.pngSet-Cookie: a=1", r#"filename="x.pngSet-Cookie: a=1"; filename*=UTF-8''x.pngSet-Cookie%3A%20a%3D1"#),
            ("👨\u{200D}👩.png", r#"filename="___.png"; filename*=UTF-8''%F0%9F%91%A8%E2%80%8D%F0%9F%91%A9.png"#),
            ("caf\u{FFFD}.png", r#"filename="caf_.png"; filename*=UTF-8''caf%EF%BF%BD.png"#),
            ("100%25.png", r#"filename="100_25.png"; filename*=UTF-8''100%2525.png"#),
            ("a%0d%0ab.png", r#"filename="a_0d_0ab.png"; filename*=UTF-8''a%250d%250ab.png"#),
            ("it's (1)*.png", r#"filename="it's (1)*.png"; filename*=UTF-8''it%27s%20%281%29%2A.png"#),
            ("a\u{A0}b.png", r#"filename="a_b.png"; filename*=UTF-8''a%C2%A0b.png"#),
            ("صورة.png", r#"filename="____.png"; filename*=UTF-8''%D8%B5%D9%88%D8%B1%D8%A9.png"#),
            (".htaccess", r#"filename=".htaccess"; filename*=UTF-8''.htaccess"#),
            ("file", r#"filename="file"; filename*=UTF-8''file"#),
        ] {
            assert_eq!(parameters(name), expected, "{name:?}");
        }
    }

    #[test]
    fn characters_of_a_token_stand_for_themselves() {
        assert_eq!(parameters("!#$&+-.^_`|~"), r#"filename="!#$&+-.^_`|~"; filename*=UTF-8''!#$&+-.^_`|~"#);
    }

    #[test]
    fn no_stored_name_breaks_the_header() {
        // Names that no rule of today makes.
        assert_eq!(
            parameters("a\r\nb\\\"c/\u{7F}.png"),
            r#"filename="a__b__c__.png"; filename*=UTF-8''a%0D%0Ab%5C%22c%2F%7F.png"#
        );
        for character in (0..0x300).filter_map(char::from_u32) {
            let parameters = parameters(&format!("a{character}b"));
            assert!(parameters.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{character:?}: {parameters}");
            assert_eq!(parameters.matches('"').count(), 2, "{character:?}: {parameters}");
            assert_eq!(parameters.matches(';').count(), 1, "{character:?}: {parameters}");
        }
    }
}
