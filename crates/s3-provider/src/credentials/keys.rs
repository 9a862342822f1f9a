use s3::creds::Credentials;
use s3::creds::time::OffsetDateTime;
use s3::creds::time::format_description::well_known::Rfc3339;
use serde_json::Value;

use super::error::{CredentialsError, CredentialsOrigin};

/// What a source gives, before it is known to be usable.
#[derive(Default)]
pub(super) struct Keys {
    pub(super) access_key_id: Option<String>,
    pub(super) secret_access_key: Option<String>,
    pub(super) session_token: Option<String>,
    /// When they end, as RFC 3339 writes it.
    pub(super) expiration: Option<String>,
}

impl Keys {
    /// Those in an answer of JSON, in which the token has one name or another.
    pub(super) fn from_json(answer: &[u8], token: &str) -> Option<Self> {
        let answer: Value = serde_json::from_slice(answer).ok()?;
        let text = |name: &str| Some(answer.get(name)?.as_str()?.to_owned());
        Some(Self {
            access_key_id: text("AccessKeyId"),
            secret_access_key: text("SecretAccessKey"),
            session_token: text(token),
            expiration: text("Expiration"),
        })
    }

    /// Keys from where keys are given out.
    pub(super) fn given_by(self, origin: CredentialsOrigin) -> Result<Credentials, CredentialsError> {
        let unusable = |reason| CredentialsError::Unusable { origin, reason };
        if self.access_key_id.is_none() || self.secret_access_key.is_none() {
            return Err(unusable("the answer has no access key"));
        }
        self.build().map_err(|wrong| {
            unusable(match wrong {
                Wrong::Key => "the answer has keys that cannot be sent",
                Wrong::Expiration => "the answer has no date where it says when the keys expire",
            })
        })
    }

    /// Keys that an operator wrote down in the environment or a file.
    pub(super) fn written_in(self, place: &str) -> Result<Credentials, CredentialsError> {
        let incomplete = |missing| Err(CredentialsError::Incomplete { place: place.to_owned(), missing });
        match (&self.access_key_id, &self.secret_access_key) {
            (None, _) => return incomplete("access key id, but the secret of one"),
            (_, None) => return incomplete("secret access key, but the id of one"),
            _ => {}
        }
        self.build().map_err(|wrong| match wrong {
            Wrong::Key => CredentialsError::Invalid {
                setting: format!("each key in {place}"),
                allowed: "visible ASCII without spaces",
            },
            Wrong::Expiration => CredentialsError::Invalid {
                setting: format!("the expiration in {place}"),
                allowed: "a date and time by RFC 3339",
            },
        })
    }

    fn build(self) -> Result<Credentials, Wrong> {
        let is_sendable = |text: &Option<String>| text.as_deref().is_none_or(is_sendable);
        if !is_sendable(&self.access_key_id) || !is_sendable(&self.secret_access_key) {
            return Err(Wrong::Key);
        }
        let session_token = self.session_token.filter(|token| !token.is_empty());
        if !is_sendable(&session_token) {
            return Err(Wrong::Key);
        }
        let expiration = match self.expiration.as_deref() {
            Some(text) => Some(OffsetDateTime::parse(text, &Rfc3339).map_err(|_| Wrong::Expiration)?),
            None => None,
        };
        let mut credentials = Credentials::new(
            Some(self.access_key_id.as_deref().ok_or(Wrong::Key)?),
            Some(self.secret_access_key.as_deref().ok_or(Wrong::Key)?),
            None,
            session_token.as_deref(),
            None,
        )
        .map_err(|_| Wrong::Key)?;
        credentials.expiration = expiration.map(Into::into);
        Ok(credentials)
    }
}

enum Wrong {
    Key,
    Expiration,
}

/// Whether a part of credentials can stand in a header.
pub(crate) fn is_sendable(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}
