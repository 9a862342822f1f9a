//! Lets pages of any origin use signed URLs and forms, as a development server should.

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

const ALLOW_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");
const REQUEST_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-request-private-network");

const EXPOSED: HeaderValue = HeaderValue::from_static("ETag, Content-Length, Content-Range, Content-Disposition");
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, PUT, POST");
const ANY: HeaderValue = HeaderValue::from_static("*");
const TEN_MINUTES: HeaderValue = HeaderValue::from_static("600");

/// The answer to a preflight request (Fetch standard, "CORS-preflight request"); `None` for any other.
pub(crate) fn preflight<B>(request: &Request<B>) -> Option<Response<s3s::Body>> {
    let asked = request.headers();
    let is_preflight = request.method() == Method::OPTIONS
        && asked.contains_key(header::ORIGIN)
        && asked.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if !is_preflight {
        return None;
    }
    let mut response = Response::new(s3s::Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, TEN_MINUTES);
    // `*` would not cover Authorization.
    let wanted = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.unwrap_or(ANY));
    if asked.contains_key(REQUEST_PRIVATE_NETWORK) {
        headers.insert(ALLOW_PRIVATE_NETWORK, HeaderValue::from_static("true"));
    }
    allow(headers);
    Some(response)
}

/// Adds to any answer what lets a page read it.
pub(crate) fn allow(headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
}
