use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use url::Url;
use url::form_urlencoded;

use super::Memory;
use super::state::hex;
use crate::error::{StorageError, StorageResult};
use crate::key::ObjectKey;
use crate::parts::part_number;
use crate::port::{PutOptions, PutOutcome};
use crate::presign::{
    PresignGet, PresignPart, PresignPost, PresignPut, PresignedPost, PresignedUrl, Window, presign_seconds,
};

const SCHEME: &str = "memory";
const HOST: &str = "objects";

const METHOD: &str = "method";
const EXPIRES: &str = "expires";
const SIGNATURE: &str = "signature";
const RESPONSE_CONTENT_TYPE: &str = "response-content-type";
const RESPONSE_CONTENT_DISPOSITION: &str = "response-content-disposition";
const RESPONSE_CACHE_CONTROL: &str = "response-cache-control";
const CONTENT_TYPE: &str = "content-type";
const CONTENT_LENGTH: &str = "content-length";
const CONTENT_MD5: &str = "content-md5";
const UPLOAD_ID: &str = "upload-id";
const PART_NUMBER: &str = "part-number";
const KEY: &str = "key";
const POLICY: &str = "policy";
const MIN_BYTES: &str = "min-bytes";
const MAX_BYTES: &str = "max-bytes";

/// What a signed GET answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The header `Content-Type`.
    pub content_type: Option<String>,
    /// The header `Content-Disposition`.
    pub content_disposition: Option<String>,
    /// The header `Cache-Control`.
    pub cache_control: Option<String>,
    /// What else the object's writer has sent for storage to answer with, such as `Content-Encoding`.
    pub headers: Vec<(String, String)>,
    /// The whole object.
    pub bytes: Bytes,
}

/// Why [`Memory`] refuses a signed request.
#[derive(Debug, thiserror::Error)]
pub enum SignedRequestRefused {
    /// The URL or form is not one that [`Memory`] makes.
    #[error("the signed request is malformed: {reason}")]
    Malformed {
        /// What is missing or wrong.
        reason: &'static str,
    },
    /// The signature is not this instance's, or something that it covers was changed.
    #[error("the signature does not match")]
    Signature,
    /// The URL is signed for another method.
    #[error("the URL is signed for another method")]
    Method,
    /// Its time is over.
    #[error("the signed request has expired")]
    Expired,
    /// A header or field that was signed is missing or differs.
    #[error("{name} is not as signed")]
    Differs {
        /// Its name, in lower case.
        name: &'static str,
    },
    /// The form's file is smaller or larger than its policy allows.
    #[error("the file has {actual} bytes; allowed are {min} to {max}")]
    Size {
        /// The size of the file.
        actual: u64,
        /// The fewest bytes.
        min: u64,
        /// The most bytes.
        max: u64,
    },
    /// The request is right, and storage cannot serve it.
    #[error("storage cannot serve the signed request")]
    Storage(#[source] StorageError),
}

impl Memory {
    /// Does what a browser does with a URL from `presign_get`.
    ///
    /// # Errors
    /// [`SignedRequestRefused`] as S3 would refuse it.
    pub fn fetch(&self, url: &str) -> Result<Fetched, SignedRequestRefused> {
        let request = self.verify_url(url, "GET")?;
        let state = self.state();
        let object = state.object(&request.key).map_err(SignedRequestRefused::Storage)?;
        let stored_type = Some(&object.content_type).filter(|content_type| !content_type.is_empty());
        Ok(Fetched {
            content_type: request.value(RESPONSE_CONTENT_TYPE).or(stored_type).cloned(),
            content_disposition: request.value(RESPONSE_CONTENT_DISPOSITION).cloned(),
            cache_control: request.value(RESPONSE_CACHE_CONTROL).cloned(),
            headers: object.headers.clone(),
            bytes: object.bytes.clone(),
        })
    }

    /// Does what a client does with a URL from `presign_put` or `presign_part`. The length is that of the body, whatever
    /// `headers` says. Unsigned headers that S3 keeps with an object are kept.
    ///
    /// # Errors
    /// [`SignedRequestRefused`], and then nothing is stored.
    pub fn submit_put(
        &self,
        url: &str,
        headers: &[(String, String)],
        body: Bytes,
    ) -> Result<PutOutcome, SignedRequestRefused> {
        let request = self.verify_url(url, "PUT")?;
        if let Some(upload_id) = request.value(UPLOAD_ID) {
            return self.submit_part(&request, upload_id, body);
        }
        let content_type = request.require(CONTENT_TYPE)?;
        if find(headers, CONTENT_TYPE) != Some(content_type) {
            return Err(SignedRequestRefused::Differs { name: CONTENT_TYPE });
        }
        if request.number(CONTENT_LENGTH)? != body.len() as u64 {
            return Err(SignedRequestRefused::Differs { name: CONTENT_LENGTH });
        }
        let content_md5 = request.value(CONTENT_MD5);
        if find(headers, CONTENT_MD5) != content_md5 {
            return Err(SignedRequestRefused::Differs { name: CONTENT_MD5 });
        }
        let content_md5 = content_md5.map(|text| decode_md5(text)).transpose()?;
        let options = PutOptions { content_type: content_type.clone(), content_md5 };
        self.store_with(&request.key, body, &options, kept(headers)).map_err(SignedRequestRefused::Storage)
    }

    fn submit_part(
        &self,
        request: &SignedRequest,
        upload_id: &str,
        body: Bytes,
    ) -> Result<PutOutcome, SignedRequestRefused> {
        let size_bytes = body.len() as u64;
        if request.number(CONTENT_LENGTH)? != size_bytes {
            return Err(SignedRequestRefused::Differs { name: CONTENT_LENGTH });
        }
        let differs = |_| SignedRequestRefused::Differs { name: PART_NUMBER };
        let number = u16::try_from(request.number(PART_NUMBER)?).map_err(differs)?;
        let etag = self.receive_part(&request.key, upload_id, number, body).map_err(SignedRequestRefused::Storage)?;
        Ok(PutOutcome { etag, size_bytes })
    }

    /// Does what a browser does with a form from `presign_post`.
    ///
    /// # Errors
    /// [`SignedRequestRefused`], and then nothing is stored.
    pub fn submit_post(
        &self,
        url: &str,
        fields: &[(String, String)],
        file: Bytes,
    ) -> Result<PutOutcome, SignedRequestRefused> {
        if url != form_url() {
            return Err(SignedRequestRefused::Malformed { reason: "not the address of forms" });
        }
        let field = |name| find(fields, name).ok_or(SignedRequestRefused::Differs { name });
        let policy = field(POLICY)?;
        self.verify(&["POST", policy], field(SIGNATURE)?)?;
        let policy = Policy::decode(policy)?;
        self.require_time(policy.number(EXPIRES)?)?;
        for name in [KEY, CONTENT_TYPE] {
            if field(name)? != policy.require(name)? {
                return Err(SignedRequestRefused::Differs { name });
            }
        }
        let (actual, min, max) = (file.len() as u64, policy.number(MIN_BYTES)?, policy.number(MAX_BYTES)?);
        if !(min..=max).contains(&actual) {
            return Err(SignedRequestRefused::Size { actual, min, max });
        }
        let options = PutOptions { content_type: policy.require(CONTENT_TYPE)?.clone(), content_md5: None };
        self.store_with(&policy.key, file, &options, Vec::new()).map_err(SignedRequestRefused::Storage)
    }

    pub(super) fn sign_get(&self, key: &ObjectKey, options: &PresignGet) -> StorageResult<PresignedUrl> {
        let answer = [
            (RESPONSE_CONTENT_TYPE, options.content_type.clone()),
            (RESPONSE_CONTENT_DISPOSITION, options.content_disposition.clone()),
            (RESPONSE_CACHE_CONTROL, options.cache_control.clone()),
        ];
        let expires_at = if options.is_reusable {
            let window = Window::of(key, options.expires_in, self.now())?;
            window.begins_at + Duration::from_secs(window.seconds.into())
        } else {
            self.expiry(options.expires_in)?
        };
        Ok(self.sign_url("GET", key, expires_at, answer, Vec::new()))
    }

    pub(super) fn sign_put(&self, key: &ObjectKey, options: &PresignPut) -> StorageResult<PresignedUrl> {
        let md5 = options.content_md5.map(|md5| BASE64.encode(md5));
        let mut headers = vec![
            (CONTENT_TYPE.to_owned(), options.content_type.clone()),
            (CONTENT_LENGTH.to_owned(), options.content_length.to_string()),
        ];
        headers.extend(md5.clone().map(|md5| (CONTENT_MD5.to_owned(), md5)));
        let signed = [
            (CONTENT_TYPE, Some(options.content_type.clone())),
            (CONTENT_LENGTH, Some(options.content_length.to_string())),
            (CONTENT_MD5, md5),
        ];
        Ok(self.sign_url("PUT", key, self.expiry(options.expires_in)?, signed, headers))
    }

    pub(super) fn sign_part(&self, key: &ObjectKey, options: &PresignPart) -> StorageResult<PresignedUrl> {
        let number = part_number(options.part_number)?.to_string();
        let length = options.content_length.to_string();
        let headers = vec![(CONTENT_LENGTH.to_owned(), length.clone())];
        let signed =
            [(UPLOAD_ID, Some(options.upload_id.clone())), (PART_NUMBER, Some(number)), (CONTENT_LENGTH, Some(length))];
        Ok(self.sign_url("PUT", key, self.expiry(options.expires_in)?, signed, headers))
    }

    pub(super) fn sign_post(&self, key: &ObjectKey, options: &PresignPost) -> StorageResult<PresignedPost> {
        let expires_at = self.expiry(options.expires_in)?;
        let expires = milliseconds(expires_at).to_string();
        if options.min_bytes == 0 || options.min_bytes > options.max_bytes {
            let (min, max) = (options.min_bytes, options.max_bytes);
            let reason = format!("a form takes at least 1 byte and no more than its maximum, not {min} to {max}");
            return Err(StorageError::InvalidRequest { reason });
        }
        let policy = form_urlencoded::Serializer::new(String::new())
            .append_pair(EXPIRES, &expires)
            .append_pair(KEY, key.as_str())
            .append_pair(CONTENT_TYPE, &options.content_type)
            .append_pair(MIN_BYTES, &options.min_bytes.to_string())
            .append_pair(MAX_BYTES, &options.max_bytes.to_string())
            .finish();
        let policy = BASE64.encode(policy);
        let signature = self.signature(&["POST", &policy]);
        let fields = vec![
            (KEY.to_owned(), key.to_string()),
            ("Content-Type".to_owned(), options.content_type.clone()),
            (POLICY.to_owned(), policy),
            (SIGNATURE.to_owned(), signature),
        ];
        Ok(PresignedPost { url: form_url(), fields, expires_at })
    }

    fn sign_url<const N: usize>(
        &self,
        method: &str,
        key: &ObjectKey,
        expires_at: SystemTime,
        signed: [(&str, Option<String>); N],
        headers: Vec<(String, String)>,
    ) -> PresignedUrl {
        let expires = milliseconds(expires_at).to_string();
        let mut pairs = vec![(METHOD.to_owned(), method.to_owned()), (EXPIRES.to_owned(), expires)];
        pairs.extend(signed.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        let signature = self.signature(&signed_texts(key.as_str(), &pairs));
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&pairs)
            .append_pair(SIGNATURE, &signature)
            .finish();
        PresignedUrl { url: format!("{SCHEME}://{HOST}/{key}?{query}"), headers, expires_at }
    }

    fn verify_url(&self, url: &str, method: &str) -> Result<SignedRequest, SignedRequestRefused> {
        let malformed = |reason| SignedRequestRefused::Malformed { reason };
        let url = Url::parse(url).map_err(|_| malformed("not a URL"))?;
        if url.scheme() != SCHEME || url.host_str() != Some(HOST) {
            return Err(malformed("not a URL of this storage"));
        }
        let key = ObjectKey::parse(url.path().trim_start_matches('/')).map_err(|_| malformed("not an object key"))?;
        let mut pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let position = pairs.iter().position(|(name, _)| name == SIGNATURE);
        let (_, signature) = pairs.remove(position.ok_or_else(|| malformed("no signature"))?);
        self.verify(&signed_texts(key.as_str(), &pairs), &signature)?;

        let request = SignedRequest { key, pairs };
        if request.require(METHOD)? != method {
            return Err(SignedRequestRefused::Method);
        }
        self.require_time(request.number(EXPIRES)?)?;
        Ok(request)
    }

    fn expiry(&self, expires_in: Duration) -> StorageResult<SystemTime> {
        Ok(self.now() + Duration::from_secs(u64::from(presign_seconds(expires_in)?)))
    }

    fn require_time(&self, expires: u64) -> Result<(), SignedRequestRefused> {
        if milliseconds(self.now()) < expires { Ok(()) } else { Err(SignedRequestRefused::Expired) }
    }

    fn signature(&self, texts: &[&str]) -> String {
        hex(&self.authenticator(texts).finalize().into_bytes())
    }

    fn verify(&self, texts: &[&str], signature: &str) -> Result<(), SignedRequestRefused> {
        let signature = decode_hex(signature).ok_or(SignedRequestRefused::Signature)?;
        self.authenticator(texts).verify_slice(&signature).map_err(|_| SignedRequestRefused::Signature)
    }

    fn authenticator(&self, texts: &[&str]) -> Hmac<Sha256> {
        use hmac::digest::KeyInit;
        let mut authenticator = <Hmac<Sha256> as KeyInit>::new(&self.shared.secret.into());
        for text in texts {
            // The length keeps two lists of texts apart that would be equal when joined.
            authenticator.update(&(text.len() as u64).to_be_bytes());
            authenticator.update(text.as_bytes());
        }
        authenticator
    }
}

/// What a signature vouches for: a key, and values by name.
struct SignedRequest {
    key: ObjectKey,
    pairs: Vec<(String, String)>,
}

type Policy = SignedRequest;

impl SignedRequest {
    fn decode(policy: &str) -> Result<Self, SignedRequestRefused> {
        let malformed = |reason| SignedRequestRefused::Malformed { reason };
        let decoded = BASE64.decode(policy).map_err(|_| malformed("the policy is not base64"))?;
        let pairs: Vec<(String, String)> = form_urlencoded::parse(&decoded).into_owned().collect();
        let key = find(&pairs, KEY).and_then(|key| ObjectKey::parse(key).ok());
        Ok(Self { key: key.ok_or_else(|| malformed("the policy has no key"))?, pairs })
    }

    fn value(&self, name: &str) -> Option<&String> {
        find(&self.pairs, name)
    }

    fn require(&self, name: &'static str) -> Result<&String, SignedRequestRefused> {
        self.value(name).ok_or(SignedRequestRefused::Differs { name })
    }

    fn number(&self, name: &'static str) -> Result<u64, SignedRequestRefused> {
        self.require(name)?.parse().map_err(|_| SignedRequestRefused::Differs { name })
    }
}

fn signed_texts<'a>(key: &'a str, pairs: &'a [(String, String)]) -> Vec<&'a str> {
    let values = pairs.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
    std::iter::once(key).chain(values).collect()
}

fn form_url() -> String {
    format!("{SCHEME}://{HOST}/")
}

fn find<'a>(pairs: &'a [(String, String)], wanted: &str) -> Option<&'a String> {
    pairs.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value)
}

/// The headers of a request that S3 keeps with an object, beyond its type (AWS API reference, "`PutObject`").
fn kept(headers: &[(String, String)]) -> Vec<(String, String)> {
    const KEPT: [&str; 5] = ["cache-control", "content-disposition", "content-encoding", "content-language", "expires"];
    let headers = headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
    headers.filter(|(name, _)| KEPT.contains(&name.as_str()) || name.starts_with("x-amz-meta-")).collect()
}

fn milliseconds(time: SystemTime) -> u64 {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

fn decode_md5(text: &str) -> Result<[u8; 16], SignedRequestRefused> {
    let bytes = BASE64.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or(SignedRequestRefused::Differs { name: CONTENT_MD5 })
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.chars().map(|digit| digit.to_digit(16)?.try_into().ok()).collect::<Option<Vec<u8>>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}
