use super::checksum::{adler32, crc32};
use super::pictures::{Picture, gradient, pixels};

/// The first eight bytes of every PNG.
const SIGNATURE: &[u8; 8] = b"\x89PNG\r\n\x1a\n";

/// A PNG of a colour gradient: 8 bits a channel, RGB, not interlaced, not compressed (about three bytes a pixel).
///
/// Facts: `image/png`, `width` × `height`, one frame, no orientation.
pub fn png(width: u16, height: u16) -> Vec<u8> {
    let (width, height) = (u32::from(width), u32::from(height));
    let mut file = start(width, height);
    chunk(&mut file, *b"IDAT", &zlib(&scanlines(width, height, 0, gradient)));
    chunk(&mut file, *b"IEND", &[]);
    file
}

/// An animated PNG: the gradient moves to the left, ten frames a second, for ever.
///
/// Facts: `image/png`, `width` × `height`, `frames` frames. The first frame is what a viewer without animation shows.
pub fn apng(width: u16, height: u16, frames: u16) -> Vec<u8> {
    let (width, height, frames) = (u32::from(width), u32::from(height), u32::from(frames));
    let mut file = start(width, height);
    chunk(&mut file, *b"acTL", &[frames.to_be_bytes(), 0_u32.to_be_bytes()].concat());
    let mut sequence = 0;
    for frame in 0..frames {
        chunk(&mut file, *b"fcTL", &frame_control(sequence, width, height));
        sequence += 1;
        let picture = zlib(&scanlines(width, height, frame * width / frames, gradient));
        if frame == 0 {
            chunk(&mut file, *b"IDAT", &picture);
        } else {
            chunk(&mut file, *b"fdAT", &[&sequence.to_be_bytes()[..], &picture].concat());
            sequence += 1;
        }
    }
    chunk(&mut file, *b"IEND", &[]);
    file
}

/// A PNG whose header claims any size, with a picture of `scanlines` inside.
pub(super) fn with_claimed_size(width: u32, height: u32, scanlines: &[u8]) -> Vec<u8> {
    let mut file = start(width, height);
    chunk(&mut file, *b"IDAT", &zlib(scanlines));
    chunk(&mut file, *b"IEND", &[]);
    file
}

fn start(width: u32, height: u32) -> Vec<u8> {
    // 8 bits a channel; colour type 2 is RGB; compression, filter method and interlacing 0.
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    let mut file = SIGNATURE.to_vec();
    chunk(&mut file, *b"IHDR", &header);
    file
}

fn frame_control(sequence: u32, width: u32, height: u32) -> Vec<u8> {
    let mut control: Vec<u8> = [sequence, width, height, 0, 0].iter().flat_map(|field| field.to_be_bytes()).collect();
    // A tenth of a second; neither dispose nor blend.
    control.extend_from_slice(&[0, 1, 0, 10, 0, 0]);
    control
}

fn scanlines(width: u32, height: u32, shift: u32, picture: Picture) -> Vec<u8> {
    pixels(width, height)
        .flat_map(|(x, y)| {
            let filter = (x == 0).then_some(0);
            filter.into_iter().chain(picture((x + shift) % width, y, width, height))
        })
        .collect()
}

fn chunk(file: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    let checked = [&kind[..], data].concat();
    file.extend_from_slice(&length(data).to_be_bytes());
    file.extend_from_slice(&checked);
    file.extend_from_slice(&crc32(&checked).to_be_bytes());
}

/// A zlib stream (RFC 1950) of stored blocks (RFC 1951, section 3.2.4).
fn zlib(data: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let mut blocks = data.chunks(usize::from(u16::MAX)).peekable();
    while let Some(block) = blocks.next() {
        let [low, high, ..] = length(block).to_le_bytes();
        stream.push(u8::from(blocks.peek().is_none()));
        stream.extend_from_slice(&[low, high, !low, !high]);
        stream.extend_from_slice(block);
    }
    stream.extend_from_slice(&adler32(data).to_be_bytes());
    stream
}

fn length(data: &[u8]) -> u32 {
    u32::try_from(data.len()).unwrap_or(u32::MAX)
}
