use std::error::Error;

use async_trait::async_trait;
use bytes::{BufMut, Bytes, BytesMut};

/// Why a request got no answer at all.
pub type TransportError = Box<dyn Error + Send + Sync>;

/// Sends the requests that a browser would send with a signed URL or form. It adds no signature, follows no redirect,
/// and answers every status as a [`Response`].
#[async_trait]
pub trait SignedRequestClient: Send + Sync {
    /// Sends one request. `headers` never has `content-length`: the client sets it to the length of `body`.
    async fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(String, String)],
        body: Bytes,
    ) -> Result<Response, TransportError>;

    /// Sends a form as `multipart/form-data`, the fields in order and then the file, as the field `file`. See
    /// [`form_body`].
    async fn post_form(&self, url: &str, fields: &[(String, String)], file: Bytes) -> Result<Response, TransportError>;
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Bytes,
}

impl Response {
    /// The value of a header, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
        header.map(|(_, value)| value.as_str())
    }

    /// 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// 400 to 499.
    pub fn is_refusal(&self) -> bool {
        (400..500).contains(&self.status)
    }
}

/// A form as `multipart/form-data` (RFC 7578), for clients that cannot write one: its content type and its bytes.
pub fn form_body(fields: &[(String, String)], file: &[u8]) -> (String, Bytes) {
    // Fields are base64, keys and types, and the rules' files are letters: neither has this line.
    const BOUNDARY: &str = "----object-store-contract-7d1f0c1b9a3e4f52";
    let mut body = BytesMut::new();
    for (name, value) in fields {
        let part = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.put_slice(part.as_bytes());
    }
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"file\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    );
    body.put_slice(head.as_bytes());
    body.put_slice(file);
    body.put_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={BOUNDARY}"), body.freeze())
}
