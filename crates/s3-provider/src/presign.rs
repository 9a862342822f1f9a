use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use object_store_storage::{
    ObjectKey, PresignGet, PresignPart, PresignPost, PresignPut, PresignedPost, PresignedUrl, StorageError,
    StorageResult, Window, part_number, presign_seconds,
};
use reqwest::Method;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use s3::creds::Credentials;
use s3::creds::time::format_description::well_known::Rfc3339;
use s3::creds::time::{Duration as SignedDuration, OffsetDateTime};
use s3::error::S3Error;
use s3::{Bucket, Region, signing};
use serde_json::json;

use crate::client::Client;
use crate::config::S3Config;
use crate::credentials::{CredentialStore, remaining_life, session_token};
use crate::put::MAX_SINGLE_BYTES;
use crate::sign::{Validity, is_printable, long_date, signature, signed_url, value};
use crate::target::{Resource, Target};

/// Signs what others may do, for the host name that they know.
#[derive(Debug)]
pub(crate) struct Presigner {
    /// Only signs: its own credentials are replaced for each signature, and its client is never used.
    bucket: Bucket,
    target: Target,
    prefix: String,
}

/// How long a signature lives, and with whose keys it is made.
struct Life {
    credentials: Arc<Credentials>,
    now: OffsetDateTime,
    seconds: u32,
}

impl Presigner {
    pub(crate) async fn new(config: &S3Config, credentials: &CredentialStore) -> StorageResult<Self> {
        let endpoint =
            config.public_endpoint_url().map_err(|error| StorageError::InvalidRequest { reason: error.to_string() })?;
        let public = S3Config { endpoint: Some(endpoint.clone()), ..config.clone() };
        let target =
            Target::new(&public).map_err(|error| StorageError::InvalidRequest { reason: error.to_string() })?;
        let region = Region::Custom { region: config.region.clone(), endpoint };
        let credentials = credentials.current().await?.as_ref().clone();
        let mut bucket = Bucket::new(&config.bucket, region, credentials).map_err(|error| failed(&error))?;
        if config.path_style {
            bucket.set_path_style();
        }
        Ok(Self { bucket: *bucket, target, prefix: config.prefix.clone() })
    }

    /// The bucket, as clients know it.
    pub(crate) fn bucket_url(&self) -> String {
        self.bucket.url()
    }

    pub(crate) async fn get(
        &self,
        client: &Client,
        key: &ObjectKey,
        options: &PresignGet,
    ) -> StorageResult<PresignedUrl> {
        let life = if options.is_reusable {
            Life::reusable(client, key, options.expires_in).await?
        } else {
            Life::new(client, options.expires_in).await?
        };
        let mut query = Vec::new();
        for (name, text) in [
            ("response-content-type", &options.content_type),
            ("response-content-disposition", &options.content_disposition),
            ("response-cache-control", &options.cache_control),
        ] {
            if let Some(text) = text {
                check_printable(text)?;
                query.push((name, text.as_str()));
            }
        }
        let validity = Validity { from: life.now, seconds: life.seconds };
        let (credentials, region, object) = (&life.credentials, &self.bucket.region, Resource::Object(key));
        let url = signed_url(credentials, region, validity, &Method::GET, &self.target, object, &query)?;
        Ok(PresignedUrl { url, headers: Vec::new(), expires_at: life.end() })
    }

    pub(crate) async fn put(
        &self,
        client: &Client,
        key: &ObjectKey,
        options: &PresignPut,
    ) -> StorageResult<PresignedUrl> {
        let life = Life::new(client, options.expires_in).await?;
        if options.content_length > MAX_SINGLE_BYTES {
            return Err(too_large());
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, value(&options.content_type)?);
        headers.insert(CONTENT_LENGTH, HeaderValue::from(options.content_length));
        if let Some(md5) = options.content_md5 {
            headers.insert("content-md5", value(&STANDARD.encode(md5))?);
        }
        let must_send = headers
            .iter()
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
            .collect();
        let url = self.bucket_for(&life).presign_put(self.path(key), life.seconds, Some(headers), None).await;
        Ok(PresignedUrl { url: url.map_err(|error| failed(&error))?, headers: must_send, expires_at: life.end() })
    }

    /// A `PUT` of one part. Number and upload stand in the query, which is signed as a whole.
    pub(crate) async fn part(
        &self,
        client: &Client,
        key: &ObjectKey,
        options: &PresignPart,
    ) -> StorageResult<PresignedUrl> {
        let life = Life::new(client, options.expires_in).await?;
        let number = part_number(options.part_number)?.to_string();
        if options.content_length > MAX_SINGLE_BYTES {
            return Err(too_large());
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_LENGTH, HeaderValue::from(options.content_length));
        let must_send = vec![(CONTENT_LENGTH.as_str().to_owned(), options.content_length.to_string())];
        let query =
            HashMap::from([("partNumber".to_owned(), number), ("uploadId".to_owned(), options.upload_id.clone())]);
        let url = self.bucket_for(&life).presign_put(self.path(key), life.seconds, Some(headers), Some(query)).await;
        Ok(PresignedUrl { url: url.map_err(|error| failed(&error))?, headers: must_send, expires_at: life.end() })
    }

    /// A form (AWS API reference, "Creating an HTML form using AWS Signature Version 4"). The policy is built here,
    /// because rust-s3's has no room for sizes of 4 GiB and leaves session tokens out.
    pub(crate) async fn post(
        &self,
        client: &Client,
        key: &ObjectKey,
        options: &PresignPost,
    ) -> StorageResult<PresignedPost> {
        let life = Life::new(client, options.expires_in).await?;
        check_sizes(options)?;
        value(&options.content_type)?;
        let region = &self.bucket.region;
        let scope = signing::scope_string(&life.now, region).map_err(|error| failed(&error))?;
        let access_key = life.credentials.access_key.as_deref().unwrap_or_default();
        let mut fields = vec![
            ("key".to_owned(), self.path(key)),
            ("Content-Type".to_owned(), options.content_type.clone()),
            ("x-amz-algorithm".to_owned(), "AWS4-HMAC-SHA256".to_owned()),
            ("x-amz-credential".to_owned(), format!("{access_key}/{scope}")),
            ("x-amz-date".to_owned(), long_date(life.now)),
        ];
        if let Some(token) = session_token(&life.credentials) {
            fields.push(("x-amz-security-token".to_owned(), token.to_owned()));
        }
        let policy = STANDARD.encode(self.policy(&life, &fields, options)?);
        let signature = signature(&life.credentials, region, life.now, &policy)?;
        fields.push(("policy".to_owned(), policy));
        fields.push(("x-amz-signature".to_owned(), signature));
        Ok(PresignedPost { url: self.bucket.url(), fields, expires_at: life.end() })
    }

    fn policy(&self, life: &Life, fields: &[(String, String)], options: &PresignPost) -> StorageResult<String> {
        let expiration =
            (life.now + SignedDuration::seconds(life.seconds.into())).format(&Rfc3339).map_err(|error| {
                StorageError::Other {
                    reason: "the end of a signature could not be written".into(),
                    source: Some(Box::new(error)),
                }
            })?;
        let mut conditions = vec![
            json!({ "bucket": self.bucket.name }),
            json!(["content-length-range", options.min_bytes, options.max_bytes]),
        ];
        conditions.extend(fields.iter().map(|(name, value)| json!({ name: value })));
        Ok(json!({ "expiration": expiration, "conditions": conditions }).to_string())
    }

    fn path(&self, key: &ObjectKey) -> String {
        format!("{}{key}", self.prefix)
    }

    fn bucket_for(&self, life: &Life) -> Bucket {
        let mut bucket = self.bucket.clone();
        bucket.set_credentials(life.credentials.as_ref().clone());
        bucket
    }
}

impl Life {
    /// A signature never outlives the credentials that it is made with.
    async fn new(client: &Client, expires_in: Duration) -> StorageResult<Self> {
        let asked = presign_seconds(expires_in)?;
        let credentials = client.credentials.current().await?;
        let most = remaining_life(&credentials).map_or(u64::MAX, |life| life.as_secs());
        let seconds = u32::try_from(most).unwrap_or(u32::MAX).min(asked);
        if seconds == 0 {
            return Err(about_to_expire());
        }
        // Signatures carry whole seconds; the second is fixed before signing, so that `end` is never too late.
        let now = OffsetDateTime::now_utc();
        let now = now.replace_nanosecond(0).unwrap_or(now);
        Ok(Self { credentials, now, seconds })
    }

    /// The same for a while. With credentials that expire, it ends with them, in each process at the same moment.
    async fn reusable(client: &Client, key: &ObjectKey, least: Duration) -> StorageResult<Self> {
        let now = SystemTime::now();
        let window = Window::of(key, least, now)?;
        let credentials = client.credentials.current().await?;
        let passed = now.duration_since(window.begins_at).unwrap_or_default();
        let most = remaining_life(&credentials).map_or(u64::MAX, |life| (life + passed).as_secs());
        let seconds = u32::try_from(most).unwrap_or(u32::MAX).min(window.seconds);
        if u64::from(seconds) <= passed.as_secs() {
            return Err(about_to_expire());
        }
        Ok(Self { credentials, now: OffsetDateTime::from(window.begins_at), seconds })
    }

    fn end(&self) -> SystemTime {
        SystemTime::from(self.now) + Duration::from_secs(self.seconds.into())
    }
}

fn about_to_expire() -> StorageError {
    StorageError::Unavailable {
        reason: "the credentials are about to expire".into(),
        outcome_unknown: false,
        source: None,
    }
}

fn check_sizes(options: &PresignPost) -> StorageResult<()> {
    if options.max_bytes > MAX_SINGLE_BYTES {
        return Err(too_large());
    }
    if options.min_bytes == 0 || options.min_bytes > options.max_bytes {
        return Err(StorageError::InvalidRequest {
            reason: format!(
                "a form takes at least 1 byte and not more than the most, not {} to {}",
                options.min_bytes, options.max_bytes
            ),
        });
    }
    Ok(())
}

fn check_printable(text: &str) -> StorageResult<()> {
    if is_printable(text) {
        return Ok(());
    }
    Err(StorageError::InvalidRequest { reason: "a header of a signed answer is printable ASCII".into() })
}

fn too_large() -> StorageError {
    StorageError::InvalidRequest { reason: format!("one request carries at most {MAX_SINGLE_BYTES} bytes") }
}

// The error of rust-s3 is not kept as a source: some of its variants hold what was to be signed.
fn failed(_: &S3Error) -> StorageError {
    StorageError::Other { reason: "a URL or form could not be signed".into(), source: None }
}
