use std::fmt;
use std::time::Duration;

use object_store_models::{MediaId, MediaKind, Timestamp, UserId};
use serde::{Serialize, Serializer};

/// A file that a client is about to send to storage itself. `Debug` does not show the idempotency key.
#[derive(Clone, PartialEq, Eq)]
pub struct DirectUploadCreate {
    /// The name that the user's file has. Any text will do, as for an upload.
    pub filename: String,
    /// The content type that the client declares: that of an accepted format, or one of its other names. The bytes have
    /// to agree with it.
    pub content_type: String,
    /// What is wanted; `None` for either.
    pub kind: Option<MediaKind>,
    /// The exact size, where it is known. The bytes have to agree with it.
    pub size_bytes: Option<u64>,
    /// Whose it will be. `None` means the acting user, or nobody where there is none.
    pub owner: Option<UserId>,
    /// How long the client may send it: 1 second to 7 days; `None` for the configured default, 1 hour.
    pub expires_in: Option<Duration>,
    /// How the client sends it.
    pub via: UploadVia,
    /// Makes a repeated request harmless: see [`DirectUploadCreate::idempotent`].
    pub idempotency_key: Option<String>,
}

/// How a client sends a direct upload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UploadVia {
    /// As a form, `POST`ed as `multipart/form-data`: what browsers do. The storage itself refuses what is too large.
    #[default]
    Form,
    /// As the body of a `PUT`, for clients that cannot post forms. The exact size has to be known.
    Put {
        /// The MD5 of the bytes, where it is known: the storage then refuses any others.
        content_md5: Option<[u8; 16]>,
    },
    /// In parts, each as the body of a `PUT`: see [`DirectUploadCreate::resumable`]. The exact size has to be known.
    Parts,
}

impl fmt::Debug for DirectUploadCreate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectUploadCreate")
            .field("filename", &self.filename)
            .field("content_type", &self.content_type)
            .field("kind", &self.kind)
            .field("size_bytes", &self.size_bytes)
            .field("owner", &self.owner)
            .field("expires_in", &self.expires_in)
            .field("via", &self.via)
            .field("has_idempotency_key", &self.idempotency_key.is_some())
            .finish()
    }
}

impl DirectUploadCreate {
    /// An image of this name and declared content type.
    pub fn image(filename: impl Into<String>, content_type: impl Into<String>) -> Self {
        Self { kind: Some(MediaKind::Image), ..Self::file(filename, content_type) }
    }

    /// An audio file of this name and declared content type.
    pub fn audio(filename: impl Into<String>, content_type: impl Into<String>) -> Self {
        Self { kind: Some(MediaKind::Audio), ..Self::file(filename, content_type) }
    }

    /// A file of this name, whose declared content type says whether it is an image or audio.
    pub fn file(filename: impl Into<String>, content_type: impl Into<String>) -> Self {
        Self {
            filename: filename.into(),
            content_type: content_type.into(),
            kind: None,
            size_bytes: None,
            owner: None,
            expires_in: None,
            via: UploadVia::default(),
            idempotency_key: None,
        }
    }

    /// Of exactly this size.
    #[must_use]
    pub fn sized(mut self, size_bytes: u64) -> Self {
        self.size_bytes = Some(size_bytes);
        self
    }

    /// Owned by `user`. Only the system may begin an upload for somebody else.
    #[must_use]
    pub fn owned_by(mut self, user: UserId) -> Self {
        self.owner = Some(user);
        self
    }

    /// To be sent within this time.
    #[must_use]
    pub fn expiring_in(mut self, expires_in: Duration) -> Self {
        self.expires_in = Some(expires_in);
        self
    }

    /// To be sent as the body of a `PUT`; with an MD5, only bytes that have it.
    #[must_use]
    pub fn by_put(mut self, content_md5: Option<[u8; 16]>) -> Self {
        self.via = UploadVia::Put { content_md5 };
        self
    }

    /// To be sent in parts, so that a client whose connection is lost goes on where it was: it asks for signed URLs of the
    /// parts it is about to send (`sign_upload_parts`), and for what has arrived (`list_upload_parts`). The exact size has
    /// to be known. With an idempotency key, a client that has lost the id as well begins again, and has it.
    #[must_use]
    pub fn resumable(mut self) -> Self {
        self.via = UploadVia::Parts;
        self
    }

    /// Under a key that the client made up for this request: 1 to 255 visible ASCII characters, such as a UUID.
    ///
    /// The same request of the same owner with the same key has the same id, and a fresh signature that works as long
    /// as the first did; once the upload is completed, the answer is [`UploadMethod::Completed`]. Another request with
    /// that key is a [`Conflict`](crate::ObjectStoreError::Conflict). A request is the same if all fields of this struct
    /// are, after the filename was cleaned. The key of an upload that was cancelled, refused or has expired begins a new
    /// one; the key of one that was completed is remembered for a day, by default, also when the file was deleted since.
    ///
    /// Ownerless uploads share one space of keys: let nobody guess them.
    #[must_use]
    pub fn idempotent(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }
}

/// A direct upload that was begun. In JSON, the fields of `method` stand beside the others, and `kind` says what `id`
/// is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DirectUpload {
    /// The id that the file will have. Keep it: completing asks for it.
    #[serde(flatten, serialize_with = "id_and_kind")]
    pub id: MediaId,
    /// What the client has to send.
    #[serde(flatten)]
    pub method: UploadMethod,
    /// Until when it can be sent. Of a completed upload: until when its idempotency key is remembered.
    pub expires_at: Timestamp,
}

/// What a client has to send. `Debug` does not show the signature.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "method", rename_all = "lowercase")]
pub enum UploadMethod {
    /// A form, `POST`ed as `multipart/form-data`.
    Post {
        /// Where to.
        url: String,
        /// The fields of the form, in this order; the bytes come last, in a field `file`.
        fields: Vec<(String, String)>,
        /// The most bytes that the storage takes.
        max_bytes: u64,
    },
    /// The bytes as the body of a `PUT`.
    Put {
        /// Where to.
        url: String,
        /// The headers to send. Browsers send `content-length` by themselves.
        headers: Vec<(String, String)>,
    },
    /// Parts, in any order and several at a time, each to a URL of its own. Part `n`, counted from 1, begins at byte
    /// `(n - 1) * part_bytes`.
    Parts {
        /// The size of each part but the last, which has what is left.
        part_bytes: u64,
        /// How many parts there are.
        part_count: u16,
    },
    /// Nothing: an earlier request with the same idempotency key was completed. Completing it again answers the file.
    Completed,
}

impl fmt::Debug for UploadMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unsigned = |url: &str| url.split('?').next().unwrap_or_default().to_owned();
        match self {
            Self::Post { url, fields: _, max_bytes } => f
                .debug_struct("Post")
                .field("url", &unsigned(url))
                .field("max_bytes", max_bytes)
                .finish_non_exhaustive(),
            Self::Put { url, headers } => {
                f.debug_struct("Put").field("url", &unsigned(url)).field("headers", headers).finish()
            }
            Self::Parts { part_bytes, part_count } => {
                f.debug_struct("Parts").field("part_bytes", part_bytes).field("part_count", part_count).finish()
            }
            Self::Completed => f.write_str("Completed"),
        }
    }
}

fn id_and_kind<S: Serializer>(id: &MediaId, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Fields {
        id: String,
        kind: MediaKind,
    }
    Fields { id: id.to_string(), kind: id.kind() }.serialize(serializer)
}

#[cfg(test)]
mod tests {
    use object_store_models::{ImageId, MediaId, Timestamp};
    use serde_json::json;
    use uuid::Uuid;

    use super::{DirectUpload, UploadMethod};

    fn begun(method: UploadMethod) -> DirectUpload {
        let id = MediaId::Image(ImageId::from(Uuid::from_u128(1)));
        DirectUpload { id, method, expires_at: Timestamp::from_micros(0).unwrap() }
    }

    #[test]
    fn json_is_flat_and_says_how() {
        let fields = vec![("key".to_owned(), "a".to_owned())];
        let post = begun(UploadMethod::Post { url: "https://s3".to_owned(), fields, max_bytes: 9 });
        let expected = json!({
            "id": "00000000-0000-0000-0000-000000000001",
            "kind": "image",
            "method": "post",
            "url": "https://s3",
            "fields": [["key", "a"]],
            "max_bytes": 9,
            "expires_at": "1970-01-01T00:00:00.000000Z",
        });
        assert_eq!(serde_json::to_value(post).unwrap(), expected);
        let parts = serde_json::to_value(begun(UploadMethod::Parts { part_bytes: 8, part_count: 2 })).unwrap();
        assert_eq!(
            (&parts["method"], &parts["part_bytes"], &parts["part_count"]),
            (&json!("parts"), &json!(8), &json!(2))
        );
        assert_eq!(serde_json::to_value(begun(UploadMethod::Completed)).unwrap()["method"], "completed");
    }

    #[test]
    fn debug_shows_no_signature() {
        let secret = "hush".to_owned();
        let fields = vec![("x-amz-signature".to_owned(), secret.clone())];
        let post = UploadMethod::Post { url: "https://s3".to_owned(), fields, max_bytes: 9 };
        let put = UploadMethod::Put { url: format!("https://s3/a?sig={secret}"), headers: Vec::new() };
        for method in [post, put] {
            assert!(!format!("{:?}", begun(method)).contains(&secret));
        }
    }
}
