use super::bits::LowBitFirst;
use super::flac::vorbis_comment;
use super::melody::{Line, line, sample_count};
use super::ogg::{Place, page, sound_pages};

const SAMPLE_RATE: u32 = 44_100;
const CHANNELS: u8 = 2;

/// Spectral lines of a block, which are the samples that it adds to the one before.
const LINES: u32 = 1024;

/// Lines are coded in partitions of 16, and only the first 64 at all.
const PARTITION: u32 = 16;
const CODED_LINES: u32 = 64;

/// An Ogg Vorbis file of 44,100 Hz and stereo that plays a melody, with a title and an artist.
///
/// Facts: `audio/ogg`, codec Vorbis, 44,100 Hz, 2 channels, and a duration of `duration_ms` rounded down to whole samples:
/// the last granule position cuts what the last packet has too much.
pub fn ogg_vorbis(duration_ms: u32, title: &str, artist: &str) -> Vec<u8> {
    let end = sample_count(SAMPLE_RATE, duration_ms);
    // The first packet only prepares the second.
    let packets: Vec<Vec<u8>> =
        (0..=end.div_ceil(LINES)).map(|block| packet(&line(block, LINES, SAMPLE_RATE))).collect();
    let tags = vorbis_comment(&[format!("TITLE={title}"), format!("ARTIST={artist}")]);
    let comment = [b"\x03vorbis", &tags[..], &[1]].concat();

    let mut file = Vec::new();
    page(&mut file, Place::First, 0, 0, &[identification()]);
    page(&mut file, Place::Within, 0, 1, &[comment, setup()]);
    sound_pages(&mut file, 2, &packets, u64::from(end), |count| (count - 1) * u64::from(LINES));
    file
}

fn identification() -> Vec<u8> {
    let mut header = b"\x01vorbis\0\0\0\0".to_vec();
    header.push(CHANNELS);
    header.extend_from_slice(&SAMPLE_RATE.to_le_bytes());
    // Bitrates are not told; both kinds of block have 2^11 samples; the framing bit.
    header.extend_from_slice(&[0; 12]);
    header.extend_from_slice(&[0xBB, 1]);
    header
}

/// The smallest setup (Vorbis I specification, section 4.2.4) that can say "one line, ±1": two codebooks, a flat floor,
/// one residue, one mapping, one mode.
fn setup() -> Vec<u8> {
    let mut bits = LowBitFirst::default();
    bits.push(2 - 1, 8);
    class_codebook(&mut bits);
    value_codebook(&mut bits);
    // One transform in the time domain, which must be 0.
    bits.push(0, 6 + 16);
    floor(&mut bits);
    residue(&mut bits);
    // One mapping of type 0: one submap, no coupling, nothing reserved, time 0, floor 0, residue 0.
    bits.push(0, 6 + 16 + 1 + 1 + 2);
    bits.push(0, 8 + 8 + 8);
    // One mode: short blocks, window 0, transform 0, mapping 0.
    bits.push(0, 6 + 1 + 16);
    bits.push(0, 16 + 8);
    bits.push_bit(true);
    [b"\x05vorbis", &bits.into_bytes()[..]].concat()
}

/// One bit tells whether a partition has anything.
fn class_codebook(bits: &mut LowBitFirst) {
    codebook_start(bits, &[1, 1]);
    bits.push(0, 4);
}

/// The values -1 (code `00`), 0 (code `1`) and 1 (code `01`).
fn value_codebook(bits: &mut LowBitFirst) {
    codebook_start(bits, &[2, 1, 2]);
    let one = 788 << 21 | 1;
    bits.push(1, 4);
    // The smallest value, the step, two bits for each number of steps, no sums.
    bits.push(1 << 31 | one, 32);
    bits.push(one, 32);
    bits.push(2 - 1, 4);
    bits.push(0, 1);
    for steps in [0, 1, 2] {
        bits.push(steps, 2);
    }
}

/// A codebook of one dimension, with the length of each code.
fn codebook_start(bits: &mut LowBitFirst, lengths: &[u32]) {
    bits.push(0x56_4342, 24);
    bits.push(1, 16);
    bits.push(u32::try_from(lengths.len()).unwrap_or(0), 24);
    // Neither ordered nor sparse.
    bits.push(0, 1 + 1);
    for length in lengths {
        bits.push(length - 1, 5);
    }
}

/// A floor of type 1 without partitions: a straight line between its two ends, in steps of one, over 2^10 lines.
fn floor(bits: &mut LowBitFirst) {
    bits.push(0, 6);
    bits.push(1, 16);
    bits.push(0, 5);
    bits.push(0, 2);
    bits.push(10, 4);
}

/// A residue of type 1 with two classes: nothing, and values of codebook 1.
fn residue(bits: &mut LowBitFirst) {
    bits.push(0, 6);
    bits.push(1, 16);
    bits.push(0, 24);
    bits.push(CODED_LINES, 24);
    bits.push(PARTITION - 1, 24);
    bits.push(2 - 1, 6);
    bits.push(0, 8);
    bits.push(0, 4);
    bits.push(1, 4);
    bits.push(1, 8);
}

fn packet(line: &Line) -> Vec<u8> {
    let mut bits = LowBitFirst::default();
    // Sound, not a header; mode 0 takes no bits.
    bits.push(0, 1);
    let loudness = LOUDEST - 4 * line.fading;
    for _ in 0..CHANNELS {
        bits.push(1, 1);
        bits.push(loudness, 8);
        bits.push(loudness, 8);
    }
    for partition in 0..CODED_LINES / PARTITION {
        let used = line.index / PARTITION == partition;
        for _ in 0..CHANNELS {
            bits.push_bit(used);
        }
        for _ in 0..CHANNELS {
            if used {
                values(&mut bits, line);
            }
        }
    }
    bits.into_bytes()
}

fn values(bits: &mut LowBitFirst, line: &Line) {
    for place in 0..PARTITION {
        if place == line.index % PARTITION {
            bits.push_bit(false);
            bits.push_bit(!line.negative);
        } else {
            bits.push_bit(true);
        }
    }
}

/// The height of the floor where a note begins, in steps of about half a decibel below 255, which is 1.
const LOUDEST: u32 = 236;
