//! Declared content types and their aliases.

use crate::format::Format;

/// Whether a declared content type says nothing: empty, or `application/octet-stream`.
pub fn is_undeclared(declared: &str) -> bool {
    let essence = essence(declared);
    essence.is_empty() || essence == "application/octet-stream" || essence == "binary/octet-stream"
}

/// Whether `declared` is the content type of `format` or one of its aliases. Case and parameters do not matter; a
/// declaration that says nothing matches everything.
pub fn declared_matches(declared: &str, format: Format) -> bool {
    is_undeclared(declared) || aliases(format).contains(&essence(declared).as_str())
}

/// Type and subtype in lower case, without parameters.
fn essence(declared: &str) -> String {
    declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Every name in use; the canonical one first.
fn aliases(format: Format) -> &'static [&'static str] {
    match format {
        Format::Png => &["image/png", "image/x-png", "image/apng", "image/vnd.mozilla.apng"],
        Format::Jpeg => &["image/jpeg", "image/jpg", "image/pjpeg", "image/jpe", "image/jfif", "image/x-citrix-jpeg"],
        Format::Gif => &["image/gif"],
        Format::WebP => &["image/webp"],
        Format::Avif => &["image/avif", "image/avif-sequence"],
        Format::Heic => &["image/heic", "image/heif", "image/heic-sequence", "image/heif-sequence"],
        Format::Tiff => &["image/tiff", "image/tif", "image/x-tiff", "image/x-tif"],
        Format::Bmp => &["image/bmp", "image/x-bmp", "image/x-ms-bmp", "image/x-windows-bmp", "image/vnd.ms-bmp"],
        Format::Wav => &[
            "audio/wav",
            "audio/x-wav",
            "audio/wave",
            "audio/x-wave",
            "audio/vnd.wave",
            "audio/vnd.wav",
            "audio/x-pn-wav",
            "audio/rf64",
        ],
        Format::Mp3 => &[
            "audio/mpeg",
            "audio/mp3",
            "audio/x-mp3",
            "audio/x-mpeg",
            "audio/mpeg3",
            "audio/x-mpeg-3",
            "audio/mpg",
            "audio/x-mpg",
            "audio/mpa",
            "audio/mp2",
            "audio/x-mp2",
        ],
        Format::Flac => &["audio/flac", "audio/x-flac", "application/flac", "application/x-flac"],
        Format::OggVorbis => {
            &["audio/ogg", "audio/vorbis", "audio/x-vorbis+ogg", "audio/x-ogg", "audio/oga", "application/ogg"]
        }
        Format::OggOpus => {
            &["audio/ogg", "audio/opus", "audio/x-opus+ogg", "audio/x-ogg", "audio/oga", "application/ogg"]
        }
        Format::Mp4Audio => &[
            "audio/mp4",
            "audio/x-m4a",
            "audio/m4a",
            "audio/x-mp4",
            "audio/mp4a",
            "audio/mp4a-latm",
            "audio/x-m4b",
            "audio/m4b",
            "audio/aac",
            "audio/alac",
            "audio/3gpp",
            "application/mp4",
        ],
        Format::Aiff => &["audio/aiff", "audio/x-aiff", "audio/aif", "audio/x-aif", "audio/aifc", "audio/x-aifc"],
        Format::WebmAudio => &["audio/webm", "audio/x-matroska", "audio/matroska", "audio/x-mka"],
        Format::Adts => &["audio/aac", "audio/x-aac", "audio/aacp", "audio/x-hx-aac-adts", "audio/vnd.dlna.adts"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_types_match_their_own_format() {
        for format in Format::all() {
            assert!(declared_matches(format.content_type(), *format), "{format}");
        }
    }

    #[test]
    fn aliases_case_and_parameters_do_not_matter() {
        assert!(declared_matches("IMAGE/JPG", Format::Jpeg));
        assert!(declared_matches("audio/ogg; codecs=opus", Format::OggOpus));
        assert!(declared_matches(" audio/x-wav ;rate=1", Format::Wav));
        assert!(declared_matches("", Format::Png) && declared_matches("application/octet-stream", Format::Png));
        assert!(!declared_matches("image/png", Format::Jpeg));
        assert!(!declared_matches("video/mp4", Format::Mp4Audio));
    }
}
