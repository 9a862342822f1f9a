//! Files that are two things at once: media that an unpacker opens, or a browser runs.

use object_store_media::Format;

use crate::refusal;
use crate::write::{
    gif, jpeg, jpeg_segment, mp3_frames, png, riff, samples, scan, wav, wav_form, webp_extended, webp_lossy,
};

const TOO: &str = "it is an archive, too";

/// The end of an archive: its directory, and the record behind it with a comment.
fn archive(comment: &[u8]) -> Vec<u8> {
    let len = u16::try_from(comment.len()).unwrap().to_le_bytes();
    let directory = [&b"PK\x01\x02"[..], &[0; 42]].concat();
    let sizes = [46_u32.to_le_bytes(), 0_u32.to_le_bytes()].concat();
    [&directory[..], b"PK\x05\x06", &[0, 0, 0, 0, 1, 0, 1, 0], &sizes, &len, comment].concat()
}

fn is_refused_as_archive(name: &str, file: &[u8]) {
    let (code, text) = refusal(file);
    assert!(code == "trailing_data" || text.ends_with(TOO), "{name}: {text}");
}

#[test]
fn an_archive_behind_any_format_is_refused() {
    for (format, sample) in samples() {
        let (code, text) = refusal(&[sample, archive(b"")].concat());
        assert!(matches!(code, "trailing_data" | "corrupt"), "{format}: {text}");
    }
    // Nor is it accepted behind much sound.
    is_refused_as_archive("mp3", &[mp3_frames(500), archive(b"hello")].concat());
}

#[test]
fn an_archive_behind_a_photo_is_refused_whatever_its_comment_looks_like() {
    let small = jpeg(8, 6, None);
    let large = [&small[..small.len() - 2], &scan(200_000), b"\xff\xd9"].concat();
    let ended = |comment: Vec<u8>| [comment, b"\xff\xd9".to_vec()].concat();
    let comments = [
        Vec::new(),
        b"short".to_vec(),
        vec![b'a'; 65_535],
        ended(vec![0; 65_533]),
        ended(b"The quick brown fox jumps over the lazy dog. ".repeat(1400)),
        // As dense as image data, and ending as a picture does.
        ended(scan(33_000)),
        ended(scan(65_500)),
    ];
    for comment in comments {
        for picture in [&large, &small] {
            let file = [picture.clone(), archive(&comment)].concat();
            assert_eq!(refusal(&file).0, "trailing_data", "a comment of {} bytes", comment.len());
        }
    }
}

#[test]
fn an_archive_in_comments_and_metadata_is_refused() {
    let hidden = archive(b"");
    let with_length = |data: &[u8]| [&[u8::try_from(data.len()).unwrap()], data, &[0]].concat();
    let mut photo = jpeg(8, 6, None);
    photo.splice(2..2, jpeg_segment(0xFE, &hidden));
    let mut animation = gif(3);
    animation.splice(19..19, [b"\x21\xfe".to_vec(), with_length(&hidden)].concat());
    let still = (b"VP8 ", vec![0; 18]);
    let sound = [(b"fmt ", wav_form(1, 8000, 1, 16)), (b"junk", hidden.clone()), (b"data", vec![1; 9000])];
    for (name, file) in [
        ("png", png(8, 6, &[(b"tEXt", hidden.clone()), (b"IDAT", vec![1; 9000])])),
        ("webp", webp_lossy(8, 6, &[(b"XMP ", hidden.clone())])),
        ("webp", webp_extended(640, 480, &[(b"ICCP", hidden.clone()), still])),
        ("jpeg", photo),
        ("gif", animation),
        ("wav", riff(b"RIFF", b"WAVE", &sound)),
    ] {
        let (code, text) = refusal(&file);
        assert_eq!((code, text), ("corrupt", format!("not a valid {name} file: {TOO}")));
    }
}

#[test]
fn records_that_contradict_themselves_count_where_a_directory_is() {
    let text = |data: Vec<u8>| png(8, 6, &[(b"tEXt", data)]);
    // Another number of entries on this disk than on all: forgiven by unpackers that only follow the sizes.
    let mut odd = archive(b"");
    odd[46 + 8] = 7;
    is_refused_as_archive("a directory by its size", &text(odd));
    let large = [&b"PK\x06\x07"[..], &[0; 16], b"PK\x05\x06", &[1; 18]].concat();
    is_refused_as_archive("a locator of a large archive", &text(large));
    // Four bytes of coded data.
    let chance = [&b"PK\x05\x06"[..], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]].concat();
    assert_eq!(crate::try_probe(&text(chance)).unwrap().format, Format::Png);
}

#[test]
fn markup_behind_a_photo_is_refused_however_far_its_end_is() {
    let markup = b"<svg onload=alert(1)>".to_vec();
    let filling = b"ab\xff\x01".repeat(20_000);
    for behind in [markup.clone(), [filling.clone(), markup].concat()] {
        assert_eq!(refusal(&[jpeg(8, 6, None), behind].concat()).0, "trailing_data");
    }
    assert!(crate::try_probe(&[jpeg(8, 6, None), filling].concat()).is_ok(), "a camera's own data");
}

#[test]
fn an_end_made_of_sound_costs_little() {
    let probe = crate::try_probe(&wav(8000, 1, 16, &vec![1; 1 << 20])).unwrap();
    assert!(probe.bytes_read <= 16 << 10, "{} bytes", probe.bytes_read);
}
