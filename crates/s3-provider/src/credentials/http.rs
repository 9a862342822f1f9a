//! Requests to where credentials are given out.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, StatusCode, Url};
use tokio::time::timeout;

use super::error::{CredentialsError, CredentialsOrigin};

/// How long one request may take, as those of the AWS SDKs do on the same network.
const REQUEST_TIME: Duration = Duration::from_secs(5);

/// Link-local addresses answer at once, or do not exist.
const CONNECT_TIME: Duration = Duration::from_secs(1);

/// How often a request is tried.
const ATTEMPTS: u32 = 3;

const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest answer that is read. Keys with their token have about 2 KiB.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// An answer, whatever its status.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

/// A client that takes no detour: by no proxy to an address without encryption, and to nobody whom it was not told.
pub(super) fn client(url: &Url, origin: CredentialsOrigin) -> Result<Client, CredentialsError> {
    super::install_tls_provider();
    let (connect_time, is_encrypted) = match url.scheme() {
        "https" => (REQUEST_TIME, true),
        _ => (CONNECT_TIME, false),
    };
    let mut builder = Client::builder()
        .redirect(Policy::none())
        .referer(false)
        .connect_timeout(connect_time)
        .timeout(REQUEST_TIME)
        .http1_only()
        .retry(reqwest::retry::never())
        .use_rustls_tls();
    if !is_encrypted {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| unreachable(origin, &error))
}

/// Asks until there is an answer that is not about to pass.
pub(super) async fn ask(
    origin: CredentialsOrigin,
    request: impl Fn() -> RequestBuilder,
) -> Result<Answer, CredentialsError> {
    let mut number = 1;
    loop {
        let outcome = ask_once(origin, request()).await;
        let may_pass = match &outcome {
            Ok(answer) => answer.status.is_server_error() || answer.status == StatusCode::TOO_MANY_REQUESTS,
            Err(error) => error.is_transient(),
        };
        if !may_pass || number >= ATTEMPTS {
            return outcome;
        }
        tokio::time::sleep(FIRST_PAUSE * number).await;
        number += 1;
    }
}

/// Asks who may not be there at all.
pub(super) async fn ask_once(origin: CredentialsOrigin, request: RequestBuilder) -> Result<Answer, CredentialsError> {
    let answer = async {
        let mut response = request.send().await?;
        let status = response.status();
        let mut body = BytesMut::new();
        while let Some(piece) = response.chunk().await? {
            if body.len() + piece.len() > MAX_ANSWER_BYTES {
                return Ok(None);
            }
            body.extend_from_slice(&piece);
        }
        Ok(Some(Answer { status, body: body.freeze() }))
    };
    match timeout(REQUEST_TIME, answer).await {
        Ok(Ok(Some(answer))) => Ok(answer),
        Ok(Ok(None)) => Err(CredentialsError::Unusable { origin, reason: "the answer is too long" }),
        Ok(Err(error)) => Err(unreachable(origin, &error)),
        Err(_) => Err(CredentialsError::Unreachable { origin, reason: "no answer in time".to_owned() }),
    }
}

// Neither the URL nor the whole chain of causes: a URL may carry what identifies us.
fn unreachable(origin: CredentialsOrigin, error: &reqwest::Error) -> CredentialsError {
    let host = error.url().and_then(Url::host_str).unwrap_or("it").to_owned();
    let happened = if error.is_connect() {
        "no connection to"
    } else if error.is_timeout() {
        "no answer in time from"
    } else {
        "no whole answer from"
    };
    CredentialsError::Unreachable { origin, reason: format!("{happened} {host}") }
}
