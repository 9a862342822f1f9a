//! What a look at a set-up finds: one line for each thing that may be wrong, and what to do about it.

use std::fmt;

use url::Url;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// A stable word for it, such as `endpoint`.
    pub name: &'static str,
    /// How it is.
    pub status: CheckStatus,
    /// What was found.
    pub found: String,
    /// What to do about it, where something is to be done.
    pub advice: Option<String>,
    /// What [`ObjectStorage::apply_fix`](crate::ObjectStorage::apply_fix) would do about it.
    pub fix: Option<Fix>,
}

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckStatus {
    /// As it should be.
    Ok,
    /// Not looked at, and why stands in [`Check::found`].
    Skipped,
    /// It works, but not all of it, or not for long.
    Warning,
    /// It does not work.
    Error,
}

impl CheckStatus {
    /// A stable word for logs and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl Check {
    /// Something that is as it should be.
    pub fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, status: CheckStatus::Ok, found: found.into(), advice: None, fix: None }
    }

    /// Something that was not looked at.
    pub fn skipped(name: &'static str, why: impl Into<String>) -> Self {
        Self { status: CheckStatus::Skipped, ..Self::ok(name, why) }
    }

    /// Something that works in part.
    pub fn warning(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { status: CheckStatus::Warning, advice: Some(advice.into()), ..Self::ok(name, found) }
    }

    /// Something that does not work.
    pub fn error(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { status: CheckStatus::Error, advice: Some(advice.into()), ..Self::ok(name, found) }
    }

    /// The same, with something that would help.
    #[must_use]
    pub fn with_fix(self, fix: Fix) -> Self {
        Self { fix: Some(fix), ..self }
    }
}

/// What a look at a set-up is to take into account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckupOptions {
    /// The origins of the pages whose scripts send files to storage.
    pub origins: Vec<Origin>,
}

/// A change to the bucket's settings that keeps what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fix {
    /// A CORS rule with which pages of these origins may send and read files.
    AllowOrigins(Vec<Origin>),
    /// A lifecycle rule that aborts multipart uploads which are this many days old.
    AbortOldUploads {
        /// From 1 on.
        days: u16,
    },
}

impl fmt::Display for Fix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AllowOrigins(origins) => {
                let origins: Vec<&str> = origins.iter().map(Origin::as_str).collect();
                write!(f, "add a CORS rule for GET, PUT and POST from {}", origins.join(", "))
            }
            Self::AbortOldUploads { days } => {
                write!(f, "add a lifecycle rule that aborts multipart uploads after {days} days")
            }
        }
    }
}

/// The origin of a web page: scheme, host and port (RFC 6454).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

/// Not an origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an origin is http or https, a host and perhaps a port, such as https://app.example.org, not {0:?}")]
pub struct OriginError(String);

impl Origin {
    /// Reads an origin as browsers send it.
    ///
    /// # Errors
    /// When it has a path, a user or anything else that browsers do not send.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let wrong = || OriginError(text.chars().take(100).collect());
        let url = Url::parse(text).map_err(|_| wrong())?;
        let origin = url.origin().ascii_serialization();
        let is_web = matches!(url.scheme(), "http" | "https");
        if is_web && text.trim_end_matches('/').eq_ignore_ascii_case(&origin) { Ok(Self(origin)) } else { Err(wrong()) }
    }

    /// As browsers send it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Origin;

    #[test]
    fn an_origin_is_what_a_browser_sends() {
        for (text, origin) in [
            ("https://app.example.org", "https://app.example.org"),
            ("HTTP://localhost:3000/", "http://localhost:3000"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(Origin::parse(text).unwrap().as_str(), origin);
        }
        for text in [
            "",
            "*",
            "null",
            "app.example.org",
            "https://a/b",
            "https://u@a",
            "https://a?b",
            "file:///a",
            "https://a:443",
        ] {
            assert!(Origin::parse(text).is_err(), "{text}");
        }
    }
}
