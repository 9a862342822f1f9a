use std::fmt;
use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use object_store_storage::{ByteStream, Capabilities, Capability, StorageError, StorageResult};
use reqwest::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Method, Response, StatusCode};
use s3::Region;
use s3::creds::Credentials;
use tokio::time::{Instant, timeout, timeout_at};

use crate::config::S3Config;
use crate::credentials::{CredentialStore, Surroundings, install_tls_provider};
use crate::error::{Failure, Refusal, word};
use crate::limiter::InFlight;
use crate::outgoing::{Progress, checked, pieces};
use crate::retry::Patience;
use crate::sign::{UNSIGNED_PAYLOAD, sha256_hex, sign};
use crate::target::{Resource, Target};
use crate::xml::Element;

/// The most that is read of an answer that says no.
const REFUSAL_BYTES: usize = 64 * 1024;

/// How long a connection is kept for the next request. Servers close theirs after 5 s to a minute, and a request that
/// meets such a close has an unknown outcome.
const POOL_IDLE: Duration = Duration::from_secs(4);

/// Sends signed requests to one bucket.
pub(crate) struct Client {
    pub(crate) config: S3Config,
    pub(crate) target: Target,
    pub(crate) region: Region,
    pub(crate) credentials: CredentialStore,
    pub(crate) patience: Patience,
    /// What the server was found to be able to do.
    known: RwLock<Capabilities>,
    http: reqwest::Client,
}

/// A request, before it is signed.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) resource: Resource<'a>,
    pub(crate) query: &'a [(&'a str, &'a str)],
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Payload,
    /// How long the server may keep silent once it has all of the request.
    pub(crate) patience: Duration,
}

impl Request<'_> {
    /// The same once more, unless its body is gone when it is sent.
    fn copy(&self) -> Option<Self> {
        let payload = match &self.payload {
            Payload::None => Payload::None,
            Payload::Bytes(bytes) => Payload::Bytes(bytes.clone()),
            Payload::Document(text) => Payload::Document(text.clone()),
            Payload::Stream { .. } => return None,
        };
        let Self { resource, query, patience, .. } = *self;
        Some(Self { method: self.method.clone(), headers: self.headers.clone(), resource, query, patience, payload })
    }
}

/// A server's answer, whatever it says.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// S3's word for a refusal, if there is one.
    pub(crate) code: Option<String>,
}

impl Answer {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status) && self.code.is_none()
    }

    pub(crate) fn describe(&self) -> String {
        match &self.code {
            Some(code) => format!("{} {code}", self.status),
            None => self.status.to_string(),
        }
    }
}

/// The body of a request.
pub(crate) enum Payload {
    /// None at all.
    None,
    /// An object or a part, in memory; sent in pieces and not hashed again.
    Bytes(Bytes),
    /// A small document, hashed and signed.
    Document(String),
    /// An object that is read while it is sent.
    Stream { stream: ByteStream, length: u64, md5: Option<[u8; 16]> },
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} bytes", self.length())
    }
}

impl Payload {
    fn length(&self) -> Option<u64> {
        match self {
            Self::None => None,
            Self::Bytes(bytes) => Some(bytes.len() as u64),
            Self::Document(text) => Some(text.len() as u64),
            Self::Stream { length, .. } => Some(*length),
        }
    }

    fn is_read_while_sent(&self) -> bool {
        matches!(self, Self::Stream { .. })
    }

    fn hash(&self) -> String {
        match self {
            Self::None => sha256_hex(b""),
            Self::Document(text) => sha256_hex(text.as_bytes()),
            Self::Bytes(bytes) if bytes.is_empty() => sha256_hex(b""),
            Self::Bytes(_) | Self::Stream { .. } => UNSIGNED_PAYLOAD.to_owned(),
        }
    }

    fn into_body(self, progress: &Arc<Progress>) -> Option<reqwest::Body> {
        match self {
            Self::None => None,
            Self::Document(text) => Some(text.into()),
            Self::Bytes(bytes) if bytes.is_empty() => Some(bytes.into()),
            Self::Bytes(bytes) => Some(reqwest::Body::wrap_stream(pieces(bytes, Arc::clone(progress)))),
            Self::Stream { stream, length, md5 } => {
                Some(reqwest::Body::wrap_stream(checked(stream, length, md5, Arc::clone(progress))))
            }
        }
    }
}

impl Client {
    pub(crate) async fn new(config: S3Config) -> StorageResult<Self> {
        let surroundings = Surroundings::of_process(&config.region);
        Self::within(surroundings, config).await
    }

    /// One whose credentials are looked for in the given surroundings.
    pub(crate) async fn within(surroundings: Surroundings, config: S3Config) -> StorageResult<Self> {
        let invalid = |error: crate::S3ConfigError| StorageError::InvalidRequest { reason: error.to_string() };
        config.validate().map_err(invalid)?;
        let target = Target::new(&config).map_err(invalid)?;
        install_tls_provider();
        let http = http_client(&config, &target)?;
        Ok(Self {
            region: Region::Custom { region: config.region.clone(), endpoint: config.endpoint_url().map_err(invalid)? },
            credentials: CredentialStore::find(&config.credentials, surroundings).await?,
            patience: Patience::new(&config),
            known: RwLock::default(),
            target,
            http,
            config,
        })
    }

    /// A request without body, parameters and headers of its own.
    pub(crate) fn request<'a>(&self, method: Method, resource: Resource<'a>) -> Request<'a> {
        Request {
            method,
            resource,
            query: &[],
            headers: HeaderMap::new(),
            payload: Payload::None,
            patience: self.config.idle_timeout,
        }
    }

    /// Sends a request once and waits for the head of its answer. An answer that says no is a failure. A request that is
    /// refused since its credentials have expired is signed anew and sent again, if there are others and its body is
    /// still there: nothing has come of it.
    pub(crate) async fn send(&self, request: Request<'_>) -> Result<Response, Failure> {
        let again = request.copy();
        let credentials = self.credentials.current().await?;
        match (self.send_as(&credentials, request).await, again) {
            (Err(Failure::Refused(refusal)), Some(again)) if refusal.is_of_expired_credentials() => {
                if !self.credentials.replaced(&credentials).await {
                    return Err(Failure::Refused(refusal));
                }
                let credentials = self.credentials.current().await?;
                self.send_as(&credentials, again).await
            }
            (outcome, _) => outcome,
        }
    }

    async fn send_as(&self, credentials: &Credentials, request: Request<'_>) -> Result<Response, Failure> {
        let patience = request.patience;
        let in_flight = self.enter(request.payload.is_read_while_sent()).await?;
        let progress = Progress::new(self.config.connect_timeout);
        let call = self.prepare(credentials, request, &progress)?;
        let response = self.head_of_answer(call, &progress, patience).await;
        // Who reads an answer slowly holds nobody up.
        drop(in_flight);
        // A body that was withheld explains whatever else has happened.
        if let Some(fault) = progress.take_fault() {
            return Err(fault.into());
        }
        let response = response?;
        if response.status().is_success() {
            self.patience.limiter.succeeded();
            Ok(response)
        } else {
            Err(self.refusal(response).await)
        }
    }

    /// Waits while a server that has too much to do has enough requests of ours. A body that is read while it is sent
    /// does not wait, since whoever yields it may be as slow as he likes, and nobody should wait for that either.
    async fn enter(&self, is_read_while_sent: bool) -> Result<Option<InFlight>, Failure> {
        if is_read_while_sent {
            return Ok(None);
        }
        match timeout(self.config.operation_timeout, self.patience.limiter.enter()).await {
            Ok(in_flight) => Ok(Some(in_flight)),
            Err(_) => Err(StorageError::Unavailable {
                reason: "the server answers too slowly for all requests that wait for it".to_owned(),
                outcome_unknown: false,
                source: None,
            }
            .into()),
        }
    }

    /// Notes what the server can do.
    pub(crate) fn know(&self, capabilities: Capabilities) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = capabilities;
    }

    /// # Errors
    /// [`Unsupported`](StorageError::Unsupported) where the server is known not to do this.
    pub(crate) fn require(&self, capability: Capability, operation: &'static str) -> StorageResult<()> {
        if self.known.read().unwrap_or_else(PoisonError::into_inner).has(capability) {
            Ok(())
        } else {
            Err(StorageError::Unsupported { operation })
        }
    }

    /// Sends a request that is signed already, or not at all, and takes every status for an answer.
    pub(crate) async fn send_as_it_is(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, Failure> {
        let _in_flight = self.enter(false).await?;
        let call = self.http.request(method.clone(), url).headers(headers);
        let call = if method == Method::GET { call } else { call.body(body) };
        let progress = Progress::new(self.config.connect_timeout);
        let response = self.head_of_answer(call, &progress, self.config.idle_timeout).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let code = match self.read_some(response, REFUSAL_BYTES).await? {
            (body, _) if !status.is_success() => Refusal::new(status, &body).code,
            _ => None,
        };
        Ok(Answer { status: status.as_u16(), headers, code })
    }

    /// The rest of an answer, if it has at most `limit` bytes.
    pub(crate) async fn read(&self, response: Response, limit: usize) -> Result<Bytes, Failure> {
        match self.read_some(response, limit).await? {
            (bytes, true) => Ok(bytes),
            (_, false) => Err(Failure::Garbled("the answer is larger than any of its kind")),
        }
    }

    fn prepare(
        &self,
        credentials: &Credentials,
        request: Request<'_>,
        progress: &Arc<Progress>,
    ) -> Result<reqwest::RequestBuilder, Failure> {
        let url = self.target.url(request.resource, request.query)?;
        let mut headers = request.headers;
        headers.insert(HOST, self.target.host());
        if let Some(length) = request.payload.length() {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        sign(credentials, &self.region, &request.method, &url, &mut headers, &request.payload.hash())?;
        let call = self.http.request(request.method, url).headers(headers);
        Ok(match request.payload.into_body(progress) {
            Some(body) => call.body(body),
            None => call,
        })
    }

    async fn head_of_answer(
        &self,
        call: reqwest::RequestBuilder,
        progress: &Progress,
        patience: Duration,
    ) -> Result<Response, Failure> {
        let mut call = pin!(call.send());
        loop {
            // While the body moves the server is not expected to say anything.
            let deadline = progress.deadline(patience);
            match timeout_at(deadline, call.as_mut()).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(error)) if error.is_connect() => return Err(Failure::to_connect(error)),
                Ok(Err(error)) => return Err(Failure::Lost(error)),
                Err(_) if progress.deadline(patience) > deadline => {}
                Err(_) if progress.waits_for_source() => return Err(source_stalled(patience).into()),
                Err(_) => return Err(Failure::Stalled(patience)),
            }
        }
    }

    async fn refusal(&self, response: Response) -> Failure {
        let status = response.status();
        let headers = response.headers().clone();
        let body = match self.read_some(response, REFUSAL_BYTES).await {
            Ok((body, true)) => body,
            // No S3 server has so much to say about a refusal.
            Ok((_, false)) => Bytes::new(),
            Err(_) if Refusal::is_clear_without_code(status) => Bytes::new(),
            Err(_) => return Failure::Garbled("the answer breaks off"),
        };
        let mut refusal = Refusal::new(status, &body);
        if refusal.code.is_none() && is_cut_xml(&body) && !Refusal::is_clear_without_code(status) {
            return Failure::Garbled("the answer breaks off");
        }
        refusal.retry_after =
            header(&headers, RETRY_AFTER.as_str()).and_then(|text| retry_after(text, SystemTime::now()));
        if refusal.elsewhere.is_none() && (status.is_redirection() || status == StatusCode::BAD_REQUEST) {
            refusal.elsewhere = header(&headers, "x-amz-bucket-region").and_then(word).or_else(|| {
                let location = reqwest::Url::parse(header(&headers, "location")?).ok()?;
                word(location.host_str()?)
            });
        }
        Failure::Refused(refusal)
    }

    /// At most `limit` bytes of an answer, and whether that is all of it. Documents are small, so that all of one has to
    /// be there in the time of an operation, however steadily it drips.
    async fn read_some(&self, mut response: Response, limit: usize) -> Result<(Bytes, bool), Failure> {
        let (idle, whole) = (self.config.idle_timeout, self.config.operation_timeout);
        let ends_at = Instant::now() + whole;
        let mut bytes = BytesMut::new();
        loop {
            match timeout_at(ends_at.min(Instant::now() + idle), response.chunk()).await {
                Err(_) if Instant::now() >= ends_at => return Err(Failure::Late(whole)),
                Err(_) => return Err(Failure::Stalled(idle)),
                Ok(Err(error)) => return Err(Failure::Lost(error)),
                Ok(Ok(None)) => return Ok((bytes.freeze(), true)),
                Ok(Ok(Some(piece))) if bytes.len() + piece.len() > limit => return Ok((bytes.freeze(), false)),
                Ok(Ok(Some(piece))) => bytes.extend_from_slice(&piece),
            }
        }
    }
}

/// A header's value as text.
pub(crate) fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// How long to wait: seconds, or until a date (RFC 9110, section 10.2.3).
fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Some(httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default()),
    }
}

/// Whether a body begins like a document of S3 and does not end like one, whatever its length says.
fn is_cut_xml(body: &[u8]) -> bool {
    let body = body.trim_ascii();
    (body.starts_with(b"<?xml") || body.starts_with(b"<Error")) && Element::parse(body).is_none()
}

fn source_stalled(patience: Duration) -> StorageError {
    let text = format!("the body's reader yielded nothing for {} s", patience.as_secs_f32());
    StorageError::Body(std::io::Error::new(std::io::ErrorKind::TimedOut, text))
}

fn http_client(config: &S3Config, target: &Target) -> StorageResult<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        // Another host must not get what was signed for this one.
        .redirect(Policy::none())
        .referer(false)
        .connect_timeout(config.connect_timeout)
        .pool_idle_timeout(POOL_IDLE)
        .tcp_nodelay(true)
        .http1_only()
        .retry(reqwest::retry::never())
        // Stored bytes are wanted as they are, whatever features another crate of the program turns on.
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .use_rustls_tls();
    if target.is_loopback() {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| StorageError::Other {
        reason: "the HTTP client could not be built".into(),
        source: Some(Box::new(error.without_url())),
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use super::{is_cut_xml, retry_after};

    #[test]
    fn a_pause_is_a_number_or_a_date() {
        let now = UNIX_EPOCH + Duration::from_hours(349_415);
        let read = |text: &str| retry_after(text, now);
        assert_eq!(read(" 120 "), Some(Duration::from_mins(2)));
        assert_eq!(read("Tue, 10 Nov 2009 23:00:30 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(read("Tue, 10 Nov 2009 22:00:00 GMT"), Some(Duration::ZERO));
        for text in ["", "soon", "-1", "1.5", "99999999999999999999"] {
            assert_eq!(retry_after(text, SystemTime::now()), None, "{text}");
        }
    }

    #[test]
    fn what_begins_like_an_error_must_end_like_one() {
        let whole = "<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code></Error>";
        assert!(!is_cut_xml(whole.as_bytes()) && !is_cut_xml(b"") && !is_cut_xml(b"<html><p>not found"));
        for length in 5..whole.len() {
            assert!(is_cut_xml(&whole.as_bytes()[..length]), "{}", &whole[..length]);
        }
    }
}
