use super::bits::HighBitFirst;
use super::melody::{line, sample_count};

const SAMPLE_RATE: u32 = 44_100;
const BITRATE: u32 = 128_000;

/// Samples of a channel in a granule; a frame has two.
const GRANULE_SAMPLES: u32 = 576;

/// The global gain with which one coefficient of 1 is as loud as a note begins.
const LOUDEST: u32 = 203;

/// An MP3 (MPEG-1 layer III) of 44,100 Hz, stereo and constant 128 kbit/s that plays a melody, with an ID3v2.4 tag in
/// UTF-8 and an `Info` header that tells the number of frames.
///
/// Facts: `audio/mpeg`, 44,100 Hz, 2 channels, 128 kbit/s, and a duration of `duration_ms` rounded up to whole frames of
/// 1,152 samples, none of which are marked as padding. Some decoders need a few frames to believe that it is an MP3: make
/// it 100 ms or more.
pub fn mp3(duration_ms: u32, title: &str, artist: &str) -> Vec<u8> {
    let frames = sample_count(SAMPLE_RATE, duration_ms).div_ceil(2 * GRANULE_SAMPLES);
    let mut sound = Vec::new();
    // The header that tells about the stream has the form of a silent frame, and is not counted.
    let mut padding = Padding::default();
    let first = frame(&SILENCE, padding.next());
    for number in 0..frames {
        sound.extend_from_slice(&frame(&main_data(number), padding.next()));
    }

    let mut file = id3(title, artist);
    let total = u32::try_from(first.len() + sound.len()).unwrap_or(u32::MAX);
    file.extend_from_slice(&with_info(first, frames, total));
    file.extend_from_slice(&sound);
    file
}

fn id3(title: &str, artist: &str) -> Vec<u8> {
    let frames = [text_frame(*b"TIT2", title), text_frame(*b"TPE1", artist)].concat();
    [&b"ID3\x04\0\0"[..], &seven_bits_a_byte(frames.len()), &frames].concat()
}

fn text_frame(id: [u8; 4], text: &str) -> Vec<u8> {
    let utf_8 = 3;
    [&id[..], &seven_bits_a_byte(text.len() + 1), &[0, 0, utf_8], text.as_bytes()].concat()
}

fn seven_bits_a_byte(length: usize) -> [u8; 4] {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    std::array::from_fn(|i| (length >> (21 - 7 * i) & 0x7F) as u8)
}

/// Writes the number of frames and bytes after the side information, which in stereo ends at byte 36.
fn with_info(mut frame: Vec<u8>, frames: u32, bytes: u32) -> Vec<u8> {
    let both_are_told = 3_u32;
    let info = [*b"Info", both_are_told.to_be_bytes(), frames.to_be_bytes(), bytes.to_be_bytes()].concat();
    for (place, byte) in frame.iter_mut().skip(36).zip(info) {
        *place = byte;
    }
    frame
}

/// Which frames have one byte more, so that the bitrate holds on average.
#[derive(Default)]
struct Padding {
    rest: u32,
}

impl Padding {
    fn next(&mut self) -> bool {
        self.rest += 144 * BITRATE % SAMPLE_RATE;
        let padded = self.rest >= SAMPLE_RATE;
        if padded {
            self.rest -= SAMPLE_RATE;
        }
        padded
    }
}

/// The side information and the coefficients of a frame.
struct MainData {
    granules: [Granule; 2],
}

/// What both channels play in one granule: a single coefficient of ±1, or nothing.
#[derive(Clone, Copy)]
struct Granule {
    line: Option<(u32, bool)>,
    gain: u32,
}

const SILENCE: MainData = MainData { granules: [Granule { line: None, gain: 0 }; 2] };

fn main_data(frame: u32) -> MainData {
    let granule = |number: u32| {
        let line = line(number, GRANULE_SAMPLES, SAMPLE_RATE);
        Granule { line: Some((line.index, line.negative)), gain: LOUDEST - 2 * line.fading }
    };
    MainData { granules: [granule(2 * frame), granule(2 * frame + 1)] }
}

/// A frame (ISO/IEC 11172-3, section 2.4.1): header, side information, coefficients, zeros up to its length.
fn frame(data: &MainData, padded: bool) -> Vec<u8> {
    // MPEG-1, layer III, no CRC; 128 kbit/s, 44,100 Hz; stereo, original.
    let mut bits = HighBitFirst::default();
    bits.push(0xFFFB, 16);
    bits.push(0b1001_0000 | u32::from(padded) << 1, 8);
    bits.push(0b0000_0100, 8);
    // Coefficients begin in this frame; nothing private; no scale factors are shared.
    bits.push(0, 9 + 3 + 8);
    let channels = || data.granules.iter().flat_map(|granule| [granule, granule]);
    for granule in channels() {
        side_information(&mut bits, *granule);
    }
    for granule in channels() {
        coefficients(&mut bits, *granule);
    }
    let mut frame = bits.into_bytes();
    frame.resize((144 * BITRATE / SAMPLE_RATE) as usize + usize::from(padded), 0);
    frame
}

fn side_information(bits: &mut HighBitFirst, granule: Granule) {
    let mut coded = HighBitFirst::default();
    coefficients(&mut coded, granule);
    let length = u32::try_from(coded.len()).unwrap_or(0);
    bits.push(length, 12);
    bits.push(granule.line.map_or(0, |(index, _)| index / 2 + 1), 9);
    bits.push(granule.gain, 8);
    // No bits for scale factors; long blocks; table 1 in all three regions; regions of any size.
    bits.push(0, 4 + 1);
    bits.push(0b00001_00001_00001, 15);
    bits.push(0, 4 + 3 + 1 + 1 + 1);
}

/// Pairs of coefficients in table 1: `1` is (0, 0), `01` is (1, 0), `001` is (0, 1), then the sign.
fn coefficients(bits: &mut HighBitFirst, granule: Granule) {
    let Some((index, negative)) = granule.line else { return };
    for _ in 0..index / 2 {
        bits.push(1, 1);
    }
    bits.push(1, 2 + index % 2);
    bits.push_bit(negative);
}
