//! A client of its own, written from the description of Signature Version 4 (AWS API reference, "Authenticating
//! Requests: Using Query Parameters") and so not from what the server is made of. Every request is a signed URL.

use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{DateTime, Utc};
use hmac::{Hmac, Mac};
use object_store_embedded_s3::{Embedded, EmbeddedS3, EmbeddedS3Config};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use reqwest::header::HeaderMap;
use sha2::{Digest, Sha256};

pub(crate) const ACCESS_KEY: &str = "TESTACCESSKEY";
pub(crate) const SECRET: &str = "test-secret-test-secret";
pub(crate) const BUCKET: &str = "media";

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub(crate) struct Client {
    pub(crate) endpoint: String,
    access_key_id: String,
    secret: String,
    http: reqwest::Client,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// What is sent, apart from method and path.
#[derive(Default, Clone)]
pub(crate) struct Request<'a> {
    pub(crate) query: &'a [(&'a str, &'a str)],
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: Vec<u8>,
}

pub(crate) fn config(directory: &Path) -> EmbeddedS3Config {
    EmbeddedS3Config {
        directory: directory.to_owned(),
        bind: "127.0.0.1:0".parse().unwrap(),
        access_key_id: ACCESS_KEY.to_owned(),
        secret_access_key: SECRET.to_owned(),
        region: "us-east-1".to_owned(),
    }
}

/// A server with an empty bucket.
pub(crate) async fn started(directory: &Path) -> (EmbeddedS3, Client) {
    let server = EmbeddedS3::start(config(directory)).await.unwrap();
    let client = Client::new(&server.endpoint(), ACCESS_KEY, SECRET);
    assert_eq!(client.create_bucket().await, 200);
    (server, client)
}

impl Client {
    pub(crate) fn new(endpoint: &str, access_key_id: &str, secret: &str) -> Self {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
        let (access_key_id, secret) = (access_key_id.to_owned(), secret.to_owned());
        Self { endpoint: endpoint.to_owned(), access_key_id, secret, http }
    }

    pub(crate) fn of(embedded: &Embedded) -> Self {
        Self::new(&embedded.endpoint, &embedded.access_key_id, &embedded.secret_access_key)
    }

    pub(crate) async fn create_bucket(&self) -> u16 {
        self.send(Method::PUT, &format!("/{BUCKET}"), Request::default()).await.status
    }

    pub(crate) async fn put(&self, key: &str, body: &[u8]) -> Answer {
        self.send(Method::PUT, &object(key), Request { body: body.to_vec(), ..Request::default() }).await
    }

    pub(crate) async fn get(&self, key: &str) -> Answer {
        self.send(Method::GET, &object(key), Request::default()).await
    }

    /// The keys on one page.
    pub(crate) async fn list(&self, query: &[(&str, &str)]) -> Vec<String> {
        let query = [&[("list-type", "2")], query].concat();
        let answer =
            self.send(Method::GET, &format!("/{BUCKET}"), Request { query: &query, ..Request::default() }).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.all("Key")
    }

    pub(crate) async fn send(&self, method: Method, path: &str, request: Request<'_>) -> Answer {
        let url = self.sign(method.as_str(), path, request.query, request.headers, 60);
        self.send_url(method, &url, request.headers, request.body).await
    }

    pub(crate) async fn send_url(&self, method: Method, url: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let mut request = self.http.request(method, url).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, body: response.bytes().await.unwrap().to_vec() }
    }

    /// A URL that works for so many seconds, for a request that has these headers.
    pub(crate) fn sign(
        &self,
        method: &str,
        path: &str,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
        seconds: i64,
    ) -> String {
        self.sign_at(Utc::now(), method, path, query, headers, seconds)
    }

    pub(crate) fn sign_at(
        &self,
        time: DateTime<Utc>,
        method: &str,
        path: &str,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
        seconds: i64,
    ) -> String {
        let (now, day) = (time.format("%Y%m%dT%H%M%SZ").to_string(), time.format("%Y%m%d").to_string());
        let scope = format!("{day}/us-east-1/s3/aws4_request");
        let host = self.endpoint.trim_start_matches("http://");
        let mut signed: Vec<_> = headers.iter().map(|(name, value)| (name.to_lowercase(), *value)).collect();
        signed.push(("host".to_owned(), host));
        signed.sort();
        let names = signed.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");

        let credential = format!("{}/{scope}", self.access_key_id);
        let seconds = seconds.to_string();
        let mut pairs: Vec<_> = query.iter().map(|(name, value)| (encode(name), encode(value))).collect();
        for (name, value) in [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", &credential),
            ("X-Amz-Date", &now),
            ("X-Amz-Expires", &seconds),
            ("X-Amz-SignedHeaders", &names),
        ] {
            pairs.push((encode(name), encode(value)));
        }
        pairs.sort();
        let query = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
        let path = path.split('/').map(encode).collect::<Vec<_>>().join("/");
        let headers = signed.iter().map(|(name, value)| format!("{name}:{value}\n")).collect::<Vec<_>>().concat();
        let request = format!("{method}\n{path}\n{query}\n{headers}\n{names}\nUNSIGNED-PAYLOAD");
        let text = format!("AWS4-HMAC-SHA256\n{now}\n{scope}\n{}", hex(&Sha256::digest(request)));
        let signature = self.signature(&day, &text);
        format!("{}{path}?{query}&X-Amz-Signature={signature}", self.endpoint)
    }

    /// The fields of a form whose policy has these conditions besides those on its own fields.
    pub(crate) fn form(&self, key: &str, content_type: &str, conditions: &str) -> Vec<(String, String)> {
        let now = Utc::now();
        let day = now.format("%Y%m%d").to_string();
        let credential = format!("{}/{day}/us-east-1/s3/aws4_request", self.access_key_id);
        let date = now.format("%Y%m%dT%H%M%SZ").to_string();
        let end = (now + Duration::from_mins(1)).format("%Y-%m-%dT%H:%M:%S.000Z");
        let policy = format!(
            r#"{{"expiration":"{end}","conditions":[{{"bucket":"{BUCKET}"}},["eq","$key","{key}"],
                ["eq","$Content-Type","{content_type}"],{{"x-amz-algorithm":"AWS4-HMAC-SHA256"}},
                {{"x-amz-credential":"{credential}"}},{{"x-amz-date":"{date}"}},{conditions}]}}"#
        );
        let policy = BASE64.encode(policy);
        let signature = self.signature(&day, &policy);
        let fields = [
            ("key", key),
            ("Content-Type", content_type),
            ("x-amz-algorithm", "AWS4-HMAC-SHA256"),
            ("x-amz-credential", &credential),
            ("x-amz-date", &date),
            ("policy", &policy),
            ("x-amz-signature", &signature),
        ];
        fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }

    pub(crate) async fn post(&self, fields: &[(String, String)], file: &[u8]) -> Answer {
        let mut body = Vec::new();
        for (name, value) in fields {
            let part = format!("--BOUNDARY\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            body.extend_from_slice(part.as_bytes());
        }
        let head = "--BOUNDARY\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n";
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(file);
        body.extend_from_slice(b"\r\n--BOUNDARY--\r\n");
        let headers = [("content-type", "multipart/form-data; boundary=BOUNDARY")];
        self.send_url(Method::POST, &format!("{}/{BUCKET}", self.endpoint), &headers, body).await
    }

    fn signature(&self, day: &str, text: &str) -> String {
        let mut key = format!("AWS4{}", self.secret).into_bytes();
        for piece in [day, "us-east-1", "s3", "aws4_request"] {
            key = hmac(&key, piece);
        }
        hex(&hmac(&key, text))
    }
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The texts of all XML elements of this name.
    pub(crate) fn all(&self, element: &str) -> Vec<String> {
        let (open, close) = (format!("<{element}>"), format!("</{element}>"));
        self.text().split(&open).skip(1).map(|rest| rest.split(&close).next().unwrap().to_owned()).collect()
    }

    pub(crate) fn one(&self, element: &str) -> String {
        self.all(element).into_iter().next().unwrap_or_else(|| panic!("no <{element}> in {}", self.text()))
    }

    /// Status and S3's code of an error.
    pub(crate) fn error(&self) -> (u16, String) {
        (self.status, self.one("Code"))
    }
}

pub(crate) fn object(key: &str) -> String {
    format!("/{BUCKET}/{key}")
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}
