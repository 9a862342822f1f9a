//! The formats that this crate can describe, and sets of them.

use std::fmt;

/// What a file is for, as a caller sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A still or animated picture.
    Image,
    /// Sound without a picture track.
    Audio,
}

impl Kind {
    /// The stable lower-case name: `image` or `audio`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Audio => "audio",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A format whose facts can be read. Whether it is welcome is decided by [`Policy`](crate::Policy).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// Portable Network Graphics, animated ones included.
    Png,
    /// JPEG interchange format, JFIF and EXIF.
    Jpeg,
    /// Graphics Interchange Format, 87a and 89a.
    Gif,
    /// WebP: lossy, lossless and animated.
    WebP,
    /// AV1 image file format, stills and sequences.
    Avif,
    /// High efficiency image file format with HEVC, as phones write it.
    Heic,
    /// Tagged image file format, `BigTIFF` included.
    Tiff,
    /// Windows bitmap.
    Bmp,
    /// Waveform audio: RIFF, RIFX, RF64 and broadcast wave.
    Wav,
    /// MPEG audio elementary stream: layer III, and the older layers I and II.
    Mp3,
    /// Free lossless audio codec in its own container.
    Flac,
    /// Vorbis in Ogg.
    OggVorbis,
    /// Opus in Ogg.
    OggOpus,
    /// AAC or ALAC in MP4, without a picture track.
    Mp4Audio,
    /// Audio interchange file format, compressed variant included.
    Aiff,
    /// Opus or Vorbis in `WebM` or Matroska, without a picture track.
    WebmAudio,
    /// AAC as a bare stream of ADTS frames.
    Adts,
}

const ALL: [Format; 17] = [
    Format::Png,
    Format::Jpeg,
    Format::Gif,
    Format::WebP,
    Format::Avif,
    Format::Heic,
    Format::Tiff,
    Format::Bmp,
    Format::Wav,
    Format::Mp3,
    Format::Flac,
    Format::OggVorbis,
    Format::OggOpus,
    Format::Mp4Audio,
    Format::Aiff,
    Format::WebmAudio,
    Format::Adts,
];

const ACCEPTED_BY_DEFAULT: [Format; 11] = [
    Format::Png,
    Format::Jpeg,
    Format::Gif,
    Format::WebP,
    Format::Avif,
    Format::Wav,
    Format::Mp3,
    Format::Flac,
    Format::OggVorbis,
    Format::OggOpus,
    Format::Mp4Audio,
];

impl Format {
    /// Every format, in a fixed order.
    pub fn all() -> &'static [Self] {
        &ALL
    }

    /// What is accepted unless the policy says otherwise: what today's browsers show or play.
    pub fn accepted_by_default() -> &'static [Self] {
        &ACCEPTED_BY_DEFAULT
    }

    /// Whether it is a picture or sound.
    pub fn kind(self) -> Kind {
        match self {
            Self::Png | Self::Jpeg | Self::Gif | Self::WebP | Self::Avif | Self::Heic | Self::Tiff | Self::Bmp => {
                Kind::Image
            }
            Self::Wav
            | Self::Mp3
            | Self::Flac
            | Self::OggVorbis
            | Self::OggOpus
            | Self::Mp4Audio
            | Self::Aiff
            | Self::WebmAudio
            | Self::Adts => Kind::Audio,
        }
    }

    /// The canonical content type: the one that is stored and served.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::WebP => "image/webp",
            Self::Avif => "image/avif",
            Self::Heic => "image/heic",
            Self::Tiff => "image/tiff",
            Self::Bmp => "image/bmp",
            Self::Wav => "audio/wav",
            Self::Mp3 => "audio/mpeg",
            Self::Flac => "audio/flac",
            Self::OggVorbis | Self::OggOpus => "audio/ogg",
            Self::Mp4Audio => "audio/mp4",
            Self::Aiff => "audio/aiff",
            Self::WebmAudio => "audio/webm",
            Self::Adts => "audio/aac",
        }
    }

    /// The stable lower-case name, for databases and configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpeg",
            Self::Gif => "gif",
            Self::WebP => "webp",
            Self::Avif => "avif",
            Self::Heic => "heic",
            Self::Tiff => "tiff",
            Self::Bmp => "bmp",
            Self::Wav => "wav",
            Self::Mp3 => "mp3",
            Self::Flac => "flac",
            Self::OggVorbis => "ogg-vorbis",
            Self::OggOpus => "ogg-opus",
            Self::Mp4Audio => "m4a",
            Self::Aiff => "aiff",
            Self::WebmAudio => "webm-audio",
            Self::Adts => "aac",
        }
    }

    /// The usual file extension, without a dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::OggVorbis => "ogg",
            Self::OggOpus => "opus",
            Self::WebmAudio => "weba",
            other => other.name(),
        }
    }

    /// The format of a [`Format::name`]; `None` for anything else.
    pub fn from_name(name: &str) -> Option<Self> {
        ALL.into_iter().find(|format| format.name() == name)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormatSet(u32);

impl FormatSet {
    /// The set of nothing.
    pub const EMPTY: Self = Self(0);

    /// Every format this crate can describe.
    pub fn all() -> Self {
        Format::all().iter().copied().collect()
    }

    /// This set and `format`.
    #[must_use]
    pub fn with(self, format: Format) -> Self {
        Self(self.0 | 1 << format as u32)
    }

    /// This set less `format`.
    #[must_use]
    pub fn without(self, format: Format) -> Self {
        Self(self.0 & !(1 << format as u32))
    }

    /// Whether `format` is in the set.
    pub fn contains(self, format: Format) -> bool {
        self.0 & 1 << format as u32 != 0
    }

    /// The members, in the order of [`Format::all`].
    pub fn iter(self) -> impl Iterator<Item = Format> {
        ALL.into_iter().filter(move |format| self.contains(*format))
    }
}

impl Default for FormatSet {
    /// [`Format::accepted_by_default`].
    fn default() -> Self {
        Format::accepted_by_default().iter().copied().collect()
    }
}

impl FromIterator<Format> for FormatSet {
    fn from_iter<I: IntoIterator<Item = Format>>(formats: I) -> Self {
        formats.into_iter().fold(Self::EMPTY, Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_lead_back() {
        for format in Format::all() {
            assert_eq!(Format::from_name(format.name()), Some(*format));
        }
        assert_eq!(Format::from_name("svg"), None);
    }

    #[test]
    fn a_set_holds_what_was_put_in() {
        let set = FormatSet::default().with(Format::Heic).without(Format::Gif);
        assert!(set.contains(Format::Heic) && !set.contains(Format::Gif) && !set.contains(Format::Adts));
        assert_eq!(FormatSet::all().iter().count(), Format::all().len());
    }
}
