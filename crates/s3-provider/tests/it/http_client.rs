use async_trait::async_trait;
use bytes::Bytes;
use object_store_storage::contract::{Response, SignedRequestClient, TransportError, form_body};
use reqwest::redirect::Policy;

/// What a browser would be: it sends what was signed, and adds nothing.
pub(crate) struct HttpClient(reqwest::Client);

impl HttpClient {
    pub(crate) fn new() -> reqwest::Result<Self> {
        Ok(Self(reqwest::Client::builder().redirect(Policy::none()).build()?))
    }

    async fn finish(request: reqwest::RequestBuilder) -> Result<Response, TransportError> {
        let answer = request.send().await?;
        let headers = answer
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        Ok(Response { status: answer.status().as_u16(), headers, body: answer.bytes().await? })
    }
}

#[async_trait]
impl SignedRequestClient for HttpClient {
    async fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(String, String)],
        body: Bytes,
    ) -> Result<Response, TransportError> {
        let mut request = self.0.request(method.parse()?, url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if method != "GET" && method != "HEAD" {
            request = request.header("content-length", body.len()).body(body);
        }
        Self::finish(request).await
    }

    async fn post_form(&self, url: &str, fields: &[(String, String)], file: Bytes) -> Result<Response, TransportError> {
        let (content_type, body) = form_body(fields, &file);
        Self::finish(self.0.post(url).header("content-type", content_type).body(body)).await
    }
}
