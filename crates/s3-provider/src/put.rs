use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::StreamExt;
use md5::{Digest, Md5};
use object_store_storage::{Body, ByteStream, ObjectKey, PutOptions, PutOutcome, StorageError, StorageResult};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use std::sync::Arc;

use crate::answer::etag;
use crate::client::{Client, Payload, Request};
use crate::error::{Failure, Operation};
use crate::multipart;
use crate::retry::{Repeat, attempts};
use crate::sign::value;
use crate::target::Resource;

/// The largest object that one request may carry (AWS User Guide, "Amazon S3 multipart upload limits").
pub(crate) const MAX_SINGLE_BYTES: u64 = 5 << 30;

/// The most of an answer to a write that is read.
pub(crate) const SMALL_ANSWER_BYTES: usize = 64 * 1024;

/// Bodies up to this size are sent with an MD5 even if nobody asks for it.
const HASHED_BYTES: usize = 8 << 20;

/// What is hashed on the spot: about 2 ms of work, more goes to a thread that may block.
const HASHED_AT_ONCE_BYTES: usize = 1 << 20;

const PUT: Operation = Operation::write("put object").transferring();

/// Stores a body: of known length with one request, of unknown length in parts.
pub(crate) async fn put(
    client: &Arc<Client>,
    key: &ObjectKey,
    body: Body,
    options: &PutOptions,
) -> StorageResult<PutOutcome> {
    match body {
        Body::Bytes(bytes) if bytes.len() as u64 <= MAX_SINGLE_BYTES => put_bytes(client, key, bytes, options).await,
        Body::Stream { stream, length: Some(0) } => {
            expect_end(stream).await?;
            put_bytes(client, key, Bytes::new(), options).await
        }
        Body::Stream { stream, length: Some(length) } if length <= MAX_SINGLE_BYTES => {
            put_stream(client, key, stream, length, options).await
        }
        body => {
            let length = body.length();
            multipart::put(client, key, body.into_stream(), length, options).await
        }
    }
}

/// Stores what is in memory. Tried again where a failure had no effect.
pub(crate) async fn put_bytes(
    client: &Client,
    key: &ObjectKey,
    bytes: Bytes,
    options: &PutOptions,
) -> StorageResult<PutOutcome> {
    let md5 = match options.content_md5 {
        Some(announced) if md5_of(&bytes).await? == announced => Some(announced),
        Some(_) => return Err(StorageError::Corrupted { reason: "the body has another MD5 than announced" }),
        None if bytes.len() <= HASHED_BYTES => Some(md5_of(&bytes).await?),
        None => None,
    };
    let headers = headers(options, md5)?;
    let size_bytes = bytes.len() as u64;
    let (bytes, headers) = (&bytes, &headers);
    attempts(&client.patience, Repeat::WithoutEffect, PUT, Some(key), || async move {
        send(client, key, Payload::Bytes(bytes.clone()), headers.clone(), size_bytes).await
    })
    .await
}

/// Stores a stream while it is read.
async fn put_stream(
    client: &Client,
    key: &ObjectKey,
    stream: ByteStream,
    length: u64,
    options: &PutOptions,
) -> StorageResult<PutOutcome> {
    let headers = headers(options, options.content_md5)?;
    let mut payload = Some(Payload::Stream { stream, length, md5: options.content_md5 });
    attempts(&client.patience, Repeat::Never, PUT, Some(key), || {
        let (payload, headers) = (payload.take().unwrap_or(Payload::None), headers.clone());
        async move { send(client, key, payload, headers, length).await }
    })
    .await
}

async fn send(
    client: &Client,
    key: &ObjectKey,
    payload: Payload,
    headers: HeaderMap,
    size_bytes: u64,
) -> Result<PutOutcome, Failure> {
    let request = Request { headers, payload, ..client.request(Method::PUT, Resource::Object(key)) };
    let response = client.send(request).await?;
    let etag = etag(response.headers())?;
    client.read(response, SMALL_ANSWER_BYTES).await?;
    Ok(PutOutcome { etag, size_bytes })
}

fn headers(options: &PutOptions, md5: Option<[u8; 16]>) -> StorageResult<HeaderMap> {
    let mut headers = object_headers(options)?;
    if let Some(md5) = md5 {
        headers.insert("content-md5", value(&STANDARD.encode(md5))?);
    }
    Ok(headers)
}

/// What an object is stored with.
pub(crate) fn object_headers(options: &PutOptions) -> StorageResult<HeaderMap> {
    let mut headers = HeaderMap::new();
    if !options.content_type.is_empty() {
        headers.insert(CONTENT_TYPE, value(&options.content_type)?);
    }
    Ok(headers)
}

pub(crate) async fn md5_of(bytes: &Bytes) -> StorageResult<[u8; 16]> {
    if bytes.len() <= HASHED_AT_ONCE_BYTES {
        return Ok(Md5::digest(bytes).into());
    }
    let bytes = bytes.clone();
    tokio::task::spawn_blocking(move || Md5::digest(&bytes).into()).await.map_err(|stopped| StorageError::Other {
        reason: "the hashing of a body was stopped".into(),
        source: Some(Box::new(stopped)),
    })
}

async fn expect_end(mut stream: ByteStream) -> StorageResult<()> {
    while let Some(piece) = stream.next().await {
        if !piece.map_err(StorageError::Body)?.is_empty() {
            return Err(StorageError::Corrupted { reason: "the body is longer than announced" });
        }
    }
    Ok(())
}
