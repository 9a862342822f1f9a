//! Writers of small files. They write what a test says, true or not.

#![expect(clippy::trivially_copy_pass_by_ref, reason = "byte string literals are references")]

use object_store_media::Format;

/// One whole file of each kind, with its format.
pub(crate) fn samples() -> Vec<(Format, Vec<u8>)> {
    vec![
        (Format::Png, png(8, 6, &[])),
        (Format::Png, png(8, 6, &[(b"acTL", [2_u32.to_be_bytes(), [0; 4]].concat()), (b"eXIf", exif(6))])),
        (Format::Jpeg, jpeg(8, 6, Some(8))),
        (Format::Gif, gif(3)),
        (Format::WebP, webp_lossy(8, 6, &[])),
        (Format::WebP, webp_extended(8, 6, &[(b"ANMF", vec![0; 16]), (b"ANMF", vec![0; 16])])),
        (Format::Avif, avif(b"avif", 64, 48, Some(1), None)),
        (Format::Heic, avif(b"heic", 64, 48, None, Some(0))),
        (Format::Tiff, tiff(8, 6, 3)),
        (Format::Bmp, bmp(8, -6)),
        (Format::Wav, wav(8000, 2, 16, &[1; 3200])),
        (Format::Wav, rf64(8000, 1, 16, &[1; 1600])),
        (Format::Mp3, mp3_frames(20)),
        (Format::Mp3, [id3("Song", "Band"), mp3_with_xing(100, 576, 1000)].concat()),
        (Format::Flac, flac(44_100)),
        (Format::OggVorbis, ogg_vorbis(44_100, 2, 88_200)),
        (Format::OggOpus, ogg_opus(2, 312, 48_312)),
        (Format::Mp4Audio, m4a(b"mp4a", 88_200)),
        (Format::Mp4Audio, m4a(b"alac", 88_200)),
        (Format::Aiff, aiff(44_100)),
        (Format::WebmAudio, webm("A_OPUS", 2)),
        (Format::Adts, adts(30)),
    ]
}

// --- pictures ---

/// A chunk of a PNG; the checksum is not looked at by anyone here.
fn png_chunk(kind: &[u8], data: &[u8]) -> Vec<u8> {
    [&len32(data).to_be_bytes(), kind, data, &[0; 4]].concat()
}

pub(crate) fn png(width: u32, height: u32, before_data: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let ihdr = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 6, 0, 0, 0]].concat();
    let mut file = [b"\x89PNG\r\n\x1a\n".to_vec(), png_chunk(b"IHDR", &ihdr)].concat();
    for (kind, data) in before_data {
        file.extend(png_chunk(*kind, data));
    }
    file.extend(png_chunk(b"IDAT", &[0; 12]));
    file.extend(png_chunk(b"IEND", &[]));
    file
}

/// A TIFF block with an orientation, as EXIF has it.
pub(crate) fn exif(orientation: u16) -> Vec<u8> {
    let entry = [&[0x12, 1, 3, 0, 1, 0, 0, 0][..], &orientation.to_le_bytes(), &[0; 6]].concat();
    [b"II*\0\x08\0\0\0\x01\0".to_vec(), entry].concat()
}

pub(crate) fn jpeg_segment(marker: u8, data: &[u8]) -> Vec<u8> {
    let len = u16::try_from(data.len() + 2).unwrap();
    [&[0xFF, marker][..], &len.to_be_bytes(), data].concat()
}

pub(crate) fn jpeg(width: u16, height: u16, orientation: Option<u16>) -> Vec<u8> {
    let mut file = vec![0xFF, 0xD8];
    if let Some(orientation) = orientation {
        file.extend(jpeg_segment(0xE1, &[b"Exif\0\0".to_vec(), exif(orientation)].concat()));
    }
    let sof = [&[8][..], &height.to_be_bytes(), &width.to_be_bytes(), &[1, 1, 0x11, 0]].concat();
    file.extend(jpeg_segment(0xC0, &sof));
    file.extend(jpeg_segment(0xDA, &[1, 1, 0, 0, 63, 0]));
    file.extend([0x55; 20]);
    file.extend([0xFF, 0xD9]);
    file
}

/// Coded data as dense as real ones, with FF escaped.
pub(crate) fn scan(len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut scan = Vec::with_capacity(len + 2);
    while scan.len() < len {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let byte = u8::try_from(state >> 24).unwrap();
        scan.push(byte);
        scan.extend((byte == 0xFF).then_some(0));
    }
    scan
}

pub(crate) fn gif(frames: usize) -> Vec<u8> {
    let mut file = b"GIF89a\x0a\0\x05\0\x80\0\0\0\0\0\xff\xff\xff".to_vec();
    for _ in 0..frames {
        file.extend(b"\x21\xf9\x04\x01\0\0\0\0");
        file.extend(b"\x2c\0\0\0\0\x0a\0\x05\0\0\x02\x02\x44\x01\0");
    }
    file.push(0x3B);
    file
}

pub(crate) fn riff(id: &[u8; 4], form: &[u8; 4], chunks: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut body = form.to_vec();
    for (id, data) in chunks {
        body.extend([&id[..], &len32(data).to_le_bytes(), data].concat());
        body.resize(body.len().next_multiple_of(2), 0);
    }
    [&id[..], &len32(&body).to_le_bytes(), &body].concat()
}

/// `scale` of the test is in the upper bits of the sizes.
pub(crate) fn webp_lossy(width: u16, height: u16, more: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let frame = [&[0x10, 0, 0, 0x9D, 1, 0x2A][..], &width.to_le_bytes(), &height.to_le_bytes(), &[0; 8]].concat();
    riff(b"RIFF", b"WEBP", &[&[(b"VP8 ", frame)], more].concat())
}

pub(crate) fn webp_extended(width: u32, height: u32, more: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let side = |side: u32| (side - 1).to_le_bytes()[..3].to_vec();
    let header = [vec![0x12, 0, 0, 0], side(width), side(height)].concat();
    riff(b"RIFF", b"WEBP", &[&[(b"VP8X", header)], more].concat())
}

pub(crate) fn mp4_box(kind: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [&(len32(&body) + 8).to_be_bytes()[..], kind, &body].concat()
}

pub(crate) fn avif(brand: &[u8; 4], width: u32, height: u32, irot: Option<u8>, imir: Option<u8>) -> Vec<u8> {
    let turns = [(b"irot", irot), (b"imir", imir)];
    let turns = turns.iter().filter_map(|(kind, value)| Some(mp4_box(kind, &[&[(*value)?]])));
    avif_with(brand, b"mif1", width, height, turns.collect())
}

/// The primary item is the second; the first is larger and not meant.
pub(crate) fn avif_with(brand: &[u8; 4], compatible: &[u8; 4], width: u32, height: u32, more: Vec<Vec<u8>>) -> Vec<u8> {
    let ispe = |width: u32, height: u32| mp4_box(b"ispe", &[&[0; 4], &width.to_be_bytes(), &height.to_be_bytes()]);
    let mut properties = vec![ispe(4000, 3000), ispe(width, height)];
    let mut indexes = vec![2_u8];
    for property in more {
        properties.push(property);
        indexes.push(0x80 | u8::try_from(properties.len()).unwrap());
    }
    let count = [u8::try_from(indexes.len()).unwrap()];
    let ipma = mp4_box(b"ipma", &[&[0; 4], &2_u32.to_be_bytes(), &[0, 1, 1, 1], &[0, 2], &count, &indexes]);
    let iprp = mp4_box(b"iprp", &[&mp4_box(b"ipco", &[&properties.concat()]), &ipma]);
    let pitm = mp4_box(b"pitm", &[&[0; 4], &[0, 2]]);
    let meta = mp4_box(b"meta", &[&[0; 4], &pitm, &iprp]);
    [mp4_box(b"ftyp", &[brand, &[0; 4], compatible, brand]), meta, mp4_box(b"mdat", &[&[0; 16]])].concat()
}

pub(crate) fn tiff(width: u16, height: u16, orientation: u16) -> Vec<u8> {
    tiff_with(width, height, &[&[&[0x12, 1, 3, 0, 1, 0, 0, 0][..], &orientation.to_le_bytes(), &[0; 2]].concat()])
}

/// With more fields of twelve bytes.
pub(crate) fn tiff_with(width: u16, height: u16, more: &[&[u8]]) -> Vec<u8> {
    let mut file = b"II*\0\x08\0\0\0".to_vec();
    file.extend(u16::try_from(2 + more.len()).unwrap().to_le_bytes());
    for (tag, value) in [(0x100_u16, width), (0x101, height)] {
        file.extend([&tag.to_le_bytes()[..], &[3, 0, 1, 0, 0, 0], &value.to_le_bytes(), &[0; 2]].concat());
    }
    file.extend(more.concat());
    file.extend([0; 4]);
    file
}

pub(crate) fn bmp(width: i32, height: i32) -> Vec<u8> {
    let mut file = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
    file.extend([width.to_le_bytes(), height.to_le_bytes()].concat());
    file.extend([1, 0, 24, 0]);
    file.resize(54 + 144, 0);
    file
}

// --- sound ---

pub(crate) fn wav_form(tag: u16, rate: u32, channels: u16, bits: u16) -> Vec<u8> {
    let align = channels * bits.div_ceil(8);
    let bytes = rate * u32::from(align);
    let mut form = [tag.to_le_bytes(), channels.to_le_bytes()].concat();
    form.extend([rate.to_le_bytes(), bytes.to_le_bytes()].concat());
    form.extend([align.to_le_bytes(), bits.to_le_bytes()].concat());
    form
}

pub(crate) fn wav(rate: u32, channels: u16, bits: u16, data: &[u8]) -> Vec<u8> {
    riff(b"RIFF", b"WAVE", &[(b"fmt ", wav_form(1, rate, channels, bits)), (b"data", data.to_vec())])
}

pub(crate) fn rf64(rate: u32, channels: u16, bits: u16, data: &[u8]) -> Vec<u8> {
    let form = wav_form(1, rate, channels, bits);
    let total = 4 + 36 + 8 + form.len() + 8 + data.len();
    let sizes = [total as u64, data.len() as u64, 0].map(u64::to_le_bytes).concat();
    let ds64 = [sizes, vec![0; 4]].concat();
    let mut file = riff(b"RF64", b"WAVE", &[(b"ds64", ds64), (b"fmt ", form), (b"data", data.to_vec())]);
    let data_size_at = file.len() - data.len() - 4;
    file[data_size_at..data_size_at + 4].fill(0xFF);
    file[4..8].fill(0xFF);
    file
}

/// 128 kbit/s, 44.1 kHz, stereo: 417 bytes without padding.
fn mp3_frame(bitrate_index: u8, len: usize) -> Vec<u8> {
    let mut frame = vec![0xFF, 0xFB, bitrate_index << 4, 0];
    frame.resize(len, 0);
    frame
}

pub(crate) fn mp3_frames(count: usize) -> Vec<u8> {
    mp3_frame(9, 417).repeat(count)
}

/// The first frame of 32 kbit/s, the rest of 320.
pub(crate) fn mp3_misleading(count: usize) -> Vec<u8> {
    [mp3_frame(1, 104), mp3_frame(14, 1044).repeat(count - 1)].concat()
}

/// A header frame that announces `frames`, then that many at most 40.
pub(crate) fn mp3_with_xing(frames: u32, delay: u32, padding: u32) -> Vec<u8> {
    let mut header = mp3_frame(9, 417);
    let xing = [b"Xing".to_vec(), vec![0, 0, 0, 1], frames.to_be_bytes().to_vec(), b"LAME3.100".to_vec()].concat();
    header[36..36 + xing.len()].copy_from_slice(&xing);
    let gaps = (delay << 12 | padding).to_be_bytes();
    header[36 + 12 + 21..36 + 12 + 24].copy_from_slice(&gaps[1..]);
    [header, mp3_frames(usize::try_from(frames).unwrap().min(40))].concat()
}

pub(crate) fn id3(title: &str, artist: &str) -> Vec<u8> {
    let frame = |id: &[u8; 4], text: &str| {
        let data = [b"\x03", text.as_bytes()].concat();
        [&id[..], &len32(&data).to_be_bytes(), &[0; 2], &data].concat()
    };
    let frames = [frame(b"TIT2", title), frame(b"TPE1", artist)].concat();
    [&b"ID3\x03\0\0"[..], &syncsafe(len32(&frames)), &frames].concat()
}

pub(crate) fn syncsafe(value: u32) -> [u8; 4] {
    [21, 14, 7, 0].map(|shift| u8::try_from(value >> shift & 0x7F).unwrap())
}

/// Vorbis comments with a title and an artist.
fn comments() -> Vec<u8> {
    let entry = |text: &str| [&len32(text.as_bytes()).to_le_bytes()[..], text.as_bytes()].concat();
    [entry("us"), 2_u32.to_le_bytes().to_vec(), entry("TITLE=Song"), entry("artist=Band")].concat()
}

/// 16-bit stereo at 44.1 kHz.
pub(crate) fn flac(total: u64) -> Vec<u8> {
    let packed = 44_100_u64 << 44 | 1 << 41 | 15 << 36 | total;
    let info = [&[0x10, 0, 0x10, 0][..], &[0; 6], &packed.to_be_bytes(), &[0; 16]].concat();
    let comments = comments();
    let block = |kind: u8, data: &[u8]| [&(u32::from(kind) << 24 | len32(data)).to_be_bytes()[..], data].concat();
    [b"fLaC".to_vec(), block(0, &info), block(0x84, &comments), vec![0xFF, 0xF8], vec![0; 100]].concat()
}

pub(crate) fn ogg_page(flags: u8, granule: u64, serial: u32, packets: &[&[u8]]) -> Vec<u8> {
    let mut lacing = Vec::new();
    for packet in packets {
        lacing.extend(vec![255; packet.len() / 255]);
        lacing.push(u8::try_from(packet.len() % 255).unwrap());
    }
    let header = [&b"OggS\0"[..], &[flags], &granule.to_le_bytes(), &serial.to_le_bytes(), &[0; 8]].concat();
    [header, vec![u8::try_from(lacing.len()).unwrap()], lacing, packets.concat()].concat()
}

pub(crate) fn ogg_vorbis(rate: u32, channels: u8, granule: u64) -> Vec<u8> {
    let head = [&b"\x01vorbis\0\0\0\0"[..], &[channels], &rate.to_le_bytes(), &[0; 12], &[0xB8, 1]].concat();
    let comment = [b"\x03vorbis".to_vec(), comments()].concat();
    let pages = [
        ogg_page(2, 0, 7, &[&head]),
        ogg_page(0, 0, 7, &[&comment, b"\x05vorbis setup"]),
        ogg_page(4, granule, 7, &[&[0; 300]]),
    ];
    pages.concat()
}

pub(crate) fn ogg_opus(channels: u8, pre_skip: u16, granule: u64) -> Vec<u8> {
    let head = [&b"OpusHead\x01"[..], &[channels], &pre_skip.to_le_bytes(), &[0x80, 0xBB, 0, 0, 0, 0, 0]].concat();
    let tags = [b"OpusTags".to_vec(), comments()].concat();
    // 20 ms packets; the first page holds exactly one.
    let pages = [
        ogg_page(2, 0, 9, &[&head]),
        ogg_page(0, 0, 9, &[&tags]),
        ogg_page(0, 960, 9, &[&[0xF8; 40]]),
        ogg_page(4, granule, 9, &[&[0xF8; 300]]),
    ];
    pages.concat()
}

/// One track at 44.1 kHz; `entry` is `mp4a`, `alac` or something that is not sound.
pub(crate) fn m4a(entry: &[u8; 4], duration: u32) -> Vec<u8> {
    m4a_with(entry, b"soun", duration, b"M4A ")
}

pub(crate) fn m4a_with(entry: &[u8; 4], handler: &[u8; 4], duration: u32, brand: &[u8; 4]) -> Vec<u8> {
    let header =
        |kind, timescale: u32| mp4_box(kind, &[&[0; 12], &timescale.to_be_bytes(), &duration.to_be_bytes(), &[0; 4]]);
    let specific = match entry {
        b"alac" => {
            let config = [&[0, 0, 0x10, 0, 0, 16, 40, 10, 14, 2, 0, 255][..], &[0; 8], &44_100_u32.to_be_bytes()];
            mp4_box(b"alac", &[&[0; 4], &config.concat()])
        }
        // LC, 44.1 kHz, two channels.
        _ => mp4_box(b"esds", &[&[0; 4], &[3, 22, 0, 0, 0, 4, 17, 0x40, 0x15], &[0; 11], &[5, 2, 0x12, 0x10]]),
    };
    let numbers = [&[0, 2, 0, 16][..], &[0; 4], &(44_100_u32 << 16).to_be_bytes()].concat();
    let sample = mp4_box(entry, &[&[0; 6], &[0, 1], &[0; 8], &numbers, &specific]);
    let stbl = mp4_box(b"stbl", &[&mp4_box(b"stsd", &[&[0; 4], &[0, 0, 0, 1], &sample])]);
    let hdlr = mp4_box(b"hdlr", &[&[0; 8], handler, &[0; 13]]);
    let mdia = mp4_box(b"mdia", &[&header(b"mdhd", 44_100), &hdlr, &mp4_box(b"minf", &[&stbl])]);
    let item = |kind, text: &[u8]| mp4_box(kind, &[&mp4_box(b"data", &[&[0, 0, 0, 1, 0, 0, 0, 0], text])]);
    let list = mp4_box(b"ilst", &[&item(b"\xa9nam", b"Song"), &item(b"\xa9ART", b"Band")]);
    let udta = mp4_box(b"udta", &[&mp4_box(b"meta", &[&[0; 4], &list])]);
    let moov = mp4_box(b"moov", &[&header(b"mvhd", 44_100), &mp4_box(b"trak", &[&mdia]), &udta]);
    [mp4_box(b"ftyp", &[brand, &[0; 4], brand]), moov, mp4_box(b"mdat", &[&[0; 64]])].concat()
}

/// 16-bit mono at 44.1 kHz, one second when whole.
pub(crate) fn aiff(frames: u32) -> Vec<u8> {
    let common = [&[0, 1][..], &frames.to_be_bytes(), &[0, 16, 0x40, 0x0E, 0xAC, 0x44, 0, 0, 0, 0, 0, 0]].concat();
    let chunk = |id: &[u8; 4], data: &[u8]| [&id[..], &len32(data).to_be_bytes(), data].concat();
    let sound = vec![0; 8 + 88_200];
    let body = [b"AIFF".to_vec(), chunk(b"COMM", &common), chunk(b"NAME", b"Song"), chunk(b"SSND", &sound)].concat();
    [&b"FORM"[..], &len32(&body).to_be_bytes(), &body].concat()
}

fn element(id: &[u8], data: &[u8]) -> Vec<u8> {
    [id, &(0x1000_0000 | len32(data)).to_be_bytes(), data].concat()
}

/// Two seconds by header; `kind` 2 is sound, 1 a picture.
pub(crate) fn webm(codec: &str, kind: u8) -> Vec<u8> {
    let header = element(&[0x1A, 0x45, 0xDF, 0xA3], &element(&[0x42, 0x82], b"webm"));
    let info = element(&[0x15, 0x49, 0xA9, 0x66], &element(&[0x44, 0x89], &2000_f64.to_be_bytes()));
    let sound = [element(&[0xB5], &48_000_f32.to_be_bytes()), element(&[0x9F], &[2])].concat();
    let entry = [element(&[0x83], &[kind]), element(&[0x86], codec.as_bytes()), element(&[0xE1], &sound)].concat();
    let tracks = element(&[0x16, 0x54, 0xAE, 0x6B], &element(&[0xAE], &entry));
    let cluster = element(&[0x1F, 0x43, 0xB6, 0x75], &element(&[0xA3], &[0x81, 0, 0, 0, 0xF8]));
    [header, element(&[0x18, 0x53, 0x80, 0x67], &[info, tracks, cluster].concat())].concat()
}

/// LC, 44.1 kHz, stereo, frames of 100 bytes.
pub(crate) fn adts(frames: usize) -> Vec<u8> {
    let mut frame = vec![0xFF, 0xF1, 0x50, 0x80, 0x0C, 0x9F, 0xFC];
    frame.resize(100, 0);
    frame.repeat(frames)
}

fn len32(data: &[u8]) -> u32 {
    u32::try_from(data.len()).unwrap()
}
