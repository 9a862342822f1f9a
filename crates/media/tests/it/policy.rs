//! What is welcome: every refusal that is not about broken bytes, and the source's own failures.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use object_store_media::{
    Budget, Detected, Format, FormatSet, Kind, Limits, MediaError, Policy, detect, identify, probe,
};

use crate::write::{flac, gif, id3, jpeg, mp3_frames, png, samples, syncsafe, tiff, wav};

fn refused(bytes: &[u8], policy: &Policy) -> MediaError {
    probe(Cursor::new(bytes), policy).unwrap_err()
}

#[test]
fn samples_are_what_they_are() {
    for (format, bytes) in samples() {
        let probe = crate::try_probe(&bytes).unwrap();
        assert_eq!(probe.format, format);
        if !bytes.starts_with(b"ID3") {
            assert_eq!(detect(&bytes[..bytes.len().min(4096)]), Detected::Format(format));
        }
        assert!(probe.bytes_read <= 2 * bytes.len() as u64, "{format}");
    }
}

#[test]
fn a_beginning_is_identified() {
    let all = Policy { accepted: FormatSet::all(), ..Policy::default() };
    for (format, bytes) in samples() {
        let head = &bytes[..bytes.len().min(4096)];
        assert_eq!(identify(head, &all).unwrap(), format);
    }
    let tagged = [id3("a", "b"), flac(44_100)].concat();
    let flac_only = Policy { declared: Some("audio/flac".into()), ..Policy::default() };
    assert_eq!(identify(&tagged[..20], &flac_only).unwrap(), Format::Flac);
    assert_eq!(identify(&tagged[..20], &Policy::default()).unwrap(), Format::Mp3);
    // A second tag may be the long one.
    let long = [&b"ID3\x04\0\0"[..], &syncsafe(9 << 20), &[0; 100]].concat();
    assert_eq!(identify(&[id3("a", "b"), long].concat(), &Policy::default()).unwrap(), Format::Mp3);
    let png_only = Policy { declared: Some("image/png".into()), ..Policy::default() };
    assert_eq!(identify(&tagged[..20], &png_only).unwrap_err().code(), "type_mismatch");
    assert_eq!(identify(b"<svg/>", &all).unwrap_err().code(), "unsupported_type");
    assert_eq!(identify(b"", &all).unwrap_err().code(), "empty");
}

#[test]
fn nothing_is_empty() {
    assert_eq!(refused(b"", &Policy::default()).code(), "empty");
}

#[test]
fn optional_formats_have_to_be_asked_for() {
    let error = refused(&tiff(8, 6, 1), &Policy::default());
    assert!(matches!(&error, MediaError::UnsupportedType { detected } if detected == "image/tiff"), "{error}");
    let policy = Policy { accepted: FormatSet::default().with(Format::Tiff), ..Policy::default() };
    assert!(probe(Cursor::new(tiff(8, 6, 1)), &policy).is_ok());
}

#[test]
fn declarations_must_not_contradict() {
    let declared = |declared: &str| Policy { declared: Some(declared.into()), ..Policy::default() };
    let file = jpeg(8, 6, None);
    for fine in ["image/jpeg", "IMAGE/JPG; q=1", "image/pjpeg", "", "application/octet-stream"] {
        assert!(probe(Cursor::new(&file), &declared(fine)).is_ok(), "{fine}");
    }
    let error = refused(&file, &declared("image/png"));
    assert_eq!(
        (error.code(), error.to_string().as_str()),
        ("type_mismatch", "declared as image/png, but the content is image/jpeg")
    );
}

#[test]
fn the_expected_kind_is_asked_for() {
    let policy = Policy { expected: Some(Kind::Image), ..Policy::default() };
    let error = refused(&wav(8000, 1, 16, &[1; 16]), &policy);
    assert_eq!(
        (error.code(), error.to_string().as_str()),
        ("kind_mismatch", "expected image, but the content is audio/wav")
    );
}

#[test]
fn limits_name_themselves_and_what_was_found() {
    let limits = Limits { max_pixels: 40, max_side: 7, max_frames: 2, max_duration_ms: 100, ..Limits::default() };
    let policy = Policy { limits, ..Policy::default() };
    for (file, code, text) in [
        (png(8, 6, &[]), "too_many_pixels", "8x6 is more than 40 pixels"),
        (png(8, 2, &[]), "too_large_side", "a side of 8x2 is longer than 7 pixels"),
        (mp3_frames(5), "too_long", "131 ms are longer than 100 ms"),
    ] {
        let error = refused(&file, &policy);
        assert_eq!((error.code(), error.to_string().as_str()), (code, text));
    }
    let limits = Limits { max_frames: 2, ..Limits::default() };
    assert_eq!(refused(&gif(3), &Policy { limits, ..Policy::default() }).code(), "too_many_frames");
}

#[test]
fn budgets_are_kept() {
    let large = gif(900);
    for (budget, resource) in [
        (Budget { bytes: 8192, ..Budget::default() }, "bytes"),
        (Budget { steps: 100, ..Budget::default() }, "steps"),
        (Budget { seeks: 0, ..Budget::default() }, "seeks"),
    ] {
        let limits = Limits { budget, ..Limits::default() };
        let error = refused(&large, &Policy { limits, ..Policy::default() });
        assert!(matches!(error, MediaError::BudgetExceeded { resource: out, .. } if out == resource), "{error}");
        assert_eq!(error.code(), "budget_exceeded");
    }
}

/// Fails once it has given `left` bytes.
struct Failing {
    inner: Cursor<Vec<u8>>,
    left: usize,
}

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::new(io::ErrorKind::ConnectionReset, "gone"));
        }
        // Short reads, too, must be fine.
        let most = buffer.len().min(self.left).min(7);
        let n = self.inner.read(&mut buffer[..most])?;
        self.left -= n;
        Ok(n)
    }
}

impl Seek for Failing {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

#[test]
fn an_outage_is_not_a_broken_file() {
    let all = Policy { accepted: FormatSet::all(), ..Policy::default() };
    for (format, bytes) in samples() {
        let needed = {
            let source = Failing { inner: Cursor::new(bytes.clone()), left: usize::MAX };
            usize::try_from(probe(source, &all).unwrap().bytes_read).unwrap()
        };
        for left in [0, 5, needed / 2, needed - 1] {
            let source = Failing { inner: Cursor::new(bytes.clone()), left };
            let error = probe(source, &all).unwrap_err();
            assert!(matches!(error, MediaError::Read(_)), "{format} after {left} bytes: {error}");
            assert_eq!(error.code(), "read");
        }
    }
}
