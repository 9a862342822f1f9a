use std::fmt;

use super::{apng, flac_with_tags, gif, jpeg, jpeg_with_orientation, m4a, mp3, ogg_opus, ogg_vorbis, png, wav, webp};

/// A file as a person might upload it.
#[derive(Clone, PartialEq, Eq)]
pub struct Sample {
    /// The name it has on that person's machine.
    pub filename: &'static str,
    /// The content type that is in its bytes.
    pub content_type: &'static str,
    /// The file.
    pub bytes: Vec<u8>,
    /// What it is.
    pub kind: SampleKind,
}

/// What a sample is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleKind {
    /// An image.
    Image,
    /// An audio file.
    Audio,
}

impl fmt::Debug for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sample")
            .field("filename", &self.filename)
            .field("content_type", &self.content_type)
            .field("size_bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

/// Images and audio files for a demonstration: each format at least once, pictures that lie on their side, moving
/// ones, several channels, and titles in several scripts. About 1.6 MB; the same on every call.
pub fn gallery_set() -> Vec<Sample> {
    let image = |filename, content_type, bytes| Sample { filename, content_type, bytes, kind: SampleKind::Image };
    let audio = |filename, content_type, bytes| Sample { filename, content_type, bytes, kind: SampleKind::Audio };
    vec![
        image("Sunset at the lake.jpg", "image/jpeg", jpeg(640, 400)),
        image("Sunset, phone held upright.jpg", "image/jpeg", jpeg_with_orientation(480, 360, 6)),
        image("Gradient.png", "image/png", png(320, 200)),
        image("Drifting colours.png", "image/png", apng(96, 64, 12)),
        image("Ripples.gif", "image/gif", gif(120, 120, 16)),
        image("Tartan – Schottenmuster.webp", "image/webp", webp(240, 160)),
        audio("Pentatonic walk.wav", "audio/wav", wav(22_050, 1, 16, 2_000)),
        audio("Pentatonic walk, wide.wav", "audio/wav", wav(48_000, 2, 24, 1_000)),
        audio("Abenddämmerung.flac", "audio/flac", flac_with_tags(44_100, 2, 4_000, "Abenddämmerung", "Die Probe")),
        audio("春の歌.mp3", "audio/mpeg", mp3(6_000, "春の歌 – Frühlingslied", "Échantillon")),
        audio("Вечер.m4a", "audio/mp4", m4a(5_000, "Вечер у озера 🌅", "Échantillon")),
        audio("Evening.ogg", "audio/ogg", ogg_vorbis(3_000, "Evening", "The Samples")),
        audio("Quiet.opus", "audio/ogg", ogg_opus(4_000, "Quiet ‒ 静けさ", "The Samples")),
    ]
}
