//! The endpoint that a container or a pod finds in its environment (AWS SDKs and Tools Reference Guide, "Container
//! credential provider").

use std::net::{Ipv4Addr, Ipv6Addr};

use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use s3::creds::Credentials;
use url::Host;

use super::error::{CredentialsError, CredentialsOrigin};
use super::http::{ask, client};
use super::keys::Keys;
use super::surroundings::Surroundings;

const ORIGIN: CredentialsOrigin = CredentialsOrigin::Container;
const RELATIVE: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
const FULL: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
const TOKEN: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
const TOKEN_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";

/// Amazon ECS.
const ECS: Ipv4Addr = Ipv4Addr::new(169, 254, 170, 2);
/// The agent of EKS Pod Identity.
const EKS: Ipv4Addr = Ipv4Addr::new(169, 254, 170, 23);
const EKS_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x23);

pub(super) async fn find(surroundings: &Surroundings) -> Option<Result<Credentials, CredentialsError>> {
    let url = match (surroundings.variable(RELATIVE), surroundings.variable(FULL)) {
        (Some(path), _) => relative(&path),
        (None, Some(url)) => full(&url),
        (None, None) => return None,
    };
    Some(match url {
        Ok(url) => fetch(url, surroundings).await,
        Err(error) => Err(error),
    })
}

async fn fetch(url: Url, surroundings: &Surroundings) -> Result<Credentials, CredentialsError> {
    let token = token(surroundings).await?;
    let client = client(&url, ORIGIN)?;
    let answer = ask(ORIGIN, || {
        let request = client.get(url.clone()).header("accept", "application/json");
        match &token {
            Some(token) => request.header(AUTHORIZATION, token.clone()),
            None => request,
        }
    })
    .await?;
    if !answer.status.is_success() {
        return Err(CredentialsError::Refused { origin: ORIGIN, status: answer.status.as_u16(), code: None });
    }
    Keys::from_json(&answer.body, "Token")
        .ok_or(CredentialsError::Unusable { origin: ORIGIN, reason: "the answer is no JSON" })?
        .given_by(ORIGIN)
}

fn relative(path: &str) -> Result<Url, CredentialsError> {
    let invalid =
        || CredentialsError::Invalid { setting: RELATIVE.to_owned(), allowed: "a path that begins with one '/'" };
    if !path.starts_with('/') || path.starts_with("//") || path.contains('\\') {
        return Err(invalid());
    }
    Url::parse(&format!("http://{ECS}{path}")).map_err(|_| invalid())
}

/// Without encryption, only this machine and the known link-local addresses may be told the token.
fn full(text: &str) -> Result<Url, CredentialsError> {
    let invalid = || CredentialsError::Invalid {
        setting: FULL.to_owned(),
        allowed: "an https URL without user, or an http URL of this machine or of the agent of ECS or EKS",
    };
    let url = Url::parse(text).map_err(|_| invalid())?;
    let is_trusted = match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(Host::Domain(name))) => name.eq_ignore_ascii_case("localhost"),
        ("http", Some(Host::Ipv4(address))) => address.is_loopback() || address == ECS || address == EKS,
        ("http", Some(Host::Ipv6(address))) => address.is_loopback() || address == EKS_V6,
        _ => false,
    };
    if !is_trusted || !url.username().is_empty() || url.password().is_some() {
        return Err(invalid());
    }
    Ok(url)
}

/// The file is read each time, since its token is replaced before it expires.
async fn token(surroundings: &Surroundings) -> Result<Option<HeaderValue>, CredentialsError> {
    let (setting, token) = match (surroundings.variable(TOKEN_FILE), surroundings.variable(TOKEN)) {
        (Some(path), _) => {
            let read = tokio::fs::read_to_string(&path).await;
            (TOKEN_FILE, read.map_err(|source| CredentialsError::Unreadable { path: path.into(), source })?)
        }
        (None, Some(token)) => (TOKEN, token),
        (None, None) => return Ok(None),
    };
    let mut value = HeaderValue::from_str(token.trim()).map_err(|_| CredentialsError::Invalid {
        setting: format!("the token of {setting}"),
        allowed: "one line of visible ASCII",
    })?;
    value.set_sensitive(true);
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use super::{full, relative};

    #[test]
    fn the_token_goes_to_nobody_else() {
        for text in
            ["https://agent.example.org/keys", "http://127.0.0.1:8080/a", "http://localhost/a", "http://[::1]/a"]
        {
            assert!(full(text).is_ok(), "{text}");
        }
        assert!(full("http://169.254.170.23/v1/credentials").is_ok());
        for text in [
            "http://agent.example.org/keys",
            "http://10.0.0.1/a",
            "http://169.254.170.3/a",
            "http://localhost.example.org/a",
            "https://user@agent.example.org/keys",
            "ftp://127.0.0.1/a",
            "/v1/credentials",
        ] {
            assert!(full(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_relative_path_stays_with_the_agent() {
        assert_eq!(relative("/v2/credentials/a").unwrap().as_str(), "http://169.254.170.2/v2/credentials/a");
        for text in ["v2/credentials", "//example.org/a", "/\\example.org", "@example.org"] {
            assert!(relative(text).is_err(), "{text}");
        }
    }
}
