use object_store_storage::{ObjectKey, StorageError, StorageResult};
use reqwest::header::HeaderValue;
use s3::signing::uri_encode;
use url::Url;

use crate::config::{S3Config, S3ConfigError};

/// What a request is about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Resource<'a> {
    /// The bucket itself.
    Bucket,
    /// What is in the bucket.
    Contents,
    /// An object in it.
    Object(&'a ObjectKey),
}

/// Where requests go.
#[derive(Debug)]
pub(crate) struct Target {
    /// The URL of the bucket, without a slash at its end.
    bucket_url: String,
    prefix: String,
    host: HeaderValue,
    is_loopback: bool,
}

impl Target {
    pub(crate) fn new(config: &S3Config) -> Result<Self, S3ConfigError> {
        let endpoint = config.endpoint_url()?;
        let wrong = || S3ConfigError::Endpoint { setting: "endpoint", value: endpoint.clone() };
        let bucket_url = match (config.path_style, endpoint.split_once("://")) {
            (true, _) => format!("{endpoint}/{}", config.bucket),
            (false, Some((scheme, rest))) => format!("{scheme}://{}.{rest}", config.bucket),
            (false, None) => return Err(wrong()),
        };
        let url = Url::parse(&bucket_url).map_err(|_| wrong())?;
        let name = url.host_str().ok_or_else(wrong)?;
        let host = match url.port() {
            Some(port) => format!("{name}:{port}"),
            None => name.to_owned(),
        };
        Ok(Self {
            is_loopback: is_loopback(&url),
            host: HeaderValue::from_str(&host).map_err(|_| wrong())?,
            prefix: config.prefix.clone(),
            bucket_url,
        })
    }

    /// The `Host` that requests carry.
    pub(crate) fn host(&self) -> HeaderValue {
        self.host.clone()
    }

    /// Whether it is on this machine, where a proxy could not reach it.
    pub(crate) fn is_loopback(&self) -> bool {
        self.is_loopback
    }

    /// The name that storage knows a key by.
    pub(crate) fn full_key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// The key without the prefix; `None` when it does not lie below it.
    pub(crate) fn own_key<'k>(&self, full_key: &'k str) -> Option<&'k str> {
        full_key.strip_prefix(self.prefix.as_str())
    }

    /// The URL of a request. A parameter without a value has none in the URL either.
    pub(crate) fn url(&self, resource: Resource<'_>, query: &[(&str, &str)]) -> StorageResult<Url> {
        let mut text = self.bucket_url.clone();
        match resource {
            Resource::Bucket => {}
            Resource::Contents => text.push('/'),
            Resource::Object(key) => {
                text.push('/');
                // Neither prefix nor key has a dot segment, which the parser below would resolve.
                text.push_str(&uri_encode(&self.full_key(key.as_str()), false));
            }
        }
        for (position, (name, value)) in query.iter().enumerate() {
            text.push(if position == 0 { '?' } else { '&' });
            text.push_str(name);
            if !value.is_empty() {
                text.push('=');
                text.push_str(&uri_encode(value, true));
            }
        }
        Url::parse(&text).map_err(|error| StorageError::Other {
            reason: "the URL of a request could not be built".into(),
            source: Some(Box::new(error)),
        })
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use object_store_storage::ObjectKey;

    use super::{Resource, Target};
    use crate::config::{S3Config, S3Credentials};

    fn target(endpoint: &str, path_style: bool) -> Target {
        let config = S3Config::new(Some(endpoint.into()), "us-east-1", "media", S3Credentials::Default);
        Target::new(&S3Config { prefix: "app/".into(), path_style, ..config }).unwrap()
    }

    #[test]
    fn a_bucket_is_in_the_path_or_in_the_host() {
        let key = ObjectKey::parse("image/a.b_c-d/e").unwrap();
        let url = |target: &Target| target.url(Resource::Object(&key), &[]).unwrap().to_string();
        let path = target("http://127.0.0.1:9000/", true);
        assert_eq!(url(&path), "http://127.0.0.1:9000/media/app/image/a.b_c-d/e");
        assert_eq!(path.host(), "127.0.0.1:9000");
        let host = target("https://s3.example.org:443", false);
        assert_eq!(url(&host), "https://media.s3.example.org/app/image/a.b_c-d/e");
        assert_eq!(host.host(), "media.s3.example.org");
        let below = target("https://a.example.org/storage/v1/s3", true);
        assert_eq!(url(&below), "https://a.example.org/storage/v1/s3/media/app/image/a.b_c-d/e");
    }

    #[test]
    fn parameters_are_encoded() {
        let target = target("http://localhost:1", true);
        let url = target.url(Resource::Contents, &[("uploads", ""), ("prefix", "app/ü &+=?")]).unwrap();
        assert_eq!(url.as_str(), "http://localhost:1/media/?uploads&prefix=app%2F%C3%BC%20%26%2B%3D%3F");
        assert_eq!(target.url(Resource::Bucket, &[]).unwrap().as_str(), "http://localhost:1/media");
        assert!(target.is_loopback());
    }

    #[test]
    fn only_what_lies_below_the_prefix_is_ours() {
        let target = target("http://localhost:1", true);
        assert_eq!(target.full_key("a/b"), "app/a/b");
        assert_eq!(target.own_key("app/a/b"), Some("a/b"));
        assert_eq!(target.own_key("apple/a"), None);
    }
}
