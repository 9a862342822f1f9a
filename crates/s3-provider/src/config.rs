use std::fmt;
use std::time::Duration;

use object_store_storage::ObjectKey;
use url::Url;

use crate::credentials::is_sendable;

/// Where the objects are and who asks for them.
#[derive(Debug, Clone)]
pub struct S3Config {
    /// The server, as a URL: `https://s3.example.org`. `None` is AWS in the given region.
    pub endpoint: Option<String>,
    /// The server as those who receive signed URLs reach it, where that differs from `endpoint`.
    pub public_endpoint: Option<String>,
    /// The region that requests are signed for. Servers without regions mostly take `us-east-1`.
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// What all keys of this module start with: empty, or ending in `/`, in the characters of an [`ObjectKey`].
    pub prefix: String,
    /// The bucket is the first segment of the path (`true`) or the first label of the host name (`false`).
    pub path_style: bool,
    /// Who asks.
    pub credentials: S3Credentials,
    /// How long establishing a connection may take, TLS included.
    pub connect_timeout: Duration,
    /// How long a request may make no progress: no byte of its body taken, no head of its answer, no byte of that.
    pub idle_timeout: Duration,
    /// How long an operation may take in all, with its attempts and the pauses between them. Not counted are the body of
    /// an object, which may take as long as it moves, and the server's own work, which has `work_timeout`; nothing is
    /// tried again after this time.
    pub operation_timeout: Duration,
    /// How many requests may be in flight, bodies that are read while they are sent aside. When a server asks for less
    /// (503, 429, `SlowDown`), half of them wait; the longer it does not, the fewer.
    pub max_requests_in_flight: usize,
    /// How long the server may work on a copy or on the completion of a multipart upload before it answers.
    pub work_timeout: Duration,
}

/// Who asks. `Debug` does not show secrets.
#[derive(Clone)]
pub enum S3Credentials {
    /// Fixed keys.
    Static {
        /// The id of the key.
        access_key_id: String,
        /// The key.
        secret_access_key: String,
        /// What comes with temporary keys.
        session_token: Option<String>,
    },
    /// What the process finds, in this order:
    ///
    /// 1. the environment: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`,
    ///    `AWS_CREDENTIAL_EXPIRATION`;
    /// 2. a profile, `AWS_PROFILE` or `default`, of `~/.aws/credentials` (`AWS_SHARED_CREDENTIALS_FILE`) and
    ///    `~/.aws/config` (`AWS_CONFIG_FILE`), with keys, a `credential_process`, or a `role_arn` and its
    ///    `web_identity_token_file`;
    /// 3. a web identity: `AWS_WEB_IDENTITY_TOKEN_FILE` and `AWS_ROLE_ARN`, exchanged in the region or at
    ///    `AWS_ENDPOINT_URL_STS`;
    /// 4. a container: `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` or `…_FULL_URI`;
    /// 5. the instance's metadata, version 2, unless `AWS_EC2_METADATA_DISABLED` is `true`.
    ///
    /// The first one that is set up counts; if it fails, that is the error, a
    /// [`CredentialsError`](crate::CredentialsError). Credentials that expire are renewed from the same place 5 minutes
    /// ahead, and whenever the server calls them expired.
    Default,
}

/// What is wrong with an [`S3Config`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum S3ConfigError {
    /// Not a URL that requests can be sent to.
    #[error("{setting} is an http or https URL without user, query and fragment, not {value:?}")]
    Endpoint {
        /// `endpoint` or `public_endpoint`.
        setting: &'static str,
        /// What it is, without user and password.
        value: String,
    },
    /// Not a region.
    #[error("the region has 1 to 64 letters, digits, '-', '_' and '.', not {value:?}")]
    Region {
        /// What it is.
        value: String,
    },
    /// Not a bucket's name.
    #[error(
        "the bucket has 3 to 63 characters a-z, 0-9, '-' and '.', begins and ends with a letter or digit and has no '..', \
         not {value:?}"
    )]
    Bucket {
        /// What it is.
        value: String,
    },
    /// Not a prefix.
    #[error(
        "the prefix is empty or ends in '/', has at most {max} bytes a-z, 0-9, '/', '.', '_' and '-', and no empty, '.' \
         or '..' segment, not {value:?}",
        max = S3Config::MAX_PREFIX_BYTES
    )]
    Prefix {
        /// What it is.
        value: String,
    },
    /// A part of the credentials is empty or cannot be sent in a header.
    #[error("{setting} is not empty and consists of visible ASCII without spaces")]
    Credentials {
        /// Which part.
        setting: &'static str,
    },
    /// No request may ever be in flight.
    #[error("max_requests_in_flight is above zero")]
    NoRequests,
    /// A timeout of zero.
    #[error("{setting} is above zero")]
    Timeout {
        /// Which one.
        setting: &'static str,
    },
}

impl S3Config {
    /// The longest prefix, in bytes: with the longest [`ObjectKey`] it stays far below the 1,024 bytes of S3.
    pub const MAX_PREFIX_BYTES: usize = 64;

    /// A bucket with the usual settings: path style on an endpoint of its own, virtual hosts on AWS, no prefix, 5 s to
    /// connect, 30 s without progress, 60 s for an operation, 256 requests in flight, 5 minutes for the server's own work.
    pub fn new(
        endpoint: Option<String>,
        region: impl Into<String>,
        bucket: impl Into<String>,
        credentials: S3Credentials,
    ) -> Self {
        Self {
            path_style: endpoint.is_some(),
            endpoint,
            public_endpoint: None,
            region: region.into(),
            bucket: bucket.into(),
            prefix: String::new(),
            credentials,
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(30),
            operation_timeout: Duration::from_mins(1),
            max_requests_in_flight: 256,
            work_timeout: Duration::from_mins(5),
        }
    }

    /// Checks every setting without a request.
    pub fn validate(&self) -> Result<(), S3ConfigError> {
        check_region(&self.region)?;
        check_bucket(&self.bucket)?;
        check_prefix(&self.prefix)?;
        self.credentials.validate()?;
        for (setting, value) in [
            ("connect_timeout", self.connect_timeout),
            ("idle_timeout", self.idle_timeout),
            ("operation_timeout", self.operation_timeout),
            ("work_timeout", self.work_timeout),
        ] {
            if value.is_zero() {
                return Err(S3ConfigError::Timeout { setting });
            }
        }
        if self.max_requests_in_flight == 0 {
            return Err(S3ConfigError::NoRequests);
        }
        self.endpoint_url()?;
        self.public_endpoint_url()?;
        Ok(())
    }

    /// The server that requests go to, without a slash at the end and without the scheme's usual port.
    pub(crate) fn endpoint_url(&self) -> Result<String, S3ConfigError> {
        match &self.endpoint {
            Some(endpoint) => normal_endpoint("endpoint", endpoint),
            None => Ok(aws_endpoint(&self.region)),
        }
    }

    /// The server that signed URLs name.
    pub(crate) fn public_endpoint_url(&self) -> Result<String, S3ConfigError> {
        match &self.public_endpoint {
            Some(endpoint) => normal_endpoint("public_endpoint", endpoint),
            None => self.endpoint_url(),
        }
    }

    /// What a new bucket's `LocationConstraint` says. AWS wants it in all regions but us-east-1, where it refuses it;
    /// other servers refuse or ignore it.
    pub(crate) fn location_constraint(&self) -> Option<&str> {
        (self.endpoint.is_none() && self.region != "us-east-1").then_some(self.region.as_str())
    }
}

impl S3Credentials {
    fn validate(&self) -> Result<(), S3ConfigError> {
        let Self::Static { access_key_id, secret_access_key, session_token } = self else { return Ok(()) };
        let parts = [
            ("access_key_id", Some(access_key_id)),
            ("secret_access_key", Some(secret_access_key)),
            ("session_token", session_token.as_ref()),
        ];
        for (setting, value) in parts {
            if value.is_some_and(|value| !is_sendable(value)) {
                return Err(S3ConfigError::Credentials { setting });
            }
        }
        Ok(())
    }
}

impl fmt::Debug for S3Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static { session_token, .. } => f
                .debug_struct("Static")
                .field("access_key_id", &"<redacted>")
                .field("secret_access_key", &"<redacted>")
                .field("session_token", &session_token.as_ref().map(|_| "<redacted>"))
                .finish(),
            Self::Default => f.write_str("Default"),
        }
    }
}

fn aws_endpoint(region: &str) -> String {
    // The partition of China has a domain of its own (AWS General Reference, "Amazon S3 endpoints and quotas").
    let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("https://s3.{region}.amazonaws.com{suffix}")
}

fn normal_endpoint(setting: &'static str, text: &str) -> Result<String, S3ConfigError> {
    let wrong = |value: &str| S3ConfigError::Endpoint { setting, value: value.to_owned() };
    // A text that is no URL may still hold a password, which must not be repeated.
    let url = Url::parse(text).map_err(|_| wrong(if text.contains('@') { "<hidden>" } else { text }))?;
    let fits = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !fits {
        let shown = format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default());
        return Err(wrong(&shown));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn check_region(region: &str) -> Result<(), S3ConfigError> {
    let fits = (1..=64).contains(&region.len())
        && region.chars().all(|character| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.'));
    if fits { Ok(()) } else { Err(S3ConfigError::Region { value: region.to_owned() }) }
}

// AWS User Guide, "General purpose bucket naming rules".
fn check_bucket(bucket: &str) -> Result<(), S3ConfigError> {
    let is_end = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let fits = (3..=63).contains(&bucket.len())
        && bucket.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'))
        && is_end(bucket.bytes().next())
        && is_end(bucket.bytes().next_back())
        && !bucket.contains("..");
    if fits { Ok(()) } else { Err(S3ConfigError::Bucket { value: bucket.to_owned() }) }
}

fn check_prefix(prefix: &str) -> Result<(), S3ConfigError> {
    let fits = match prefix.strip_suffix('/') {
        Some(segments) => prefix.len() <= S3Config::MAX_PREFIX_BYTES && ObjectKey::parse(segments).is_ok(),
        None => prefix.is_empty(),
    };
    if fits { Ok(()) } else { Err(S3ConfigError::Prefix { value: prefix.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{S3Config, S3ConfigError, S3Credentials};

    fn config() -> S3Config {
        let credentials = S3Credentials::Static {
            access_key_id: "test-key-id".into(),
            secret_access_key: "test-secret".into(),
            session_token: Some("test-token".into()),
        };
        S3Config::new(Some("http://127.0.0.1:9000".into()), "us-east-1", "media", credentials)
    }

    #[test]
    fn the_usual_settings_are_valid() {
        assert_eq!(config().validate(), Ok(()));
        assert!(config().path_style);
        let aws = S3Config { endpoint: None, ..config() };
        assert_eq!(aws.validate(), Ok(()));
        assert!(!S3Config::new(None, "eu-central-1", "media", S3Credentials::Default).path_style);
    }

    #[test]
    fn an_endpoint_is_a_plain_url() {
        for (text, normal) in [
            ("http://127.0.0.1:9000/", "http://127.0.0.1:9000"),
            ("https://S3.Example.org:443", "https://s3.example.org"),
            ("https://project.example.co/storage/v1/s3/", "https://project.example.co/storage/v1/s3"),
        ] {
            let config = S3Config { endpoint: Some(text.into()), ..config() };
            assert_eq!(config.endpoint_url().as_deref(), Ok(normal), "{text}");
        }
        for text in ["", "localhost:9000", "ftp://a", "http://", "http://a?b=c", "http://a#b", "s3.example.org"] {
            let wrong = S3Config { endpoint: Some(text.into()), ..config() };
            assert!(matches!(wrong.validate(), Err(S3ConfigError::Endpoint { setting: "endpoint", .. })), "{text}");
            let wrong = S3Config { public_endpoint: Some(text.into()), ..config() };
            let error = wrong.validate().unwrap_err();
            assert!(matches!(error, S3ConfigError::Endpoint { setting: "public_endpoint", .. }), "{text}");
        }
    }

    #[test]
    fn a_wrong_endpoint_is_shown_without_its_password() {
        for text in ["http://user:hunter2@a", "user:hunter2@a b", "http://user:hunter2@:x"] {
            let wrong = S3Config { endpoint: Some(text.into()), ..config() };
            let error = wrong.validate().unwrap_err();
            assert!(!error.to_string().contains("hunter2") && !format!("{error:?}").contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn aws_is_found_by_its_region() {
        let endpoint = |region: &str| S3Config { endpoint: None, region: region.into(), ..config() }.endpoint_url();
        assert_eq!(endpoint("eu-central-1").as_deref(), Ok("https://s3.eu-central-1.amazonaws.com"));
        assert_eq!(endpoint("cn-north-1").as_deref(), Ok("https://s3.cn-north-1.amazonaws.com.cn"));
    }

    #[test]
    fn a_location_is_named_only_where_aws_wants_it() {
        let config = |endpoint: Option<&str>, region: &str| S3Config {
            endpoint: endpoint.map(Into::into),
            region: region.into(),
            ..config()
        };
        assert_eq!(config(None, "eu-central-1").location_constraint(), Some("eu-central-1"));
        assert_eq!(config(None, "us-east-1").location_constraint(), None);
        assert_eq!(config(Some("http://a"), "eu-central-1").location_constraint(), None);
    }

    #[test]
    fn a_prefix_ends_in_a_slash_and_leads_nowhere_else() {
        let longest = format!("{}/", "a".repeat(63));
        for prefix in ["", "a/", "a/b/", "object-store.v1_x/", longest.as_str()] {
            assert_eq!(S3Config { prefix: prefix.into(), ..config() }.validate(), Ok(()), "{prefix:?}");
        }
        let too_long = format!("{}/", "a".repeat(64));
        for prefix in ["a", "/", "/a/", "a//", "../", "a/../", "./", "A/", "a b/", too_long.as_str()] {
            let wrong = S3Config { prefix: prefix.into(), ..config() };
            assert_eq!(wrong.validate(), Err(S3ConfigError::Prefix { value: prefix.into() }), "{prefix:?}");
        }
    }

    #[test]
    fn a_bucket_and_a_region_have_names() {
        let too_long = "a".repeat(64);
        for bucket in ["", "ab", "Media", "a/b", "-ab", "ab-", "a..b", "a b", "a_b", too_long.as_str()] {
            let wrong = S3Config { bucket: bucket.into(), ..config() };
            assert_eq!(wrong.validate(), Err(S3ConfigError::Bucket { value: bucket.into() }));
        }
        for region in ["", "eu west", "eu/west", "eu\n", too_long.repeat(2).as_str()] {
            let wrong = S3Config { region: region.into(), ..config() };
            assert_eq!(wrong.validate(), Err(S3ConfigError::Region { value: region.into() }));
        }
    }

    #[test]
    fn credentials_can_be_sent() {
        let wrong = |access_key_id: &str, secret_access_key: &str, session_token: Option<&str>| {
            let credentials = S3Credentials::Static {
                access_key_id: access_key_id.into(),
                secret_access_key: secret_access_key.into(),
                session_token: session_token.map(Into::into),
            };
            S3Config { credentials, ..config() }.validate().unwrap_err()
        };
        assert_eq!(wrong("", "b", None), S3ConfigError::Credentials { setting: "access_key_id" });
        assert_eq!(wrong("a", " ", None), S3ConfigError::Credentials { setting: "secret_access_key" });
        assert_eq!(wrong("a", "b", Some("c\n")), S3ConfigError::Credentials { setting: "session_token" });
    }

    #[test]
    fn a_timeout_is_above_zero() {
        let wrong = S3Config { idle_timeout: Duration::ZERO, ..config() };
        assert_eq!(wrong.validate(), Err(S3ConfigError::Timeout { setting: "idle_timeout" }));
        let wrong = S3Config { operation_timeout: Duration::ZERO, ..config() };
        assert_eq!(wrong.validate(), Err(S3ConfigError::Timeout { setting: "operation_timeout" }));
        let wrong = S3Config { max_requests_in_flight: 0, ..config() };
        assert_eq!(wrong.validate(), Err(S3ConfigError::NoRequests));
    }

    #[test]
    fn no_secret_is_shown() {
        let shown = format!("{:?}", config());
        assert!(!shown.contains("test-key-id") && !shown.contains("test-secret") && !shown.contains("test-token"));
        assert!(shown.contains("media"));
    }
}
