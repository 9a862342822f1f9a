//! How media are shown to people and to scripts.

use std::fmt::Write;

use comfy_table::{Table, presets};
use indicatif::BinaryBytes;
use object_store_public::{AudioRead, FileUploadResult, ImageRead, SignedUrl, UserId};
use serde::Serialize;

/// A file and, where there is one, its URL, as one flat JSON object: `kind`, the fields of the file, `url`,
/// `expires_at`.
#[derive(Debug, Serialize)]
pub(crate) struct Shown<'a> {
    #[serde(flatten)]
    pub(crate) file: &'a FileUploadResult,
    #[serde(flatten)]
    pub(crate) url: Option<&'a SignedUrl>,
}

/// Files apart by kind, as the JSON of every listing has them.
#[derive(Debug, Default, Serialize)]
pub(crate) struct ByKind<'a> {
    pub(crate) images: Vec<Shown<'a>>,
    pub(crate) audios: Vec<Shown<'a>>,
}

impl<'a> ByKind<'a> {
    pub(crate) fn of(files: &'a [FileUploadResult]) -> Self {
        files.iter().map(|file| Shown { file, url: None }).collect()
    }

    /// Each file with its URL.
    pub(crate) fn signed(files: &'a [FileUploadResult], urls: &'a [SignedUrl]) -> Self {
        files.iter().zip(urls).map(|(file, url)| Shown { file, url: Some(url) }).collect()
    }
}

impl<'a> FromIterator<Shown<'a>> for ByKind<'a> {
    fn from_iter<T: IntoIterator<Item = Shown<'a>>>(files: T) -> Self {
        let is_image = |shown: &Shown<'a>| matches!(shown.file, FileUploadResult::Image(_));
        let (images, audios) = files.into_iter().partition(is_image);
        Self { images, audios }
    }
}

/// A table of files, a line each.
pub(crate) fn table(files: &[FileUploadResult]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["KIND", "ID", "OWNER", "FILENAME", "TYPE", "DIMENSIONS OR DURATION", "SIZE"]);
    for file in files {
        let common = Common::of(file);
        table.add_row([
            common.kind.to_owned(),
            common.id,
            owner(common.owner),
            common.filename.to_owned(),
            common.content_type.to_owned(),
            measure(file),
            BinaryBytes(common.size_bytes).to_string(),
        ]);
    }
    table.trim_fmt()
}

/// The URLs of files, each whole on a line of its own, below the file's name.
pub(crate) fn urls(files: &[FileUploadResult], urls: &[SignedUrl]) -> String {
    let mut text = String::new();
    if let Some(url) = urls.first() {
        let _ = write!(text, "Signed URLs, good until {}:", url.expires_at);
    }
    for (file, url) in files.iter().zip(urls) {
        let _ = write!(text, "\n{}\n  {}", Common::of(file).filename, url.url);
    }
    text
}

/// All facts of a file, a line each.
pub(crate) fn facts(file: &FileUploadResult, url: Option<&SignedUrl>) -> String {
    let mut lines = common_lines(&Common::of(file));
    match file {
        FileUploadResult::Image(image) => image_lines(image, &mut lines),
        FileUploadResult::Audio(audio) => audio_lines(audio, &mut lines),
    }
    if let Some(url) = url {
        lines.push(("url", url.url.clone()));
        lines.push(("url expires at", url.expires_at.to_string()));
    }
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let lines: Vec<String> = lines.iter().map(|(name, value)| format!("{name:width$}  {value}")).collect();
    lines.join("\n")
}

/// Dimensions, or duration.
fn measure(file: &FileUploadResult) -> String {
    match file {
        FileUploadResult::Image(image) if image.frame_count > 1 => {
            format!("{} x {}, {} frames", image.width, image.height, image.frame_count)
        }
        FileUploadResult::Image(image) => format!("{} x {}", image.width, image.height),
        FileUploadResult::Audio(audio) => duration(audio.duration_ms),
    }
}

fn duration(millis: Option<u64>) -> String {
    let Some(millis) = millis else { return "unknown".to_owned() };
    let (seconds, millis) = (millis / 1000, millis % 1000);
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}.{millis:03} s"),
        (0, minutes, seconds) => format!("{minutes}:{seconds:02}.{millis:03}"),
        (hours, minutes, seconds) => format!("{hours}:{minutes:02}:{seconds:02}.{millis:03}"),
    }
}

fn owner(owner: Option<UserId>) -> String {
    owner.map_or_else(|| "nobody".to_owned(), |user| user.to_string())
}

/// What images and audio files have in common.
struct Common<'a> {
    kind: &'static str,
    id: String,
    owner: Option<UserId>,
    filename: &'a str,
    content_type: &'a str,
    format: &'a str,
    size_bytes: u64,
    sha256: String,
    etag: &'a str,
    created_at: String,
}

impl<'a> Common<'a> {
    fn of(file: &'a FileUploadResult) -> Self {
        macro_rules! common {
            ($kind:literal, $file:ident) => {
                Self {
                    kind: $kind,
                    id: $file.id.to_string(),
                    owner: $file.user_id,
                    filename: &$file.filename,
                    content_type: &$file.content_type,
                    format: &$file.format,
                    size_bytes: $file.size_bytes,
                    sha256: $file.sha256.map_or_else(|| "not counted yet".to_owned(), |digest| digest.to_string()),
                    etag: &$file.etag,
                    created_at: $file.created_at.to_string(),
                }
            };
        }
        match file {
            FileUploadResult::Image(image) => common!("image", image),
            FileUploadResult::Audio(audio) => common!("audio", audio),
        }
    }
}

type Line = (&'static str, String);

fn common_lines(common: &Common<'_>) -> Vec<Line> {
    vec![
        ("kind", common.kind.to_owned()),
        ("id", common.id.clone()),
        ("owner", owner(common.owner)),
        ("filename", common.filename.to_owned()),
        ("content type", common.content_type.to_owned()),
        ("format", common.format.to_owned()),
        ("size", format!("{} bytes", common.size_bytes)),
        ("sha256", common.sha256.clone()),
        ("etag", common.etag.to_owned()),
        ("created at", common.created_at.clone()),
    ]
}

fn image_lines(image: &ImageRead, lines: &mut Vec<Line>) {
    lines.push(("dimensions", format!("{} x {}", image.width, image.height)));
    lines.push(("orientation", image.orientation.to_string()));
    lines.push(("frames", image.frame_count.to_string()));
}

fn audio_lines(audio: &AudioRead, lines: &mut Vec<Line>) {
    lines.push(("duration", duration(audio.duration_ms)));
    lines.push(("sample rate", format!("{} Hz", audio.sample_rate)));
    lines.push(("channels", audio.channels.to_string()));
    lines.push(("codec", audio.codec.clone()));
    let optional = [
        ("bit depth", audio.bit_depth.map(|bits| format!("{bits} bits"))),
        ("bitrate", audio.bitrate.map(|bitrate| format!("{bitrate} bit/s"))),
        ("title", audio.title.clone()),
        ("artist", audio.artist.clone()),
    ];
    lines.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_reads_like_a_player_shows_it() {
        let shown = [
            (None, "unknown"),
            (Some(0), "0.000 s"),
            (Some(59_999), "59.999 s"),
            (Some(60_000), "1:00.000"),
            (Some(3_725_040), "1:02:05.040"),
        ];
        for (millis, text) in shown {
            assert_eq!(duration(millis), text);
        }
    }
}
