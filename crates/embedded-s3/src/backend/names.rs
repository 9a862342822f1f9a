//! How a key is written as a file name, and read back.

use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// File systems take names of 255 bytes. An encoded key that is longer goes on in a folder, whose name ends in [`MORE`].
const CHUNK_BYTES: usize = 200;

/// The end of a folder's name. No encoded key has it.
const MORE: char = '~';

/// In place of `/`, so that the names of most keys can be read.
const SLASH: char = ',';

/// Upper case is escaped too, for file systems that do not tell it from lower case.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'/');

/// The place of a key's file below a bucket's directory: one name, or several for a long key.
pub(super) fn path_of(key: &str) -> PathBuf {
    let mut path = PathBuf::new();
    let mut name = String::new();
    for piece in encoded_pieces(key) {
        if name.len() + piece.len() > CHUNK_BYTES {
            name.push(MORE);
            path.push(std::mem::take(&mut name));
        }
        // `.` and `..` are no names for a file.
        match piece.as_str() {
            "." if name.is_empty() => name.push_str("%2e"),
            piece => name.push_str(piece),
        }
    }
    path.push(name);
    path
}

/// The encoding of each character, never split.
fn encoded_pieces(key: &str) -> impl Iterator<Item = String> {
    key.chars().map(|character| match character {
        '/' => SLASH.to_string(),
        'A'..='Z' => format!("%{:02x}", u32::from(character)),
        _ => utf8_percent_encode(character.encode_utf8(&mut [0; 4]), ESCAPED).to_string().to_ascii_lowercase(),
    })
}

/// The key whose file this is, given its place below the bucket's directory; `None` if it is none of ours.
pub(super) fn key_of(path: &Path) -> Option<String> {
    let mut encoded = String::new();
    for component in path {
        encoded.push_str(component.to_str()?.trim_end_matches(MORE));
    }
    let slashes = encoded.replace(SLASH, "/");
    let key = percent_decode_str(&slashes).decode_utf8().ok()?.into_owned();
    // Another file that would decode to the same key is not that key's file.
    (path_of(&key) == path).then_some(key)
}

/// Whether a folder of this name can hold the files of long keys.
pub(super) fn holds_more(name: &str) -> bool {
    name.ends_with(MORE)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::path::Path;

    use super::{key_of, path_of};

    #[test]
    fn ordinary_keys_can_be_read_in_a_directory() {
        assert_eq!(path_of("image/0193-a/f00d.png"), Path::new("image,0193-a,f00d.png"));
    }

    #[test]
    fn every_key_has_one_file_and_comes_back() {
        let long = "k/.A".repeat(256);
        let dots = format!("{}..", "k".repeat(199));
        let keys = [
            "a",
            "a/",
            "a//b",
            "/a",
            "a/b",
            "a,b",
            ".",
            "..",
            "...",
            "../x",
            "./x",
            "A",
            "a~",
            "~",
            "%",
            "%2e",
            "%41",
            " ",
            "é",
            "画/🎵",
            "a\0b",
            "+&=?#",
            long.as_str(),
            dots.as_str(),
        ];
        let mut paths = HashSet::new();
        for key in keys {
            let path = path_of(key);
            assert_eq!(key_of(&path).as_deref(), Some(key), "{}", path.display());
            for component in path.components() {
                assert!(matches!(component, std::path::Component::Normal(_)), "{key:?}");
                assert!(component.as_os_str().len() < 255, "{key:?}");
            }
            assert!(paths.insert(path.to_string_lossy().to_lowercase()), "{key:?}");
        }
    }

    #[test]
    fn other_files_are_no_keys() {
        for path in [".DS_Store", "A", "a~", "%41x%", "%2F", "a/b"] {
            assert_eq!(key_of(Path::new(path)), None, "{path}");
        }
    }
}
