use std::fmt;

use object_store_models::UserId;

macro_rules! create {
    ($(#[$docs:meta])* $name:ident) => {
        $(#[$docs])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name {
            /// The name that the user's file had. Any text will do: path parts, control characters and the like are
            /// removed, and what is left is kept for display and download.
            pub filename: String,
            /// The content type that the client declared, if it did. The bytes decide; a declaration that contradicts
            /// them is an error. `application/octet-stream` and the empty text declare nothing.
            pub content_type: Option<String>,
            /// Whose it will be. `None` means the acting user, or nobody where there is none.
            pub owner: Option<UserId>,
            /// Makes a repeated request harmless: see the method `idempotent`.
            pub idempotency_key: Option<String>,
        }

        /// Without the idempotency key: ownerless uploads share them, and so one is a secret.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("filename", &self.filename)
                    .field("content_type", &self.content_type)
                    .field("owner", &self.owner)
                    .field("has_idempotency_key", &self.idempotency_key.is_some())
                    .finish()
            }
        }

        impl $name {
            /// A file of this name, of no declared type, owned by whoever uploads it.
            pub fn new(filename: impl Into<String>) -> Self {
                Self { filename: filename.into(), content_type: None, owner: None, idempotency_key: None }
            }

            /// With the content type that the client declared.
            #[must_use]
            pub fn declared(mut self, content_type: impl Into<String>) -> Self {
                self.content_type = Some(content_type.into());
                self
            }

            /// Owned by `user`. Only the system may upload for somebody else.
            #[must_use]
            pub fn owned_by(mut self, user: UserId) -> Self {
                self.owner = Some(user);
                self
            }

            /// Under a key that the client made up for this request: 1 to 255 visible ASCII characters, such as a UUID.
            ///
            /// The same request of the same owner with the same key, as often as it comes, stores one file and has one
            /// answer. While the first is under way, the others are
            /// [`InProgress`](crate::ObjectStoreError::InProgress). Another request with that key is a
            /// [`Conflict`](crate::ObjectStoreError::Conflict). A request is the same if it has the same cleaned
            /// filename, declared type, owner and wanted kind, and the same bytes; of a stream that is longer than 8 MiB,
            /// the first 8 MiB and the announced length. The key of an upload that failed can be used for the same
            /// request again; the key of one that was stored is remembered for a day, by default, also when the file
            /// was deleted since.
            ///
            /// Ownerless uploads share one space of keys: let nobody guess them.
            #[must_use]
            pub fn idempotent(mut self, key: impl Into<String>) -> Self {
                self.idempotency_key = Some(key.into());
                self
            }
        }
    };
}

create! {
    /// An image about to be uploaded.
    ImageCreate
}

create! {
    /// An audio file about to be uploaded.
    AudioCreate
}

create! {
    /// A file about to be uploaded whose bytes will decide whether it is an image or audio.
    FileCreate
}

/// The parts of all three.
pub(crate) struct Declared {
    pub(crate) filename: String,
    pub(crate) content_type: Option<String>,
    pub(crate) owner: Option<UserId>,
    pub(crate) idempotency_key: Option<String>,
}

macro_rules! declared {
    ($($name:ident)*) => {
        $(impl From<$name> for Declared {
            fn from($name { filename, content_type, owner, idempotency_key }: $name) -> Self {
                Self { filename, content_type, owner, idempotency_key }
            }
        })*
    };
}

declared!(ImageCreate AudioCreate FileCreate);
