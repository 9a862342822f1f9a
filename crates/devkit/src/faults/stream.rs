use std::io;

use bytes::Bytes;
use futures::{StreamExt, stream};
use object_store_storage::{ByteStream, Download};

use super::Fault;

/// A download that breaks or lies as the fault says.
pub(super) fn spoil(download: Download, fault: Option<Fault>) -> Download {
    let stream = match fault {
        Some(Fault::CutDownload { after_bytes }) => cut(download.stream, after_bytes),
        Some(Fault::FlipDownload { at }) => flip(download.stream, at),
        _ => download.stream,
    };
    Download { stream, ..download }
}

fn cut(stream: ByteStream, after_bytes: u64) -> ByteStream {
    let arriving = stream.scan(after_bytes, |left, piece| {
        let piece = (*left > 0).then(|| piece.map(|bytes| first(&bytes, left)));
        std::future::ready(piece)
    });
    let broken = io::Error::new(io::ErrorKind::UnexpectedEof, "the connection broke");
    arriving.chain(stream::once(async move { Err(broken) })).boxed()
}

fn first(bytes: &Bytes, left: &mut u64) -> Bytes {
    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
    *left -= taken as u64;
    bytes.slice(..taken)
}

fn flip(stream: ByteStream, at: u64) -> ByteStream {
    let mut passed = 0;
    stream
        .map(move |piece| {
            piece.map(|bytes| {
                let place = usize::try_from(at.wrapping_sub(passed)).unwrap_or(usize::MAX);
                passed += bytes.len() as u64;
                flipped(bytes, place)
            })
        })
        .boxed()
}

fn flipped(bytes: Bytes, place: usize) -> Bytes {
    if place >= bytes.len() {
        return bytes;
    }
    let mut changed = bytes.to_vec();
    if let Some(byte) = changed.get_mut(place) {
        *byte ^= 1;
    }
    changed.into()
}
