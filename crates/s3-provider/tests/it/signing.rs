use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use object_store_s3_provider::{S3Config, S3Credentials, S3Provider};
use object_store_storage::{ObjectKey, ObjectStorage, PresignGet, PresignPost, PresignPut};
use serde_json::{Value, json};

async fn provider() -> S3Provider {
    let credentials = S3Credentials::Static {
        access_key_id: "the-id".to_owned(),
        secret_access_key: "the-secret".to_owned(),
        session_token: Some("the/token+".to_owned()),
    };
    let config = S3Config::new(Some("http://10.0.0.1:9000".to_owned()), "eu-test-1", "media", credentials);
    let public_endpoint = Some("https://media.example.org:443".to_owned());
    S3Provider::connect(S3Config { prefix: "app/".to_owned(), public_endpoint, ..config }).await.unwrap()
}

fn key() -> ObjectKey {
    ObjectKey::parse("staging/a/b").unwrap()
}

fn post(min_bytes: u64, max_bytes: u64) -> PresignPost {
    PresignPost { expires_in: Duration::from_mins(1), content_type: "image/png".to_owned(), min_bytes, max_bytes }
}

#[tokio::test]
async fn signed_urls_name_the_public_host_and_the_whole_key() {
    let options = PresignGet {
        expires_in: Duration::from_mins(1),
        content_type: Some("image/png".to_owned()),
        content_disposition: Some("attachment; filename=\"a  b\"; filename*=UTF-8''%C3%A9".to_owned()),
        ..PresignGet::default()
    };
    let signed = provider().await.presign_get(&key(), &options).await.unwrap();
    assert!(signed.url.starts_with("https://media.example.org/media/app/staging/a/b?"), "{}", signed.url);
    for part in ["X-Amz-Security-Token=the%2Ftoken%2B", "X-Amz-Expires=60", "%2Feu-test-1%2Fs3%2Faws4_request"] {
        assert!(signed.url.contains(part), "{part} in {}", signed.url);
    }
    let left = signed.expires_at.duration_since(SystemTime::now()).unwrap();
    assert!((Duration::from_secs(50)..=Duration::from_mins(1)).contains(&left), "{left:?}");
    assert!(!format!("{signed:?}").contains("Signature") && !signed.url.contains("the-secret"));
}

#[tokio::test]
async fn a_signed_put_tells_what_must_be_sent() {
    let options = PresignPut {
        expires_in: Duration::from_mins(1),
        content_type: "image/png".to_owned(),
        content_length: 3,
        content_md5: Some([0; 16]),
    };
    let mut signed = provider().await.presign_put(&key(), &options).await.unwrap();
    signed.headers.sort();
    let expected =
        [("content-length", "3"), ("content-md5", "AAAAAAAAAAAAAAAAAAAAAA=="), ("content-type", "image/png")];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(signed.headers, expected);
    assert!(signed.url.contains("SignedHeaders=content-length%3Bcontent-md5%3Bcontent-type%3Bhost"), "{}", signed.url);
}

#[tokio::test]
async fn a_form_has_the_session_token_and_room_for_5_gib() {
    let most = 5 << 30;
    let signed = provider().await.presign_post(&key(), &post(1, most)).await.unwrap();
    assert_eq!(signed.url, "https://media.example.org/media");
    let field = |wanted: &str| signed.fields.iter().find(|(name, _)| name == wanted).unwrap().1.clone();
    assert_eq!((field("key"), field("x-amz-security-token")), ("app/staging/a/b".to_owned(), "the/token+".to_owned()));
    let policy: Value = serde_json::from_slice(&STANDARD.decode(field("policy")).unwrap()).unwrap();
    let conditions = policy["conditions"].as_array().unwrap();
    for condition in [
        json!(["content-length-range", 1, most]),
        json!({ "key": "app/staging/a/b" }),
        json!({ "bucket": "media" }),
        json!({ "Content-Type": "image/png" }),
        json!({ "x-amz-security-token": "the/token+" }),
        json!({ "x-amz-date": field("x-amz-date") }),
        json!({ "x-amz-credential": field("x-amz-credential") }),
    ] {
        assert!(conditions.contains(&condition), "{condition} in {policy}");
    }
}

#[tokio::test]
async fn what_cannot_be_signed_is_refused() {
    let provider = provider().await;
    for (min, max) in [(0, 10), (11, 10), (1, (5 << 30) + 1)] {
        let error = provider.presign_post(&key(), &post(min, max)).await.unwrap_err();
        assert_eq!(error.code(), "invalid_request", "{min} {max}");
    }
    let of_type = |content_type: &str| PresignPost { content_type: content_type.to_owned(), ..post(1, 10) };
    for content_type in ["image/png\r\nx: y", "im\u{e4}ge", "a  b", " a"] {
        let error = provider.presign_post(&key(), &of_type(content_type)).await.unwrap_err();
        assert_eq!(error.code(), "invalid_request", "{content_type:?}");
    }
    let options = PresignGet {
        expires_in: Duration::from_mins(1),
        content_type: None,
        content_disposition: Some("attachment\r\n".to_owned()),
        ..PresignGet::default()
    };
    assert_eq!(provider.presign_get(&key(), &options).await.unwrap_err().code(), "invalid_request");
}

#[tokio::test]
async fn nothing_shows_the_credentials() {
    let shown = format!("{:?}", provider().await);
    assert!(shown.contains("10.0.0.1") && !shown.contains("the-"), "{shown}");
}

#[tokio::test]
async fn a_wrong_setting_is_named() {
    let config = S3Config::new(Some("nonsense".to_owned()), "eu-test-1", "media", S3Credentials::Default);
    let error = S3Provider::connect(config).await.unwrap_err();
    assert_eq!(error.code(), "invalid_request");
    assert!(error.to_string().contains("endpoint") && error.to_string().contains("nonsense"), "{error}");
}
