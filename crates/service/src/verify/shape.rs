//! Which keys are ours by their looks.

use object_store_models::{MediaId, MediaKind};
use object_store_storage::ObjectKey;
use uuid::Uuid;

/// A key as this module makes them: `image/<uuid>/<nonce>`, `audio/…` or `staging/…`, the nonce 32 hex digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OwnKey {
    pub(super) key: ObjectKey,
    /// The media it was made for. Of a staging key only the id is known; it then says image.
    pub(super) media_id: MediaId,
}

impl OwnKey {
    /// `None` if this module does not make such keys.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let key = ObjectKey::parse(text).ok()?;
        let mut segments = text.split('/');
        let (kind, id, nonce) = (segments.next()?, segments.next()?, segments.next()?);
        let kind = match kind {
            "image" | "staging" => MediaKind::Image,
            "audio" => MediaKind::Audio,
            _ => return None,
        };
        let uuid = Uuid::try_parse(id).ok()?;
        // A UUID has several spellings; ours is hyphenated, in lower case.
        let is_own = segments.next().is_none() && uuid.to_string() == id && is_nonce(nonce);
        is_own.then(|| Self { key, media_id: MediaId::of(kind, uuid) })
    }
}

fn is_nonce(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
    const NONCE: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn keys_that_we_make_are_ours() {
        let uuid = Uuid::try_parse(ID).unwrap();
        for (start, kind) in [("image", MediaKind::Image), ("audio", MediaKind::Audio), ("staging", MediaKind::Image)] {
            let own = OwnKey::parse(&format!("{start}/{ID}/{NONCE}")).unwrap();
            assert_eq!(own.media_id, MediaId::of(kind, uuid));
        }
        let made = crate::upload::abandon::fresh_key("audio", uuid).unwrap();
        assert_eq!(OwnKey::parse(made.as_str()).unwrap().key, made);
    }

    #[test]
    fn all_others_are_foreign() {
        let others = [
            String::new(),
            "image".to_owned(),
            format!("image/{ID}"),
            format!("image/{ID}/"),
            format!("image/{ID}/{NONCE}/x"),
            format!("image/{ID}/{NONCE}0"),
            format!("image/{ID}/thumbnail"),
            format!("image/{}/{NONCE}", ID.replace('-', "")),
            format!("IMAGE/{ID}/{NONCE}"),
            format!("image/{ID}/{}", NONCE.to_uppercase()),
            format!("images/{ID}/{NONCE}"),
            format!("backup/image/{ID}/{NONCE}"),
            format!(" image/{ID}/{NONCE}"),
        ];
        for key in others {
            assert_eq!(OwnKey::parse(&key), None, "{key:?}");
        }
    }
}
