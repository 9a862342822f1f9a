use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use object_store_storage::{ByteRange, ByteStream, Download, ObjectKey, ObjectMeta, StorageError, StorageResult};
use reqwest::header::{HeaderMap, RANGE};
use reqwest::{Method, Response, StatusCode};
use tokio::time::{Instant, timeout};

use crate::answer::{content_length, content_range, meta};
use crate::bucket::sure_of_absence;
use crate::client::{Client, Request};
use crate::error::{Failure, Operation};
use crate::retry::{Repeat, attempts};
use crate::sign::value;
use crate::target::Resource;

const GET: Operation = Operation::read("get object");
const HEAD: Operation = Operation::read("head object");

/// What a server has to send within [`S3Config::idle_timeout`](crate::S3Config::idle_timeout), unless the object ends. One
/// that lets a body drip is as good as silent. How slow whoever reads it is does not matter.
const LEAST_BYTES: usize = 1024;

/// Beyond every object, and the most that all servers read as a number.
const MAX_POSITION: u64 = i64::MAX as u64;

/// Reads an object or a range of it. Tried again until the head of an answer is there, never after that.
pub(crate) async fn get(client: &Client, key: &ObjectKey, range: Option<ByteRange>) -> StorageResult<Download> {
    if range.is_some_and(|range| range.length == 0 || range.start > MAX_POSITION) {
        return Err(StorageError::RangeNotSatisfiable);
    }
    attempts(&client.patience, Repeat::Idempotent, GET, Some(key), || async move {
        let mut headers = HeaderMap::new();
        if let Some(range) = range {
            let last = range.start.saturating_add(range.length - 1).min(MAX_POSITION);
            headers.insert(RANGE, value(&format!("bytes={}-{last}", range.start))?);
        }
        let request = Request { headers, ..client.request(Method::GET, Resource::Object(key)) };
        match client.send(request).await {
            Ok(response) => download(response, range, client.config.idle_timeout),
            Err(failure) => Err(sure_of_absence(client, failure, key).await),
        }
    })
    .await
}

/// What storage knows about an object.
pub(crate) async fn head(client: &Client, key: &ObjectKey) -> StorageResult<ObjectMeta> {
    head_with_headers(client, key).await.map(|(meta, _)| meta)
}

/// The same, with all that the server says.
pub(crate) async fn head_with_headers(client: &Client, key: &ObjectKey) -> StorageResult<(ObjectMeta, HeaderMap)> {
    attempts(&client.patience, Repeat::Idempotent, HEAD, Some(key), || async move {
        match client.send(client.request(Method::HEAD, Resource::Object(key))).await {
            Ok(response) => {
                let headers = response.headers();
                Ok((meta(headers, content_length(headers)?)?, headers.clone()))
            }
            Err(failure) => Err(sure_of_absence(client, failure, key).await),
        }
    })
    .await
}

fn download(response: Response, range: Option<ByteRange>, idle: Duration) -> Result<Download, Failure> {
    let extent = extent(response.status(), response.headers(), range)?;
    let meta = meta(response.headers(), extent.size)?;
    Ok(Download { meta, length: extent.length, stream: body(response, extent, idle) })
}

/// Which part of an answer's body is what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Extent {
    /// The size of the whole object.
    size: u64,
    /// How many bytes to pass over.
    skip: u64,
    /// How many bytes to yield after that.
    length: u64,
}

fn extent(status: StatusCode, headers: &HeaderMap, range: Option<ByteRange>) -> Result<Extent, Failure> {
    let whole = content_length(headers)?;
    let Some(range) = range else {
        return if status == StatusCode::OK {
            Ok(Extent { size: whole, skip: 0, length: whole })
        } else {
            Err(Failure::Garbled("the answer is not the whole object"))
        };
    };
    if status == StatusCode::PARTIAL_CONTENT {
        let (start, length, size) =
            content_range(headers).ok_or(Failure::Garbled("the answer has no valid Content-Range"))?;
        let expected = range.length.min(size.saturating_sub(range.start));
        if (start, length, whole) != (range.start, expected, expected) {
            return Err(Failure::Garbled("the answer has another range than was asked for"));
        }
        return Ok(Extent { size, skip: 0, length });
    }
    // A server may ignore the range (RFC 9110, section 14.2).
    if range.start >= whole {
        return Err(StorageError::RangeNotSatisfiable.into());
    }
    Ok(Extent { size: whole, skip: range.start, length: range.length.min(whole - range.start) })
}

struct Incoming {
    response: Response,
    skip: u64,
    left: u64,
    idle: Duration,
    /// How long the server was waited for since it last had sent [`LEAST_BYTES`].
    waited: Duration,
    /// How much it has sent since then.
    dripped: usize,
    failed: bool,
}

fn body(response: Response, extent: Extent, idle: Duration) -> ByteStream {
    let incoming = Incoming {
        response,
        skip: extent.skip,
        left: extent.length,
        idle,
        waited: Duration::ZERO,
        dripped: 0,
        failed: false,
    };
    futures::stream::unfold(incoming, |mut incoming| async move {
        if incoming.left == 0 || incoming.failed {
            return None;
        }
        let item = incoming.next().await;
        incoming.failed = item.is_err();
        Some((item, incoming))
    })
    .fuse()
    .boxed()
}

impl Incoming {
    async fn next(&mut self) -> io::Result<Bytes> {
        loop {
            let started = Instant::now();
            let arrived = timeout(self.idle.saturating_sub(self.waited), self.response.chunk()).await;
            self.waited += started.elapsed();
            let mut piece = match arrived {
                Err(_) => return Err(io::Error::new(io::ErrorKind::TimedOut, "storage sends no more of the object")),
                Ok(Err(error)) => return Err(read_error(error)),
                Ok(Ok(None)) => {
                    return Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "the object ends before its announced length",
                    ));
                }
                Ok(Ok(Some(piece))) => piece,
            };
            self.dripped += piece.len();
            if self.dripped >= LEAST_BYTES {
                (self.waited, self.dripped) = (Duration::ZERO, 0);
            }
            let skipped = piece.split_to(cut(self.skip, piece.len()));
            self.skip -= skipped.len() as u64;
            piece.truncate(cut(self.left, piece.len()));
            self.left -= piece.len() as u64;
            if !piece.is_empty() {
                return Ok(piece);
            }
        }
    }
}

/// The smaller of the two.
fn cut(wanted: u64, available: usize) -> usize {
    usize::try_from(wanted).map_or(available, |wanted| wanted.min(available))
}

/// A broken body, with the kind of the cause.
fn read_error(error: reqwest::Error) -> io::Error {
    let error = error.without_url();
    let mut cause: Option<&(dyn StdError + 'static)> = Some(&error);
    let mut kind = io::ErrorKind::UnexpectedEof;
    while let Some(current) = cause {
        if let Some(found) = current.downcast_ref::<io::Error>() {
            kind = found.kind();
        }
        cause = current.source();
    }
    // hyper wraps the early end of a body in an error of the kind Other.
    if kind == io::ErrorKind::Other {
        kind = io::ErrorKind::UnexpectedEof;
    }
    io::Error::new(kind, error)
}

#[cfg(test)]
mod tests {
    use object_store_storage::{ByteRange, StorageError};
    use reqwest::StatusCode;
    use reqwest::header::HeaderMap;

    use super::{Extent, extent};
    use crate::error::Failure;

    fn headers(length: u64, range: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("content-length", length.into());
        if let Some(range) = range {
            headers.insert("content-range", range.parse().unwrap());
        }
        headers
    }

    fn ask(status: StatusCode, headers: &HeaderMap, start: u64, length: u64) -> Result<Extent, Failure> {
        extent(status, headers, Some(ByteRange { start, length }))
    }

    #[test]
    fn an_honoured_range_is_taken_as_it_is() {
        let answer = headers(4, Some("bytes 2-5/10"));
        let found = ask(StatusCode::PARTIAL_CONTENT, &answer, 2, 4).unwrap();
        assert_eq!(found, Extent { size: 10, skip: 0, length: 4 });
        let answer = headers(2, Some("bytes 8-9/10"));
        let found = ask(StatusCode::PARTIAL_CONTENT, &answer, 8, u64::MAX).unwrap();
        assert_eq!(found, Extent { size: 10, skip: 0, length: 2 });
    }

    #[test]
    fn an_ignored_range_is_cut_here() {
        let found = ask(StatusCode::OK, &headers(10, None), 2, 4).unwrap();
        assert_eq!(found, Extent { size: 10, skip: 2, length: 4 });
        let outside = ask(StatusCode::OK, &headers(10, None), 10, 4);
        assert!(matches!(outside, Err(Failure::Storage(StorageError::RangeNotSatisfiable))));
    }

    #[test]
    fn another_range_is_no_answer() {
        for (length, text) in [(4, "bytes 3-6/10"), (3, "bytes 2-4/10"), (4, "bytes 2-5/*"), (9, "bytes 2-5/10")] {
            let answer = headers(length, Some(text));
            let found = ask(StatusCode::PARTIAL_CONTENT, &answer, 2, 4);
            assert!(matches!(found, Err(Failure::Garbled(_))), "{text}");
        }
        let part = extent(StatusCode::PARTIAL_CONTENT, &headers(4, Some("bytes 2-5/10")), None);
        assert!(matches!(part, Err(Failure::Garbled(_))));
    }
}
