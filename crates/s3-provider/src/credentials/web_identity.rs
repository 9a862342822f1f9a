//! A token that an identity provider wrote into a file, exchanged for keys (AWS STS API reference,
//! `AssumeRoleWithWebIdentity`). This is how pods of Kubernetes get theirs.

use std::path::PathBuf;

use reqwest::Url;
use s3::creds::Credentials;
use url::form_urlencoded;

use super::error::{CredentialsError, CredentialsOrigin};
use super::http::{Answer, ask, client};
use super::keys::{Keys, is_sendable};
use super::surroundings::Surroundings;
use crate::xml::Element;

const ORIGIN: CredentialsOrigin = CredentialsOrigin::SecurityTokenService;

/// What is exchanged.
pub(super) struct WebIdentity {
    pub(super) token_file: PathBuf,
    pub(super) role_arn: String,
    pub(super) session_name: Option<String>,
}

pub(super) async fn find(surroundings: &Surroundings) -> Option<Result<Credentials, CredentialsError>> {
    let token_file = surroundings.variable("AWS_WEB_IDENTITY_TOKEN_FILE")?;
    let Some(role_arn) = surroundings.variable("AWS_ROLE_ARN") else {
        return Some(Err(CredentialsError::Incomplete {
            place: "the environment (AWS_WEB_IDENTITY_TOKEN_FILE)".to_owned(),
            missing: "AWS_ROLE_ARN",
        }));
    };
    let session_name = surroundings.variable("AWS_ROLE_SESSION_NAME");
    let identity = WebIdentity { token_file: token_file.into(), role_arn, session_name };
    Some(exchange(&identity, surroundings).await)
}

/// The token is read each time, since it is replaced before it expires.
pub(super) async fn exchange(
    identity: &WebIdentity,
    surroundings: &Surroundings,
) -> Result<Credentials, CredentialsError> {
    let token = tokio::fs::read_to_string(&identity.token_file)
        .await
        .map_err(|source| CredentialsError::Unreadable { path: identity.token_file.clone(), source })?;
    let token = token.trim();
    if !is_sendable(token) {
        return Err(CredentialsError::Invalid {
            setting: format!("the content of {}", identity.token_file.display()),
            allowed: "a token in visible ASCII",
        });
    }
    let url = endpoint(surroundings)?;
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("Action", "AssumeRoleWithWebIdentity")
        .append_pair("Version", "2011-06-15")
        .append_pair("RoleArn", &identity.role_arn)
        .append_pair("RoleSessionName", identity.session_name.as_deref().unwrap_or("object-store"))
        .append_pair("WebIdentityToken", token)
        .finish();
    let client = client(&url, ORIGIN)?;
    let answer = ask(ORIGIN, || {
        client
            .post(url.clone())
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/xml")
            .body(form.clone())
    })
    .await?;
    read(&answer)
}

fn endpoint(surroundings: &Surroundings) -> Result<Url, CredentialsError> {
    let given = surroundings.variable("AWS_ENDPOINT_URL_STS");
    let text = given.unwrap_or_else(|| {
        let region = surroundings.region();
        // AWS General Reference, "AWS Security Token Service endpoints and quotas".
        let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
        format!("https://sts.{region}.amazonaws.com{suffix}/")
    });
    Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "https" | "http") && url.has_host()).ok_or_else(|| {
        CredentialsError::Invalid {
            setting: "AWS_ENDPOINT_URL_STS, or the region without it,".to_owned(),
            allowed: "an http or https URL, or a region of AWS",
        }
    })
}

fn read(answer: &Answer) -> Result<Credentials, CredentialsError> {
    let root = Element::parse(&answer.body);
    if !answer.status.is_success() {
        let error = root.as_ref().and_then(|root| root.children_named("Error").next());
        let code = error.and_then(|error| error.text_of("Code")).and_then(crate::error::word);
        return Err(CredentialsError::Refused { origin: ORIGIN, status: answer.status.as_u16(), code });
    }
    let unusable = CredentialsError::Unusable { origin: ORIGIN, reason: "the answer is none of the service's" };
    let Some(root) = root else { return Err(unusable) };
    let result = root.children_named("AssumeRoleWithWebIdentityResult").next();
    let Some(keys) = result.and_then(|result| result.children_named("Credentials").next()) else {
        return Err(unusable);
    };
    let text = |name| keys.text_of(name).map(str::to_owned);
    let keys = Keys {
        access_key_id: text("AccessKeyId"),
        secret_access_key: text("SecretAccessKey"),
        session_token: text("SessionToken"),
        expiration: text("Expiration"),
    };
    keys.given_by(ORIGIN)
}
