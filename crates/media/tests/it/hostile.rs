//! Whatever the bytes: facts or a typed error, within bounds, and no panic.

use object_store_media::{Facts, MediaError, Probe, detect};

use crate::write::{id3, mp3_frames, mp4_box, png, riff, samples, syncsafe, wav_form};
use crate::{refusal, try_probe};

/// Facts keep their promises.
pub(crate) fn check(probe: &Probe) {
    match &probe.facts {
        Facts::Image(facts) => {
            assert!(facts.width > 0 && facts.height > 0 && facts.frame_count > 0, "{facts:?}");
            assert!((1..=8).contains(&facts.orientation), "{facts:?}");
        }
        Facts::Audio(facts) => {
            assert!(facts.sample_rate > 0 && facts.channels > 0, "{facts:?}");
            let unknown = facts.duration_source == object_store_media::DurationSource::Unknown;
            assert_eq!(facts.duration_ms.is_none(), unknown, "{facts:?}");
        }
    }
}

#[test]
fn every_prefix_is_refused_or_described() {
    for (format, bytes) in samples() {
        for len in 0..bytes.len() {
            let prefix = &bytes[..len];
            if len < 4096 {
                assert!(!detect(prefix).name().is_empty());
            }
            match try_probe(prefix) {
                Ok(probe) => check(&probe),
                Err(MediaError::Read(error)) => panic!("{format} of {len} bytes: {error}"),
                Err(error) => assert!(!error.to_string().contains("without a failure"), "{format} of {len} bytes"),
            }
        }
    }
}

#[test]
fn endless_structures_end() {
    let empty_chunks = [b"RIFF\xff\xff\xff\xffWAVE".to_vec(), b"junk\0\0\0\0".repeat(600_000)].concat();
    assert_eq!(refusal(&empty_chunks).0, "budget_exceeded");
    let mut nested = Vec::new();
    for _ in 0..2000 {
        nested = mp4_box(b"meta", &[&[0; 4], &nested]);
    }
    let nested = [mp4_box(b"ftyp", &[b"avif", &[0; 4]]), nested].concat();
    assert_eq!(refusal(&nested).1, "not a valid avif file: it names no primary picture");
    let mut looping = crate::write::tiff(8, 6, 1);
    let next_at = looping.len() - 4;
    looping[next_at] = 8;
    assert_eq!(crate::image(&looping).frame_count, 1);
}

#[test]
fn claims_beyond_the_file_are_seen() {
    let large_tag = [b"ID3\x04\0\0".to_vec(), syncsafe(200 << 20).to_vec(), mp3_frames(3)].concat();
    assert_eq!(refusal(&large_tag).1, "not a valid mp3 file: its ID3 tag is larger than the file");
    let only_tag = id3("a", "b");
    assert_eq!(refusal(&only_tag).0, "corrupt");
    let endless_box =
        [mp4_box(b"ftyp", &[b"M4A ", &[0; 4]]), vec![0, 0, 0, 1], b"free".to_vec(), vec![0xFF; 8]].concat();
    assert_eq!(refusal(&endless_box).1, "not a valid m4a file: a box size is absurd");
    let rates = riff(b"RIFF", b"WAVE", &[(b"fmt ", wav_form(1, u32::MAX / 4, 1, 8)), (b"data", vec![0; 8])]);
    assert_eq!(refusal(&rates).1, "not a valid wav file: its sample rate or number of channels is absurd");
}

#[test]
fn pictures_in_tags_are_not_read() {
    let picture = [b"APIC".to_vec(), 1_500_000_u32.to_be_bytes().to_vec(), vec![0; 2 + 1_500_000]].concat();
    let title = b"TIT2\0\0\0\x03\0\0\x03Hi";
    let frames = [picture, title.to_vec()].concat();
    let len = u32::try_from(frames.len()).unwrap();
    let file = [b"ID3\x03\0\0".to_vec(), syncsafe(len).to_vec(), frames, mp3_frames(50)].concat();
    let probe = try_probe(&file).unwrap();
    assert!(probe.bytes_read < 64 << 10, "{} bytes", probe.bytes_read);
    assert!(matches!(probe.facts, Facts::Audio(facts) if facts.title.as_deref() == Some("Hi")));
}

#[test]
fn bombs_are_refused_from_the_header() {
    assert_eq!(
        refusal(&png(30_000, 30_000, &[])),
        ("too_many_pixels", "30000x30000 is more than 50000000 pixels".into())
    );
    assert_eq!(refusal(&png(0, 5, &[])).0, "corrupt");
    assert_eq!(
        refusal(b"\xef\xbb\xbf<!-- a --><svg onload=alert(1)>").1,
        "files of type image/svg+xml are not accepted"
    );
    let long_comment = [b"<!--".to_vec(), vec![b' '; 9000], b"--><svg>".to_vec()].concat();
    assert_eq!(refusal(&long_comment).1, "files of type image/svg+xml are not accepted");
}
