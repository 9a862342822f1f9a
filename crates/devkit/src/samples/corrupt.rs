//! Files that must be refused, and ways to spoil good ones.

use super::png;

/// The first `length` bytes, or all when there are fewer.
pub fn truncated(bytes: &[u8], length: usize) -> Vec<u8> {
    bytes[..length.min(bytes.len())].to_vec()
}

/// A file with something after its end.
pub fn with_trailing(bytes: &[u8], tail: &[u8]) -> Vec<u8> {
    [bytes, tail].concat()
}

/// A PNG of about 70 bytes whose header claims `width` × `height`, with right checksums. The picture is a single
/// pixel.
pub fn png_bomb(width: u32, height: u32) -> Vec<u8> {
    png::with_claimed_size(width, height, &[0, 0, 0, 0])
}

/// A PNG of 0 × 0 pixels, with right checksums.
pub fn png_zero_dimensions() -> Vec<u8> {
    png::with_claimed_size(0, 0, &[0])
}

/// An SVG that would run a script.
pub fn svg() -> Vec<u8> {
    br#"<?xml version="1.0"?>
<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"><script>alert(1)</script></svg>
"#
    .to_vec()
}

/// A page that would run a script.
pub fn html() -> Vec<u8> {
    b"<!DOCTYPE html>\n<html><body><script>alert(1)</script></body></html>\n".to_vec()
}

/// A page under the name of a picture: the name and the bytes.
pub fn html_named_jpeg() -> (&'static str, Vec<u8>) {
    ("holiday.jpg", html())
}

/// A PDF of one empty page.
pub fn pdf() -> Vec<u8> {
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 72 72] >>",
    ];
    let mut body = b"%PDF-1.4\n".to_vec();
    let mut table = b"xref\n0 4\n0000000000 65535 f \n".to_vec();
    for (number, object) in (1..).zip(objects) {
        table.extend_from_slice(format!("{:010} 00000 n \n", body.len()).as_bytes());
        body.extend_from_slice(format!("{number} 0 obj\n{object}\nendobj\n").as_bytes());
    }
    let end = format!("trailer\n<< /Size 4 /Root 1 0 R >>\nstartxref\n{}\n%%EOF\n", body.len());
    [body, table, end.into_bytes()].concat()
}

/// The header of a 64-bit Linux program (ELF, x86-64) with nothing to run.
pub fn elf() -> Vec<u8> {
    let mut header = b"\x7fELF\x02\x01\x01".to_vec();
    header.resize(16, 0);
    header.extend_from_slice(&[2, 0, 0x3E, 0, 1, 0, 0, 0]);
    header.resize(52, 0);
    header.extend_from_slice(&[64, 0, 56, 0, 0, 0, 64, 0, 0, 0, 0, 0]);
    header
}

/// A ZIP archive with nothing in it: the end record alone.
pub fn zip() -> Vec<u8> {
    let mut archive = b"PK\x05\x06".to_vec();
    archive.resize(22, 0);
    archive
}
