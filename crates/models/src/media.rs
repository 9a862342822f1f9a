//! What kinds of media there are.

use std::fmt;

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSqlRow, Queryable};
use diesel::dsl::Eq as Equals;
use diesel::expression::AsExpression;
use diesel::prelude::*;
use diesel::sql_types::Text;
use uuid::Uuid;

use crate::schema::object_intents;
use crate::text::text_enum;
use crate::{AudioId, ImageId, sql};

/// A kind of media, stored as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = Text)]
pub enum MediaKind {
    /// A row of `images`.
    Image,
    /// A row of `audios`.
    Audio,
}

text_enum!(MediaKind, "kind of media", { Image => "image", Audio => "audio" });

/// An image's or an audio file's id. Shown as the plain UUID.
///
/// `object_intents` keeps it in two columns, `media_id` and `kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MediaId {
    /// An image's.
    Image(ImageId),
    /// An audio file's.
    Audio(AudioId),
}

impl MediaId {
    /// The id of media of this kind.
    #[must_use]
    pub fn of(kind: MediaKind, uuid: Uuid) -> Self {
        match kind {
            MediaKind::Image => Self::Image(uuid.into()),
            MediaKind::Audio => Self::Audio(uuid.into()),
        }
    }

    /// What kind of media it names.
    #[must_use]
    pub const fn kind(self) -> MediaKind {
        match self {
            Self::Image(_) => MediaKind::Image,
            Self::Audio(_) => MediaKind::Audio,
        }
    }

    /// The UUID within.
    #[must_use]
    pub const fn uuid(self) -> Uuid {
        match self {
            Self::Image(id) => id.uuid(),
            Self::Audio(id) => id.uuid(),
        }
    }
}

impl From<ImageId> for MediaId {
    fn from(id: ImageId) -> Self {
        Self::Image(id)
    }
}

impl From<AudioId> for MediaId {
    fn from(id: AudioId) -> Self {
        Self::Audio(id)
    }
}

impl fmt::Display for MediaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uuid().fmt(f)
    }
}

/// The `media_id` column before its kind is known; an id of either kind has the same bytes.
type Untyped = ImageId;

type Columns = (object_intents::media_id, object_intents::kind);
type Values = (Equals<object_intents::media_id, Untyped>, Equals<object_intents::kind, MediaKind>);

impl<DB: Backend> Selectable<DB> for MediaId {
    type SelectExpression = Columns;

    fn construct_selection() -> Columns {
        (object_intents::media_id, object_intents::kind)
    }
}

impl<DB> Queryable<(sql::Uuid, Text), DB> for MediaId
where
    DB: Backend,
    (Untyped, MediaKind): deserialize::FromStaticSqlRow<(sql::Uuid, Text), DB>,
{
    type Row = (Untyped, MediaKind);

    fn build((id, kind): Self::Row) -> deserialize::Result<Self> {
        Ok(Self::of(kind, id.uuid()))
    }
}

impl Insertable<object_intents::table> for MediaId {
    type Values = <Values as Insertable<object_intents::table>>::Values;

    fn values(self) -> Self::Values {
        (object_intents::media_id.eq(Untyped::from(self.uuid())), object_intents::kind.eq(self.kind())).values()
    }
}

impl Insertable<object_intents::table> for &MediaId {
    type Values = <Values as Insertable<object_intents::table>>::Values;

    fn values(self) -> Self::Values {
        (*self).values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_reads_back_what_it_shows() {
        for kind in MediaKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
    }

    #[test]
    fn an_unknown_kind_says_what_is_allowed() {
        let error = "video".parse::<MediaKind>().unwrap_err();
        assert_eq!(error.to_string(), r#""video" is no kind of media, which is one of image, audio"#);
    }

    #[test]
    fn a_media_id_keeps_its_kind() {
        let id = AudioId::new();
        assert_eq!(MediaId::from(id), MediaId::of(MediaKind::Audio, id.uuid()));
        assert_eq!(MediaId::from(id).to_string(), id.to_string());
    }
}
