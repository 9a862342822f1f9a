use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use object_store_storage::{RetryClass, StorageError};
use reqwest::Method;
use s3::creds::Credentials;
use s3::creds::time::format_description::well_known::Rfc3339;
use s3::creds::time::{Duration as SignedDuration, OffsetDateTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use super::{
    CredentialStore, CredentialsError, CredentialsOrigin, Surroundings, remaining_life, search, session_token,
};
use crate::client::Client;
use crate::config::{S3Config, S3Credentials};
use crate::error::Failure;
use crate::target::Resource;

/// Answers each connection by the next of its answers, and by the last one from then on.
struct Server {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(answers: Vec<(u16, String)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            let mut number = 0;
            loop {
                let (mut connection, _) = listener.accept().await.unwrap();
                let request = read_request(&mut connection).await;
                seen.lock().await.push(request);
                let (status, body) = &answers[number.min(answers.len() - 1)];
                number += 1;
                let answer =
                    format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
                connection.write_all(answer.as_bytes()).await.unwrap();
                connection.shutdown().await.unwrap();
            }
        });
        Self { url, requests }
    }

    async fn requests(&self) -> Vec<String> {
        self.requests.lock().await.clone()
    }
}

async fn read_request(connection: &mut tokio::net::TcpStream) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = connection.read(&mut buffer).await.unwrap();
        text.extend_from_slice(&buffer[..count]);
        let request = String::from_utf8_lossy(&text).into_owned();
        let Some((head, body)) = request.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if count == 0 || body.len() >= length.unwrap_or(0) {
            return request;
        }
    }
}

fn in_seconds(seconds: i64) -> String {
    (OffsetDateTime::now_utc() + SignedDuration::seconds(seconds)).format(&Rfc3339).unwrap()
}

fn json(id: &str, token: &str, expires_in: i64) -> String {
    let expiration = in_seconds(expires_in);
    format!(
        r#"{{"Version":1,"Code":"Success","AccessKeyId":"{id}","SecretAccessKey":"s3cr3t","{token}":"t0k3n","Expiration":"{expiration}"}}"#
    )
}

async fn found(variables: &[(&str, &str)]) -> Result<Credentials, CredentialsError> {
    search(&Surroundings::given(variables)).await
}

async fn error(variables: &[(&str, &str)]) -> CredentialsError {
    found(variables).await.unwrap_err()
}

fn id(credentials: &Credentials) -> &str {
    credentials.access_key.as_deref().unwrap()
}

const NO_INSTANCE: (&str, &str) = ("AWS_EC2_METADATA_DISABLED", "true");

#[tokio::test]
async fn the_environment_comes_first() {
    let expiration = in_seconds(3600);
    let variables = [
        ("AWS_ACCESS_KEY_ID", "a"),
        ("AWS_SECRET_ACCESS_KEY", "b"),
        ("AWS_SESSION_TOKEN", "c"),
        ("AWS_CREDENTIAL_EXPIRATION", expiration.as_str()),
        ("AWS_PROFILE", "of nobody"),
    ];
    let credentials = found(&variables).await.unwrap();
    assert_eq!((id(&credentials), session_token(&credentials)), ("a", Some("c")));
    assert!(remaining_life(&credentials).unwrap() > Duration::from_mins(59));
}

#[tokio::test]
async fn half_a_key_is_not_passed_over() {
    let half = error(&[("AWS_ACCESS_KEY_ID", "a"), NO_INSTANCE]).await;
    assert!(matches!(&half, CredentialsError::Incomplete { place, .. } if place.contains("environment")), "{half}");
    let half = error(&[("AWS_SECRET_ACCESS_KEY", "hidden"), NO_INSTANCE]).await;
    assert!(matches!(half, CredentialsError::Incomplete { .. }) && !half.to_string().contains("hidden"), "{half}");
    let odd = error(&[("AWS_ACCESS_KEY_ID", "a b"), ("AWS_SECRET_ACCESS_KEY", "c")]).await;
    assert!(matches!(odd, CredentialsError::Invalid { .. }), "{odd}");
    let odd = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "c"), ("AWS_CREDENTIAL_EXPIRATION", "soon")];
    assert!(matches!(error(&odd).await, CredentialsError::Invalid { .. }));
}

#[tokio::test]
async fn without_any_source_all_are_named() {
    let text = error(&[NO_INSTANCE]).await.to_string();
    for name in ["AWS_ACCESS_KEY_ID", "profile", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_", "AWS_EC2_METADATA_"] {
        assert!(text.contains(name), "{text}");
    }
}

fn write(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_profile_is_read_from_both_files() {
    let directory = tempfile::tempdir().unwrap();
    let output = json("from-process", "SessionToken", 3600);
    let printed = write(directory.path(), "printed.json", &output);
    let credentials = write(
        directory.path(),
        "credentials",
        "[default]\naws_access_key_id = usual\naws_secret_access_key = \"a\\b=/+\n\n[other]\naws_access_key_id=o\n\
         aws_secret_access_key=p\naws_session_token = q\n[half]\naws_access_key_id = h\n",
    );
    let config = write(
        directory.path(),
        "config",
        &format!(
            "[default]\nregion = eu-west-1\n[profile printing]\ncredential_process = cat {printed}\n[profile \
             failing]\ncredential_process = exit 3\n[profile assuming]\nrole_arn = arn:aws:iam::1:role/r\n\
             source_profile = default\n[profile empty]\nregion = eu-west-1\n"
        ),
    );
    let files =
        [("AWS_SHARED_CREDENTIALS_FILE", credentials.as_str()), ("AWS_CONFIG_FILE", config.as_str()), NO_INSTANCE];
    let with = |profile: &'static str| [files[0], files[1], NO_INSTANCE, ("AWS_PROFILE", profile)];

    let usual = found(&files).await.unwrap();
    assert_eq!((id(&usual), usual.secret_key.as_deref()), ("usual", Some("\"a\\b=/+")));
    let other = found(&with("other")).await.unwrap();
    assert_eq!((id(&other), session_token(&other), remaining_life(&other)), ("o", Some("q"), None));
    let printing = found(&with("printing")).await.unwrap();
    assert_eq!((id(&printing), session_token(&printing)), ("from-process", Some("t0k3n")));
    assert!(remaining_life(&printing).is_some());

    assert!(matches!(error(&with("half")).await, CredentialsError::Incomplete { .. }));
    let origin = CredentialsOrigin::CredentialProcess;
    assert!(matches!(error(&with("failing")).await, CredentialsError::Unusable { origin: o, .. } if o == origin));
    assert!(matches!(error(&with("empty")).await, CredentialsError::Incomplete { .. }));
    let assuming = error(&with("assuming")).await;
    assert!(matches!(&assuming, CredentialsError::Unsupported { setting: "source_profile", .. }), "{assuming}");
    let missing = error(&with("nobody's")).await;
    assert!(missing.to_string().contains("nobody's") && missing.to_string().contains(&config), "{missing}");
}

#[tokio::test]
async fn a_default_profile_without_keys_is_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let config = write(directory.path(), "config", "[default]\nregion = eu-west-1\n");
    let nothing = error(&[("AWS_CONFIG_FILE", &config), NO_INSTANCE]).await;
    assert!(matches!(nothing, CredentialsError::NotFound { .. }), "{nothing}");
}

#[tokio::test]
async fn a_file_that_is_none_is_named_and_not_quoted() {
    let directory = tempfile::tempdir().unwrap();
    let file = write(directory.path(), "credentials", "[default]\naws_secret_access_key s3cr3t\n");
    let wrong = error(&[("AWS_SHARED_CREDENTIALS_FILE", &file), NO_INSTANCE]).await;
    let CredentialsError::Unreadable { path, source } = &wrong else { panic!("{wrong}") };
    assert_eq!(path, Path::new(&file));
    assert!(!format!("{source}{wrong:?}").contains("s3cr3t"));
}

fn sts_answer(id: &str) -> String {
    format!(
        "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>b</SecretAccessKey>\
         <SessionToken>c</SessionToken><Expiration>{}</Expiration></Credentials></AssumeRoleWithWebIdentityResult>\
         </AssumeRoleWithWebIdentityResponse>",
        in_seconds(900)
    )
}

#[tokio::test]
async fn a_web_identity_is_exchanged() {
    let directory = tempfile::tempdir().unwrap();
    let token = write(directory.path(), "token", "ey.J+/=\n");
    let server = Server::start(vec![(503, String::new()), (200, sts_answer("exchanged"))]).await;
    let variables = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.as_str()),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/media"),
        ("AWS_ENDPOINT_URL_STS", server.url.as_str()),
    ];
    let credentials = found(&variables).await.unwrap();
    assert_eq!((id(&credentials), session_token(&credentials)), ("exchanged", Some("c")));
    assert!(remaining_life(&credentials).unwrap() > Duration::from_mins(14));
    let requests = server.requests().await;
    assert_eq!(requests.len(), 2);
    let head = requests[1].lines().next().unwrap();
    assert_eq!(head, "POST / HTTP/1.1", "nothing secret stands in a URL");
    assert!(requests[1].contains("WebIdentityToken=ey.J%2B%2F%3D") && requests[1].contains("RoleArn=arn%3Aaws"));
}

#[tokio::test]
async fn what_the_token_service_says_is_passed_on() {
    let directory = tempfile::tempdir().unwrap();
    let token = write(directory.path(), "token", "ey.J");
    for (status, body, expected) in [
        (
            400,
            "<ErrorResponse><Error><Code>ExpiredTokenException</Code></Error></ErrorResponse>",
            "400 ExpiredTokenException",
        ),
        (403, "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>", "403 AccessDenied"),
        (302, "", "302"),
        (500, "<html>", "500"),
        (200, "<html>", "none of the service's"),
    ] {
        let server = Server::start(vec![(status, body.to_owned())]).await;
        let variables = [
            ("AWS_WEB_IDENTITY_TOKEN_FILE", token.as_str()),
            ("AWS_ROLE_ARN", "r"),
            ("AWS_ENDPOINT_URL_STS", server.url.as_str()),
        ];
        let refused = error(&variables).await;
        assert!(refused.to_string().contains(expected), "{refused}");
        assert_eq!(refused.is_transient(), status == 500, "{refused}");
    }
    let gone = [("AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere/token"), ("AWS_ROLE_ARN", "r")];
    assert!(matches!(error(&gone).await, CredentialsError::Unreadable { .. }));
    let half = [("AWS_WEB_IDENTITY_TOKEN_FILE", token.as_str())];
    assert!(matches!(error(&half).await, CredentialsError::Incomplete { missing: "AWS_ROLE_ARN", .. }));
}

#[tokio::test]
async fn a_container_is_asked_with_its_token() {
    let directory = tempfile::tempdir().unwrap();
    let token = write(directory.path(), "token", "the-token\n");
    let server = Server::start(vec![(200, json("contained", "Token", 3600))]).await;
    let url = format!("{}/keys", server.url);
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.as_str()),
    ];
    assert_eq!(id(&found(&variables).await.unwrap()), "contained");
    assert!(server.requests().await[0].to_lowercase().contains("authorization: the-token\r\n"));

    for (status, body) in [(404, ""), (200, "{}"), (200, "<html>"), (200, &"x".repeat(100_000)), (307, "")] {
        let server = Server::start(vec![(status, body.to_owned())]).await;
        let wrong = error(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url.as_str())]).await;
        assert!(!wrong.is_transient() && wrong.to_string().contains("container"), "{status}: {wrong}");
    }
    let nobody = error(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/")]).await;
    assert!(matches!(nobody, CredentialsError::Unreachable { .. }) && nobody.is_transient(), "{nobody}");
    assert!(matches!(StorageError::from(nobody).retry_class(), RetryClass::Safe));
}

#[tokio::test]
async fn an_instance_is_asked_for_its_role() {
    let answers =
        vec![(200, "the-token".to_owned()), (200, "media-role\n".to_owned()), (200, json("of-role", "Token", 3600))];
    let server = Server::start(answers).await;
    let credentials = found(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &server.url)]).await.unwrap();
    assert_eq!(id(&credentials), "of-role");
    let requests = server.requests().await;
    assert!(requests[0].starts_with("PUT /latest/api/token "));
    assert!(requests[2].starts_with("GET /latest/meta-data/iam/security-credentials/media-role "));
    assert!(requests[1..].iter().all(|request| request.contains("x-aws-ec2-metadata-token: the-token")));
}

#[tokio::test]
async fn an_instance_without_a_role_is_no_source() {
    let server = Server::start(vec![(200, "the-token".to_owned()), (404, String::new())]).await;
    let none = error(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &server.url)]).await;
    assert!(none.to_string().contains("it has no role"), "{none}");
    let none = error(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")]).await;
    assert!(matches!(none, CredentialsError::NotFound { .. }), "{none}");
    let server = Server::start(vec![(403, String::new())]).await;
    let off = error(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &server.url)]).await;
    assert!(matches!(&off, CredentialsError::NotFound { instance } if instance.contains("403")), "{off}");
    let server = Server::start(vec![(200, "the-token".to_owned()), (200, "../../elsewhere".to_owned())]).await;
    let wrong = error(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &server.url)]).await;
    assert!(matches!(wrong, CredentialsError::Unusable { .. }), "{wrong}");
}

async fn store(variables: &[(&str, &str)]) -> CredentialStore {
    CredentialStore::find(&S3Credentials::Default, Surroundings::given(variables)).await.unwrap()
}

#[tokio::test]
async fn they_are_renewed_ahead_of_their_end_and_once_for_all() {
    let answers = vec![(200, json("first", "Token", 240)), (200, json("second", "Token", 3600))];
    let server = Server::start(answers).await;
    let store = store(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &server.url)]).await;
    let calls = futures::future::join_all((0..20).map(|_| store.current())).await;
    let ids: Vec<String> = calls.into_iter().map(|call| id(&call.unwrap()).to_owned()).collect();
    assert_eq!(ids[0], "second");
    assert!(ids.iter().all(|id| id == "first" || id == "second"));
    assert_eq!(id(&store.current().await.unwrap()), "second");
    assert_eq!(server.requests().await.len(), 2);
}

#[tokio::test]
async fn those_in_use_last_while_no_others_can_be_had() {
    let server = Server::start(vec![(200, json("first", "Token", 240)), (404, String::new())]).await;
    let store = store(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &server.url)]).await;
    for _ in 0..3 {
        assert_eq!(id(&store.current().await.unwrap()), "first");
    }
    assert_eq!(server.requests().await.len(), 2, "there is a pause between attempts");
}

#[tokio::test]
async fn expired_ones_are_not_used() {
    let server = Server::start(vec![(200, json("first", "Token", -1)), (404, String::new())]).await;
    let store = store(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &server.url)]).await;
    let error = store.current().await.unwrap_err();
    assert_eq!(error.retry_class(), RetryClass::Safe);
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(error.to_string().contains("expired") && cause.contains("404"), "{error}: {cause}");
}

async fn client(server: &Server, variables: &[(&str, &str)]) -> Client {
    let config = S3Config::new(Some(server.url.clone()), "us-east-1", "media", S3Credentials::Default);
    Client::within(Surroundings::given(variables), config).await.unwrap()
}

const EXPIRED: &str = "<Error><Code>ExpiredToken</Code></Error>";

#[tokio::test]
async fn a_request_refused_as_expired_goes_out_again_with_new_ones() {
    let keys = Server::start(vec![(200, json("first", "Token", 3600)), (200, json("second", "Token", 3600))]).await;
    let server = Server::start(vec![(400, EXPIRED.to_owned()), (200, String::new())]).await;
    let client = client(&server, &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &keys.url)]).await;
    client.send(client.request(Method::GET, Resource::Contents)).await.unwrap();
    let requests = server.requests().await;
    assert_eq!(requests.len(), 2);
    assert!(requests[0].contains("Credential=first/") && requests[1].contains("Credential=second/"));
}

#[tokio::test]
async fn it_goes_out_once_when_there_are_no_others() {
    let keys = Server::start(vec![(200, json("first", "Token", 3600)), (500, String::new())]).await;
    let server = Server::start(vec![(400, EXPIRED.to_owned())]).await;
    let client = client(&server, &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &keys.url)]).await;
    for count in 1..3 {
        let failure = client.send(client.request(Method::GET, Resource::Contents)).await.unwrap_err();
        assert!(matches!(failure, Failure::Refused(refusal) if refusal.is_of_expired_credentials()));
        assert_eq!(server.requests().await.len(), count);
    }
    assert_eq!(keys.requests().await.len(), 4, "one search with three attempts, then a pause");
}

#[tokio::test]
async fn fixed_keys_stay() {
    let config = S3Credentials::Static {
        access_key_id: "a".into(),
        secret_access_key: "b".into(),
        session_token: Some("c".into()),
    };
    let store = CredentialStore::find(&config, Surroundings::given(&[])).await.unwrap();
    let current = store.current().await.unwrap();
    assert_eq!(session_token(&current), Some("c"));
    assert!(!store.replaced(&current).await);
}
