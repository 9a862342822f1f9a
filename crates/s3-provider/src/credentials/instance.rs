//! The metadata of the instance, version 2 (Amazon EC2 User Guide, "Use the Instance Metadata Service to access
//! instance metadata").

use reqwest::header::HeaderValue;
use reqwest::{Client, StatusCode, Url};
use s3::creds::Credentials;

use super::error::{CredentialsError, CredentialsOrigin};
use super::http::{Answer, ask, ask_once, client};
use super::keys::Keys;
use super::surroundings::Surroundings;

const ORIGIN: CredentialsOrigin = CredentialsOrigin::InstanceMetadata;
const ROLES: &str = "latest/meta-data/iam/security-credentials/";

/// The longest life that a token may have, in seconds.
const TOKEN_SECONDS: &str = "21600";

/// The last source: an instance without one has none at all.
pub(super) async fn find(surroundings: &Surroundings) -> Result<Credentials, CredentialsError> {
    let not_found = |instance: &str| CredentialsError::NotFound { instance: instance.to_owned() };
    if surroundings.variable("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Err(not_found("its metadata is turned off by AWS_EC2_METADATA_DISABLED"));
    }
    let base = endpoint(surroundings)?;
    let client = client(&base, ORIGIN)?;
    let token = match token(&client, &base).await {
        Err(CredentialsError::Unreachable { reason, .. }) => {
            return Err(not_found(&format!("its metadata cannot be reached: {reason}")));
        }
        // So it answers where it is turned off, and where the address is somebody else's.
        Err(CredentialsError::Refused { status, .. }) => {
            return Err(not_found(&format!("its metadata gives no token: {status}")));
        }
        token => token?,
    };
    let roles = get(&client, url(&base, ROLES)?, &token).await?;
    let role = match (roles.status, str::from_utf8(&roles.body).ok().and_then(|text| text.lines().next())) {
        (StatusCode::NOT_FOUND, _) => return Err(not_found("it has no role")),
        (status, Some(role)) if status.is_success() && is_role(role.trim()) => role.trim().to_owned(),
        (status, _) if status.is_success() => return Err(unusable("the answer names no role")),
        (status, _) => return Err(refused(status)),
    };
    let keys = get(&client, url(&base, &format!("{ROLES}{role}"))?, &token).await?;
    if !keys.status.is_success() {
        return Err(refused(keys.status));
    }
    Keys::from_json(&keys.body, "Token").ok_or(unusable("the answer is no JSON"))?.given_by(ORIGIN)
}

fn endpoint(surroundings: &Surroundings) -> Result<Url, CredentialsError> {
    const ENDPOINT: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
    let is_v6 = surroundings
        .variable("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE")
        .is_some_and(|mode| mode.eq_ignore_ascii_case("ipv6"));
    let usual = if is_v6 { "http://[fd00:ec2::254]/" } else { "http://169.254.169.254/" };
    let mut text = surroundings.variable(ENDPOINT).unwrap_or_else(|| usual.to_owned());
    if !text.ends_with('/') {
        text.push('/');
    }
    Url::parse(&text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| CredentialsError::Invalid { setting: ENDPOINT.to_owned(), allowed: "an http or https URL" })
}

async fn token(client: &Client, base: &Url) -> Result<HeaderValue, CredentialsError> {
    let url = url(base, "latest/api/token")?;
    let request = client.put(url).header("x-aws-ec2-metadata-token-ttl-seconds", TOKEN_SECONDS);
    let answer = ask_once(ORIGIN, request).await?;
    if !answer.status.is_success() {
        return Err(refused(answer.status));
    }
    let mut token = HeaderValue::from_bytes(answer.body.trim_ascii()).map_err(|_| unusable("the token is no text"))?;
    token.set_sensitive(true);
    Ok(token)
}

async fn get(client: &Client, url: Url, token: &HeaderValue) -> Result<Answer, CredentialsError> {
    ask(ORIGIN, || client.get(url.clone()).header("x-aws-ec2-metadata-token", token.clone())).await
}

fn url(base: &Url, path: &str) -> Result<Url, CredentialsError> {
    base.join(path).map_err(|_| unusable("the answer names no role"))
}

/// The characters of a role's name (IAM User Guide, "IAM and AWS STS quotas").
fn is_role(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@-_".contains(&byte);
    !text.is_empty() && text != "." && text != ".." && text.len() <= 64 && text.bytes().all(is_allowed)
}

fn refused(status: StatusCode) -> CredentialsError {
    CredentialsError::Refused { origin: ORIGIN, status: status.as_u16(), code: None }
}

fn unusable(reason: &'static str) -> CredentialsError {
    CredentialsError::Unusable { origin: ORIGIN, reason }
}
