use std::fmt;

/// The name of one object below the configured prefix of the bucket.
///
/// Made by us, never taken from a user: `[a-z0-9/._-]`, 1 to [`ObjectKey::MAX_BYTES`] bytes, and no empty, `.` or `..`
/// segment. Clients resolve dot segments before they sign a URL, so that such a key would name another object, or an
/// object in another bucket.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(Box<str>);

/// Why a text is not an [`ObjectKey`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No characters, or more than [`ObjectKey::MAX_BYTES`].
    #[error("an object key has 1 to {max} bytes, not {actual}", max = ObjectKey::MAX_BYTES)]
    Length {
        /// The length in bytes.
        actual: usize,
    },
    /// A character outside `[a-z0-9/._-]`.
    #[error("an object key consists of a-z, 0-9, '/', '.', '_' and '-'; found {character:?}")]
    Character {
        /// The first such character.
        character: char,
    },
    /// An empty, `.` or `..` segment, which includes a slash at either end.
    #[error("an object key has no empty, '.' or '..' segment")]
    Segment,
}

impl ObjectKey {
    /// The longest key, in bytes. S3 allows 1,024; file systems that hold a key in one file name allow far less.
    pub const MAX_BYTES: usize = 128;

    /// Checks a key that was made earlier, such as one read from a row or a listing.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if text.is_empty() || text.len() > Self::MAX_BYTES {
            return Err(KeyError::Length { actual: text.len() });
        }
        if let Some(character) = text.chars().find(|character| !is_allowed(*character)) {
            return Err(KeyError::Character { character });
        }
        if text.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            return Err(KeyError::Segment);
        }
        Ok(Self(text.into()))
    }

    /// The key of a finished object: `<kind>/<id>/<nonce>`, for example `image/0193…/5f0c…`.
    ///
    /// `kind` and `id` must be made of allowed characters. The nonce makes each attempt's key its own, so that a key
    /// never names two contents.
    pub fn for_object(kind: &str, id: &str, nonce: &str) -> Result<Self, KeyError> {
        Self::parse(&format!("{kind}/{id}/{nonce}"))
    }

    /// The key to which a client may write: `staging/<id>/<nonce>`. Never served.
    pub fn for_staging(id: &str, nonce: &str) -> Result<Self, KeyError> {
        Self::parse(&format!("staging/{id}/{nonce}"))
    }

    /// What the keys of all objects of `id` begin with: `<kind>/<id>/`.
    pub fn object_directory(kind: &str, id: &str) -> String {
        format!("{kind}/{id}/")
    }

    /// What the staging keys of `id` begin with: `staging/<id>/`.
    pub fn staging_directory(id: &str) -> String {
        format!("staging/{id}/")
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_allowed(character: char) -> bool {
    matches!(character, 'a'..='z' | '0'..='9' | '/' | '.' | '_' | '-')
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl std::str::FromStr for ObjectKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::{KeyError, ObjectKey};

    #[test]
    fn a_key_keeps_its_text() {
        let key = ObjectKey::for_object("image", "0193-a", "f00d").unwrap();
        assert_eq!(key.as_str(), "image/0193-a/f00d");
        assert_eq!(ObjectKey::parse(key.as_str()), Ok(key));
    }

    #[test]
    fn a_key_lies_in_its_directory() {
        let (object, staging) =
            (ObjectKey::for_object("image", "0193", "f00d"), ObjectKey::for_staging("0193", "f00d"));
        assert!(object.unwrap().as_str().starts_with(&ObjectKey::object_directory("image", "0193")));
        assert!(staging.unwrap().as_str().starts_with(&ObjectKey::staging_directory("0193")));
    }

    #[test]
    fn a_key_cannot_leave_its_place() {
        for text in ["/a", "a/", "a//b", "../a", "a/../b", "a/./b", ".", ".."] {
            assert_eq!(ObjectKey::parse(text), Err(KeyError::Segment), "{text}");
        }
        assert!(ObjectKey::parse("a/...").is_ok());
    }

    #[test]
    fn a_key_has_only_characters_that_every_signer_writes_alike() {
        for character in ['A', ' ', '+', '%', '?', '#', '\\', '\0', 'é', '~'] {
            let text = format!("a{character}b");
            assert_eq!(ObjectKey::parse(&text), Err(KeyError::Character { character }), "{text:?}");
        }
    }

    #[test]
    fn a_key_has_1_to_128_bytes() {
        assert_eq!(ObjectKey::parse(""), Err(KeyError::Length { actual: 0 }));
        assert!(ObjectKey::parse(&"a".repeat(128)).is_ok());
        assert_eq!(ObjectKey::parse(&"a".repeat(129)), Err(KeyError::Length { actual: 129 }));
    }
}
