//! What can be read from the bytes with small readers. That real decoders accept these very bytes was checked with
//! ffmpeg, Pillow, flac, webpinfo, djpeg, opusinfo, ogginfo and oggdec; `samples_are_those_that_decoders_accepted` holds
//! them to that.

use std::collections::HashSet;

use super::checksum::{self, crc32};
use super::*;

#[test]
fn samples_are_those_that_decoders_accepted() {
    let digests: Vec<String> =
        gallery_set().iter().map(|sample| format!("{:08x} {}", crc32(&sample.bytes), sample.filename)).collect();
    assert_eq!(
        digests,
        [
            "bfdeb210 Sunset at the lake.jpg",
            "e5299f6a Sunset, phone held upright.jpg",
            "84687a94 Gradient.png",
            "7366b209 Drifting colours.png",
            "53ef3f02 Ripples.gif",
            "9f6142e5 Tartan – Schottenmuster.webp",
            "5c001e8b Pentatonic walk.wav",
            "bd042ad1 Pentatonic walk, wide.wav",
            "233700cb Abenddämmerung.flac",
            "e33a04f4 春の歌.mp3",
            "f68fd5b5 Вечер.m4a",
            "d2bb4bed Evening.ogg",
            "8425a4d8 Quiet.opus",
        ]
    );
}

#[test]
fn the_gallery_has_what_a_demonstration_needs() {
    let gallery = gallery_set();
    let count = |kind| gallery.iter().filter(|sample| sample.kind == kind).count();
    assert!(count(SampleKind::Image) >= 5 && count(SampleKind::Audio) >= 5);
    let names: HashSet<_> = gallery.iter().map(|sample| sample.filename).collect();
    assert_eq!(names.len(), gallery.len());
    for sample in &gallery {
        let start: &[u8] = match sample.content_type {
            "image/jpeg" => b"\xff\xd8\xff",
            "image/png" => b"\x89PNG\r\n\x1a\n",
            "image/gif" => b"GIF89a",
            "image/webp" | "audio/wav" => b"RIFF",
            "audio/flac" => b"fLaC",
            "audio/mpeg" => b"ID3",
            "audio/mp4" => b"\0\0\0\x1cftypM4A ",
            "audio/ogg" => b"OggS",
            other => panic!("{other} is not among the formats"),
        };
        assert!(sample.bytes.starts_with(start), "{sample:?}");
    }
    assert!(gallery.iter().map(|sample| sample.bytes.len()).sum::<usize>() < 2_000_000);
}

#[test]
fn a_png_has_its_size_and_all_its_pixels() {
    let chunks = png_chunks(&png(300, 100));
    let kinds: Vec<&str> = chunks.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["IHDR", "IDAT", "IEND"]);
    assert_eq!(chunks[0].1, b"\0\0\x01\x2c\0\0\0\x64\x08\x02\0\0\0");
    let scanlines = inflate_stored(&chunks[1].1);
    assert_eq!(scanlines.len(), 100 * (1 + 300 * 3));
    assert_eq!(scanlines[..4], [0, 0, 0, 255]);
    assert_eq!(scanlines[scanlines.len() - 3..], [255, 255, 0]);
}

#[test]
fn an_animated_png_numbers_its_frames() {
    let chunks = png_chunks(&apng(8, 6, 4));
    let of_kind = |wanted: &str| chunks.iter().filter(|(kind, _)| kind == wanted).count();
    assert_eq!((of_kind("acTL"), of_kind("fcTL"), of_kind("IDAT"), of_kind("fdAT")), (1, 4, 1, 3));
    assert_eq!(chunks[1].1, [0, 0, 0, 4, 0, 0, 0, 0]);
    let sequence: Vec<u32> =
        chunks.iter().filter(|(kind, _)| kind == "fcTL" || kind == "fdAT").map(|(_, data)| be32(data, 0)).collect();
    assert_eq!(sequence, [0, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_jpeg_has_its_size_and_orientation() {
    let plain = jpeg(33, 17);
    assert!(plain.ends_with(&[0xFF, 0xD9]));
    assert_eq!(jpeg_segment(&plain, 0xC0)[..5], [8, 0, 17, 0, 33]);
    assert_eq!(jpeg_segment(&plain, 0xE0)[..5], *b"JFIF\0");

    let turned = jpeg_with_orientation(33, 17, 6);
    assert_eq!(jpeg_segment(&turned, 0xC0)[..5], [8, 0, 17, 0, 33]);
    assert_eq!(jpeg_segment(&turned, 0xE1)[16..26], [0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6]);
}

#[test]
fn orientation_turns_the_coded_picture() {
    let scans: HashSet<Vec<u8>> = (1..=8)
        .map(|orientation| {
            let file = jpeg_with_orientation(40, 24, orientation);
            file[file.windows(2).position(|pair| pair == [0xFF, 0xDA]).unwrap()..].to_vec()
        })
        .collect();
    assert_eq!(scans.len(), 8);
}

#[test]
fn a_gif_has_its_size_and_frames() {
    for frames in [1, 5] {
        let file = gif(300, 20, frames);
        assert_eq!(file[..10], *b"GIF89a\x2c\x01\x14\x00");
        assert_eq!(gif_frames(&file), frames);
    }
}

#[test]
fn a_webp_has_its_size() {
    for (width, height) in [(1, 1), (300, 20), (16_384, 2)] {
        let file = webp(width, height);
        assert_eq!(le32(&file, 4) as usize, file.len() - 8);
        assert_eq!(file[8..16], *b"WEBPVP8L");
        assert_eq!(file[20], 0x2F);
        let bits = le32(&file, 21);
        assert_eq!((bits & 0x3FFF, bits >> 14 & 0x3FFF), (u32::from(width) - 1, u32::from(height) - 1));
    }
}

#[test]
fn a_wav_has_its_format_and_length() {
    let file = wav(22_050, 1, 24, 333);
    assert_eq!(file[..4], *b"RIFF");
    assert_eq!(le32(&file, 4) as usize, file.len() - 8);
    assert_eq!(file[22..36], *b"\x01\0\x22\x56\0\0\x66\x02\x01\0\x03\0\x18\0");
    // 7,342 samples of three bytes are an even number; one more is not.
    assert_eq!(le32(&file, 40), 7_342 * 3);
    assert_eq!(file.len(), 44 + 7_342 * 3);
    assert_eq!(wav(1000, 1, 24, 1).len(), 44 + 3 + 1);
}

#[test]
fn a_wav_of_eight_bits_is_silent_at_128() {
    assert_eq!(wav(8_000, 1, 8, 1)[44], 128);
    assert_eq!(wav(8_000, 1, 16, 1)[44..46], [0, 0]);
}

#[test]
fn a_flac_tells_what_it_holds() {
    let file = flac(48_000, 2, 500);
    let info = &file[8..42];
    assert_eq!(be32(info, 10) >> 12, 48_000);
    assert_eq!(be32(info, 10) >> 9 & 7, 2 - 1);
    assert_eq!(be32(info, 10) >> 4 & 31, 16 - 1);
    assert_eq!(be32(info, 14), 24_000);
    let samples = &wav(48_000, 2, 16, 500)[44..];
    assert_eq!(info[18..], checksum::md5(samples));
    let tagged = flac_with_tags(8_000, 1, 10, "Täg", "Ärtist");
    assert!(contains(&tagged, "TITLE=Täg".as_bytes()) && contains(&tagged, "ARTIST=Ärtist".as_bytes()));
}

#[test]
fn an_mp3_is_frame_after_frame() {
    let file = mp3(1_000, "Tïtle", "Ärtist");
    let tag_length = 10 + file[6..10].iter().fold(0, |length, byte| length << 7 | usize::from(*byte));
    assert!(contains(&file[..tag_length], "TIT2\0\0\0\x07\0\0\x03Tïtle".as_bytes()));
    let stream = &file[tag_length..];
    assert_eq!(stream[36..40], *b"Info");
    assert_eq!(be32(stream, 44), 39);
    assert_eq!(be32(stream, 48) as usize, stream.len());

    let (mut at, mut frames) = (0, 0);
    while at < stream.len() {
        assert_eq!(stream[at..at + 2], [0xFF, 0xFB], "frame {frames}");
        at += 417 + usize::from(stream[at + 2] >> 1 & 1);
        frames += 1;
    }
    assert_eq!((at, frames), (stream.len(), 40));
}

#[test]
fn an_ogg_opus_ends_where_it_should() {
    let pages = ogg_pages(&ogg_opus(2_500, "Tïtle", "Ärtist"));
    assert_eq!(pages[0].content[..12], *b"OpusHead\x01\x02\x38\x01");
    assert!(contains(&pages[1].content, "TITLE=Tïtle".as_bytes()));
    assert_eq!(pages.last().unwrap().granule, 120_000 + 312);
}

#[test]
fn an_ogg_vorbis_ends_where_it_should() {
    let pages = ogg_pages(&ogg_vorbis(2_500, "Tïtle", "Ärtist"));
    assert_eq!(pages[0].content[..16], *b"\x01vorbis\0\0\0\0\x02\x44\xac\0\0");
    assert!(contains(&pages[1].content, "ARTIST=Ärtist".as_bytes()));
    assert_eq!(pages.last().unwrap().granule, 110_250);
}

#[test]
fn an_m4a_finds_its_sound_wherever_the_index_is() {
    for (file, order) in [
        (m4a(1_000, "Tïtle", "Ärtist"), ["ftyp", "moov", "mdat"]),
        (m4a_moov_at_end(1_000, "Tïtle", "Ärtist"), ["ftyp", "mdat", "moov"]),
    ] {
        let atoms = atoms(&file);
        assert_eq!(atoms.iter().map(|(kind, ..)| kind.as_str()).collect::<Vec<_>>(), order);
        let (_, start, end) = atoms.iter().find(|(kind, ..)| kind == "mdat").unwrap();
        let table = |kind: &[u8]| file.windows(4).position(|four| four == kind).unwrap() + 4;
        assert_eq!(be32(&file, table(b"stco") + 8) as usize, *start);
        let sizes = table(b"stsz");
        let count = be32(&file, sizes + 8) as usize;
        assert_eq!(count, 44);
        let total: u32 = (0..count).map(|block| be32(&file, sizes + 12 + 4 * block)).sum();
        assert_eq!(total as usize, end - start);
        assert_eq!(be32(&file, table(b"mdhd") + 16), 44 * 1024);
        assert!(contains(&file, "\0\0\0\x01\0\0\0\0Tïtle".as_bytes()));
    }
}

#[test]
fn spoiled_files_are_spoiled_as_told() {
    assert_eq!(truncated(b"abc", 2), b"ab");
    assert_eq!(truncated(b"abc", 9), b"abc");
    assert_eq!(with_trailing(b"abc", b"d"), b"abcd");
    let bomb = png_bomb(60_000, 50_000);
    assert!(bomb.len() < 100);
    let header = &png_chunks(&bomb)[0].1;
    assert_eq!((be32(header, 0), be32(header, 4)), (60_000, 50_000));
    assert_eq!(be32(&png_chunks(&png_zero_dimensions())[0].1, 0), 0);
    for (bytes, start) in
        [(svg(), &b"<?xml"[..]), (html(), b"<!DOC"), (pdf(), b"%PDF-"), (elf(), b"\x7fELF"), (zip(), b"PK")]
    {
        assert!(bytes.starts_with(start));
    }
    assert_eq!(html_named_jpeg().1, html());
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn le32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn png_chunks(file: &[u8]) -> Vec<(String, Vec<u8>)> {
    let (mut at, mut chunks) = (8, Vec::new());
    while at < file.len() {
        let length = be32(file, at) as usize;
        let checked = &file[at + 4..at + 8 + length];
        assert_eq!(be32(file, at + 8 + length), crc32(checked));
        chunks.push((String::from_utf8(checked[..4].to_vec()).unwrap(), checked[4..].to_vec()));
        at += 12 + length;
    }
    chunks
}

fn inflate_stored(stream: &[u8]) -> Vec<u8> {
    let (mut at, mut data) = (2, Vec::new());
    loop {
        let length = u16::from_le_bytes([stream[at + 1], stream[at + 2]]);
        assert_eq!(u16::from_le_bytes([stream[at + 3], stream[at + 4]]), !length);
        data.extend_from_slice(&stream[at + 5..at + 5 + usize::from(length)]);
        let last = stream[at] == 1;
        at += 5 + usize::from(length);
        if last {
            assert_eq!(be32(stream, at), checksum::adler32(&data));
            assert_eq!(at + 4, stream.len());
            return data;
        }
    }
}

fn jpeg_segment(file: &[u8], marker: u8) -> &[u8] {
    let mut at = 2;
    loop {
        assert_eq!(file[at], 0xFF);
        let length = usize::from(u16::from_be_bytes([file[at + 2], file[at + 3]]));
        if file[at + 1] == marker {
            return &file[at + 4..at + 2 + length];
        }
        at += 2 + length;
    }
}

fn gif_frames(file: &[u8]) -> u16 {
    let after_blocks = |mut at: usize| {
        while file[at] != 0 {
            at += 1 + usize::from(file[at]);
        }
        at + 1
    };
    let (mut at, mut frames) = (13 + 3 * 128, 0);
    loop {
        match file[at] {
            0x21 => at = after_blocks(at + 2),
            0x2C => {
                frames += 1;
                at = after_blocks(at + 11);
            }
            0x3B => {
                assert_eq!(at + 1, file.len());
                return frames;
            }
            other => panic!("{other:#x} begins no block"),
        }
    }
}

struct Page {
    granule: u64,
    content: Vec<u8>,
}

/// All pages, their checksums and numbers checked.
fn ogg_pages(file: &[u8]) -> Vec<Page> {
    let (mut at, mut pages) = (0, Vec::new());
    while at < file.len() {
        let segments = usize::from(file[at + 26]);
        let start = at + 27 + segments;
        let end = start + file[at + 27..start].iter().map(|length| usize::from(*length)).sum::<usize>();
        let mut page = file[at..end].to_vec();
        assert_eq!(le32(&page, 18) as usize, pages.len());
        let flags = match (pages.len(), end == file.len()) {
            (0, _) => 2,
            (_, true) => 4,
            _ => 0,
        };
        assert_eq!(page[5], flags);
        let told = le32(&page, 22);
        page[22..26].fill(0);
        assert_eq!(told, checksum::ogg(&page));
        let granule = u64::from_le_bytes(page[6..14].try_into().unwrap());
        pages.push(Page { granule, content: file[start..end].to_vec() });
        at = end;
    }
    pages
}

/// The kinds of the outermost atoms, and where their contents begin and end.
fn atoms(file: &[u8]) -> Vec<(String, usize, usize)> {
    let (mut at, mut atoms) = (0, Vec::new());
    while at < file.len() {
        let end = at + be32(file, at) as usize;
        atoms.push((String::from_utf8(file[at + 4..at + 8].to_vec()).unwrap(), at + 8, end));
        at = end;
    }
    assert_eq!(at, file.len());
    atoms
}
