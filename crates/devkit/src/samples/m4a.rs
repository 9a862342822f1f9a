use super::bits::HighBitFirst;
use super::melody::{Line, line, sample_count};

const SAMPLE_RATE: u32 = 44_100;

/// Samples of each channel in a block of AAC.
const BLOCK_SAMPLES: u32 = 1024;

/// The global gain with which one coefficient of 1 is as loud as a note begins.
const LOUDEST: u32 = 193;

/// An M4A (AAC-LC in MP4) of 44,100 Hz and stereo that plays a melody, with a title and an artist, and the index
/// (`moov`) before the sound.
///
/// Facts: `audio/mp4`, codec AAC, 44,100 Hz, 2 channels, and a duration of `duration_ms` rounded up to whole blocks of
/// 1,024 samples: the file tells of no encoder delay.
pub fn m4a(duration_ms: u32, title: &str, artist: &str) -> Vec<u8> {
    let blocks = blocks(duration_ms);
    let brand = brand();
    // The index has the same length whatever offset it tells.
    let before_sound = brand.len() + index(&blocks, 0, title, artist).len() + 8;
    let index = index(&blocks, before_sound, title, artist);
    [brand, index, atom(*b"mdat", &[&blocks.concat()])].concat()
}

/// The same file with the index after the sound, as a recorder writes it that cannot go back.
pub fn m4a_moov_at_end(duration_ms: u32, title: &str, artist: &str) -> Vec<u8> {
    let blocks = blocks(duration_ms);
    let brand = brand();
    let index = index(&blocks, brand.len() + 8, title, artist);
    [brand, atom(*b"mdat", &[&blocks.concat()]), index].concat()
}

fn blocks(duration_ms: u32) -> Vec<Vec<u8>> {
    let count = sample_count(SAMPLE_RATE, duration_ms).div_ceil(BLOCK_SAMPLES);
    (0..count).map(|number| block(&line(number, BLOCK_SAMPLES, SAMPLE_RATE))).collect()
}

/// A raw data block (ISO/IEC 14496-3, section 4.4.2): a pair of channels, and the end.
fn block(line: &Line) -> Vec<u8> {
    let mut bits = HighBitFirst::default();
    // A pair of channels, number 0, each with a window of its own.
    bits.push(0b001, 3);
    bits.push(0, 4 + 1);
    channel(&mut bits, line);
    channel(&mut bits, line);
    bits.push(0b111, 3);
    bits.into_bytes()
}

fn channel(bits: &mut HighBitFirst, line: &Line) {
    // The first 15 bands of a long window end at line 80, or 1,722 Hz (section 4.5.4, table for 44,100 Hz).
    let (bands, lines) = (15, 80);
    bits.push(LOUDEST - 2 * line.fading, 8);
    // One long window with the shape of a sine; no prediction.
    bits.push(0, 1 + 2 + 1);
    bits.push(bands, 6);
    bits.push(0, 1);
    // One section of codebook 1; each band has the same gain, which is one bit.
    bits.push(1, 4);
    bits.push(bands, 5);
    bits.push(0, bands);
    // No pulses, no noise shaping, no gain control.
    bits.push(0, 1 + 1 + 1);
    for first in (0..lines).step_by(4) {
        match line.index.checked_sub(first) {
            Some(place @ 0..4) => bits.push(quad(place, line.negative), 5),
            _ => bits.push(0, 1),
        }
    }
}

/// Codebook 1's code for four coefficients of which only the one at `place` is not 0.
fn quad(place: u32, negative: bool) -> u32 {
    match (place, negative) {
        (0, false) => 0b10000,
        (0, true) => 0b10001,
        (1, false) => 0b10011,
        (1, true) => 0b10111,
        (2, false) => 0b10110,
        (2, true) => 0b10101,
        (_, false) => 0b10100,
        (_, true) => 0b10010,
    }
}

fn brand() -> Vec<u8> {
    atom(*b"ftyp", &[b"M4A \0\0\x02\0M4A mp42isom"])
}

/// The index: one track, and the tags.
fn index(blocks: &[Vec<u8>], sound_offset: usize, title: &str, artist: &str) -> Vec<u8> {
    let duration = number(blocks.len()).saturating_mul(BLOCK_SAMPLES).to_be_bytes();
    let rate = SAMPLE_RATE.to_be_bytes();
    let (zero, one) = ([0; 4], 1_u32.to_be_bytes());
    let movie = atom(
        *b"mvhd",
        &[
            &zero,
            &zero,
            &zero,
            &rate,
            &duration,
            b"\0\x01\0\0\x01\0",
            &[0; 10],
            &UNIT_MATRIX,
            &[0; 24],
            &2_u32.to_be_bytes(),
        ],
    );
    let track = atom(
        *b"tkhd",
        &[b"\0\0\0\x03", &zero, &zero, &one, &zero, &duration, &[0; 12], b"\x01\0\0\0", &UNIT_MATRIX, &[0; 8]],
    );
    // The language code is `und`.
    let media = atom(*b"mdhd", &[&zero, &zero, &zero, &rate, &duration, &[0x55, 0xC4, 0, 0]]);
    let handler = atom(*b"hdlr", &[&zero, &zero, b"soun", &[0; 12], b"SoundHandler\0"]);
    let reference = atom(*b"dref", &[&zero, &one, &atom(*b"url ", &[&one])]);
    let information = atom(
        *b"minf",
        &[&atom(*b"smhd", &[&[0; 8]]), &atom(*b"dinf", &[&reference]), &sample_table(blocks, sound_offset)],
    );
    let track = atom(*b"trak", &[&track, &atom(*b"mdia", &[&media, &handler, &information])]);
    atom(*b"moov", &[&movie, &track, &tags(title, artist)])
}

fn sample_table(blocks: &[Vec<u8>], sound_offset: usize) -> Vec<u8> {
    let (zero, one) = ([0; 4], 1_u32.to_be_bytes());
    let count = number(blocks.len()).to_be_bytes();
    let sizes: Vec<u8> = blocks.iter().flat_map(|block| number(block.len()).to_be_bytes()).collect();
    atom(
        *b"stbl",
        &[
            &atom(*b"stsd", &[&zero, &one, &sample_entry(blocks)]),
            &atom(*b"stts", &[&zero, &one, &count, &BLOCK_SAMPLES.to_be_bytes()]),
            // One chunk holds all blocks.
            &atom(*b"stsc", &[&zero, &one, &one, &count, &one]),
            &atom(*b"stsz", &[&zero, &zero, &count, &sizes]),
            &atom(*b"stco", &[&zero, &one, &number(sound_offset).to_be_bytes()]),
        ],
    )
}

fn sample_entry(blocks: &[Vec<u8>]) -> Vec<u8> {
    // Reference 1; two channels of 16 bits; the rate in 16.16 bits.
    let fixed_rate = (SAMPLE_RATE << 16).to_be_bytes();
    let elementary_stream = atom(*b"esds", &[&[0; 4], &descriptors(blocks)]);
    let fields = b"\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\x02\0\x10\0\0\0\0";
    atom(*b"mp4a", &[fields, &fixed_rate, &elementary_stream])
}

/// The descriptors of ISO/IEC 14496-1, section 7.2.6: elementary stream, decoder, decoder's own, sync layer.
fn descriptors(blocks: &[Vec<u8>]) -> Vec<u8> {
    let bytes: usize = blocks.iter().map(Vec::len).sum();
    let samples = u64::from(BLOCK_SAMPLES) * blocks.len().max(1) as u64;
    let bitrate = bytes as u64 * 8 * u64::from(SAMPLE_RATE) / samples;
    let bitrate = u32::try_from(bitrate).unwrap_or(u32::MAX).to_be_bytes();
    // AAC-LC, 44,100 Hz, channel configuration 2.
    let specific = descriptor(5, &[&[0x12, 0x10]]);
    // MPEG-4 audio, an audio stream, a buffer of 6,144 bytes.
    let decoder = descriptor(4, &[b"\x40\x15\0\x18\0", &bitrate, &bitrate, &specific]);
    let sync_layer = descriptor(6, &[&[2]]);
    descriptor(3, &[&[0, 1, 0], &decoder, &sync_layer])
}

fn descriptor(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u8::try_from(content.len()).unwrap_or(u8::MAX);
    [&[tag, length], &content[..]].concat()
}

fn tags(title: &str, artist: &str) -> Vec<u8> {
    let handler = atom(*b"hdlr", &[&[0; 8], b"mdirappl", &[0; 9]]);
    let list = atom(*b"ilst", &[&text_tag(*b"\xa9nam", title), &text_tag(*b"\xa9ART", artist)]);
    atom(*b"udta", &[&atom(*b"meta", &[&[0; 4], &handler, &list])])
}

fn text_tag(kind: [u8; 4], text: &str) -> Vec<u8> {
    let utf_8 = 1_u32.to_be_bytes();
    atom(kind, &[&atom(*b"data", &[&utf_8, &[0; 4], text.as_bytes()])])
}

fn atom(kind: [u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    [&number(content.len() + 8).to_be_bytes()[..], &kind, &content].concat()
}

fn number(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Neither turned nor scaled, in 16.16 and 2.30 bits.
const UNIT_MATRIX: [u8; 36] = {
    let mut matrix = [0; 36];
    matrix[1] = 1;
    matrix[17] = 1;
    matrix[32] = 0x40;
    matrix
};
