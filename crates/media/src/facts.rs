//! What a probe answers.

use std::fmt;

use crate::format::Format;

/// The answer of [`probe`](crate::probe()).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// What the bytes are.
    pub format: Format,
    /// What they say.
    pub facts: Facts,
    /// How many bytes were fetched from the source to find out.
    pub bytes_read: u64,
}

/// What the bytes say, by kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Facts {
    /// Facts of a picture.
    Image(ImageFacts),
    /// Facts of sound.
    Audio(AudioFacts),
}

/// Facts of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageFacts {
    /// Width of the stored pixels, before orientation and cropping.
    pub coded_width: u32,
    /// Height of the stored pixels.
    pub coded_height: u32,
    /// Width as a viewer shows it.
    pub width: u32,
    /// Height as a viewer shows it.
    pub height: u32,
    /// How a viewer turns the stored pixels, 1 to 8 as in EXIF (tag 0x0112). Absent and invalid values are 1; for AVIF and
    /// HEIC it is the equivalent of `irot` and `imir`, because viewers ignore EXIF there.
    pub orientation: u8,
    /// Pictures shown one after another; 1 for a still.
    pub frame_count: u32,
    /// Whether the header announces transparency; `None` when the format does not tell there.
    pub has_alpha: Option<bool>,
    /// Bits a channel; `None` when the header does not tell.
    pub bit_depth: Option<u8>,
}

impl ImageFacts {
    /// A still picture of the given stored size; callers refine the rest.
    pub(crate) fn still(width: u32, height: u32) -> Self {
        Self {
            coded_width: width,
            coded_height: height,
            width,
            height,
            orientation: 1,
            frame_count: 1,
            has_alpha: None,
            bit_depth: None,
        }
    }

    /// Applies an EXIF orientation; 5 to 8 swap the displayed sides.
    pub(crate) fn turned(mut self, orientation: u8) -> Self {
        self.orientation = orientation;
        if orientation >= 5 {
            std::mem::swap(&mut self.width, &mut self.height);
        }
        self
    }
}

/// Facts of sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioFacts {
    /// Length in milliseconds, rounded; `None` when the file truly does not tell.
    pub duration_ms: Option<u64>,
    /// Where the length comes from.
    pub duration_source: DurationSource,
    /// Samples a second and channel.
    pub sample_rate: u32,
    /// Channels.
    pub channels: u16,
    /// Bits a sample as stored; `None` for codecs without such a thing.
    pub bit_depth: Option<u16>,
    /// How the sound is coded.
    pub codec: Codec,
    /// Average bit/s of the sound; `None` when it cannot be told.
    pub bitrate: Option<u32>,
    /// Whether the bit rate varies; `None` when it cannot be told.
    pub variable_bitrate: Option<bool>,
    /// Title from the tags, cleaned: at most 255 bytes, no control or direction characters.
    pub title: Option<String>,
    /// Artist from the tags, cleaned likewise.
    pub artist: Option<String>,
}

impl AudioFacts {
    /// Facts with a rate and channels; callers refine the rest.
    pub(crate) fn new(codec: Codec, sample_rate: u32, channels: u16) -> Self {
        Self {
            duration_ms: None,
            duration_source: DurationSource::Unknown,
            sample_rate,
            channels,
            bit_depth: None,
            codec,
            bitrate: None,
            variable_bitrate: None,
            title: None,
            artist: None,
        }
    }

    /// Sets the duration to `ticks / rate` seconds.
    pub(crate) fn lasting(mut self, ticks: u64, rate: u64, source: DurationSource) -> Self {
        if rate > 0 {
            let ms = (u128::from(ticks) * 1000 + u128::from(rate / 2)) / u128::from(rate);
            self.duration_ms = Some(u64::try_from(ms).unwrap_or(u64::MAX));
            self.duration_source = source;
        }
        self
    }

    /// Sets the average bit rate from a number of bytes, when the duration is known.
    pub(crate) fn averaging(mut self, bytes: u64) -> Self {
        if let Some(ms) = self.duration_ms.filter(|ms| *ms > 0) {
            self.bitrate = u32::try_from(u128::from(bytes) * 8000 / u128::from(ms)).ok().filter(|rate| *rate > 0);
        }
        self
    }
}

/// Where a duration comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DurationSource {
    /// A header or an index says it.
    Header,
    /// All frames were counted.
    Counted,
    /// Worked out from a part: right only if the rest is alike.
    Estimated,
    /// The file does not tell; there is no duration.
    Unknown,
}

impl DurationSource {
    /// The stable lower-case name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Counted => "counted",
            Self::Estimated => "estimated",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for DurationSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How sound is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Integer samples.
    Pcm,
    /// Floating-point samples.
    PcmFloat,
    /// G.711 A-law.
    ALaw,
    /// G.711 µ-law.
    MuLaw,
    /// Microsoft ADPCM.
    AdpcmMs,
    /// IMA ADPCM.
    AdpcmIma,
    /// Yamaha ADPCM.
    AdpcmYamaha,
    /// G.722 ADPCM.
    AdpcmG722,
    /// GSM 06.10 full rate.
    Gsm,
    /// MPEG audio layer I.
    Mp1,
    /// MPEG audio layer II.
    Mp2,
    /// MPEG audio layer III.
    Mp3,
    /// Free lossless audio codec.
    Flac,
    /// Vorbis.
    Vorbis,
    /// Opus.
    Opus,
    /// Advanced audio coding, in any profile.
    Aac,
    /// Apple lossless.
    Alac,
}

impl Codec {
    /// The stable lower-case name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pcm => "pcm",
            Self::PcmFloat => "pcm_float",
            Self::ALaw => "alaw",
            Self::MuLaw => "mulaw",
            Self::AdpcmMs => "adpcm_ms",
            Self::AdpcmIma => "adpcm_ima",
            Self::AdpcmYamaha => "adpcm_yamaha",
            Self::AdpcmG722 => "adpcm_g722",
            Self::Gsm => "gsm",
            Self::Mp1 => "mp1",
            Self::Mp2 => "mp2",
            Self::Mp3 => "mp3",
            Self::Flac => "flac",
            Self::Vorbis => "vorbis",
            Self::Opus => "opus",
            Self::Aac => "aac",
            Self::Alac => "alac",
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
