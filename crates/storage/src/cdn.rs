//! Addresses of objects on a content delivery network.

use std::fmt;

use url::{Host, Url};

use crate::key::ObjectKey;

/// Where a content delivery network serves the keys of a bucket, with the bucket's prefix if it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CdnUrl(String);

/// Not the address of a content delivery network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the URL of a CDN is https (http on loopback only) without user, query and fragment, not {0:?}")]
pub struct CdnUrlError(String);

impl CdnUrl {
    /// Reads a base URL, such as `https://media.example.org/app`.
    ///
    /// # Errors
    /// When it is none; the error shows no user and no query.
    pub fn parse(text: &str) -> Result<Self, CdnUrlError> {
        // What is no URL may still hold a password.
        let hidden = || CdnUrlError(if text.contains('@') { "<hidden>".to_owned() } else { text.to_owned() });
        let url = Url::parse(text).map_err(|_| hidden())?;
        let fits = (url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url)))
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !fits {
            return Err(CdnUrlError(format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default())));
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }

    /// The address of an object. A key consists of characters that stand for themselves in a URL.
    pub fn of(&self, key: &ObjectKey) -> String {
        format!("{}/{key}", self.0)
    }
}

impl fmt::Display for CdnUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::CdnUrl;
    use crate::key::ObjectKey;

    #[test]
    fn a_key_goes_behind_the_base() {
        let key = ObjectKey::parse("image/a.b_c-d/e").unwrap();
        for (base, address) in [
            ("https://media.example.org", "https://media.example.org/image/a.b_c-d/e"),
            ("https://media.example.org:443/", "https://media.example.org/image/a.b_c-d/e"),
            ("https://example.org/a%20b//", "https://example.org/a%20b/image/a.b_c-d/e"),
            ("http://127.0.0.1:8080/x", "http://127.0.0.1:8080/x/image/a.b_c-d/e"),
        ] {
            assert_eq!(CdnUrl::parse(base).unwrap().of(&key), address);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_and_shows_no_password() {
        for text in
            ["", "media.example.org", "http://media.example.org", "ftp://a", "https://", "https://a?b", "https://a#b"]
        {
            assert!(CdnUrl::parse(text).is_err(), "{text}");
        }
        for text in ["https://user:hunter2@a", "user:hunter2@a b"] {
            assert!(!CdnUrl::parse(text).unwrap_err().to_string().contains("hunter2"));
        }
    }
}
