use super::flac::vorbis_comment;
use super::melody::sample_count;
use super::ogg::{Place, page, sound_pages};

/// Opus counts in samples of 48,000 Hz, whatever was recorded.
const SAMPLE_RATE: u32 = 48_000;

/// The decoder's first samples, which do not count.
const PRE_SKIP: u16 = 312;

/// What a packet of 20 ms decodes to, in samples.
const PACKET_SAMPLES: u32 = 960;

/// An Ogg Opus file of silence, stereo, with a title and an artist.
///
/// Facts: `audio/ogg`, codec Opus, 48,000 Hz, 2 channels, and a duration of exactly `duration_ms`: the last granule
/// position cuts what the last packet has too much.
pub fn ogg_opus(duration_ms: u32, title: &str, artist: &str) -> Vec<u8> {
    let end = sample_count(SAMPLE_RATE, duration_ms).saturating_add(u32::from(PRE_SKIP));
    // Full band CELT, 20 ms, stereo, one frame; the range coder's code for silence.
    let packets = vec![vec![0xFC, 0xFF, 0xFE]; end.div_ceil(PACKET_SAMPLES) as usize];
    let tags = vorbis_comment(&[format!("TITLE={title}"), format!("ARTIST={artist}")]);

    let mut file = Vec::new();
    page(&mut file, Place::First, 0, 0, &[head()]);
    page(&mut file, Place::Within, 0, 1, &[[b"OpusTags", &tags[..]].concat()]);
    sound_pages(&mut file, 2, &packets, u64::from(end), |count| count * u64::from(PACKET_SAMPLES));
    file
}

/// The identification header (RFC 7845, section 5.1).
fn head() -> Vec<u8> {
    let mut head = b"OpusHead\x01\x02".to_vec();
    head.extend_from_slice(&PRE_SKIP.to_le_bytes());
    head.extend_from_slice(&SAMPLE_RATE.to_le_bytes());
    // No gain; mapping family 0.
    head.extend_from_slice(&[0, 0, 0]);
    head
}
