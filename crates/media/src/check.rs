//! Holds answers of [`probe`](crate::probe()) against reference values.
//!
//! The references come as text with tabs: a first line with the names of the columns, then a line a file. Two forms are
//! known. One has a `path` and a column for each fact (`display_width`, `frames`, `codec`, `decoded_seconds`, `expect`,
//! …); the other has a `file`, the `detected` content type and the `right_value` in words. `docs/media.md` states the
//! rules in full.

use std::collections::HashMap;

use crate::declared::declared_matches;
use crate::error::{MediaError, TRUNCATED};
use crate::facts::{AudioFacts, Codec, Facts, ImageFacts, Probe};
use crate::format::{Format, Kind};
use crate::policy::Limits;

/// Durations agree within this part of the reference, or within [`SECONDS`].
const PART: f64 = 0.005;
const SECONDS: f64 = 0.03;
/// Average bit rates agree within this part: programs differ in whether headers and tags count.
const BITRATE_PART: f64 = 0.05;
/// Sound shorter than this has no average worth comparing: a single header outweighs it.
const SHORT: f64 = 1.0;

/// Why a text is no list of references.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The first line names neither a `path` nor a `file`.
    #[error("the first line has no column `path` or `file`")]
    NoPath,
    /// A line has more fields than the first one.
    #[error("line {line} has more fields than there are columns")]
    TooManyFields {
        /// Counted from 1.
        line: usize,
    },
}

/// Reference values of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    path: String,
    cells: HashMap<String, String>,
}

/// How an answer stands against the reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The facts are those of the reference.
    Right,
    /// The file was refused, and ought to be.
    Refused,
    /// Facts differ, or the file was refused or accepted against the rules: what exactly, a sentence each.
    Wrong(Vec<String>),
}

/// Reads a list of references, in either form.
pub fn references(text: &str) -> Result<Vec<Reference>, ManifestError> {
    let mut lines = text.lines().enumerate();
    let columns: Vec<&str> = lines.next().map(|(_, line)| line.split('\t').collect()).unwrap_or_default();
    if !columns.iter().any(|column| matches!(*column, "path" | "file")) {
        return Err(ManifestError::NoPath);
    }
    let mut references = Vec::new();
    for (index, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        if line.split('\t').count() > columns.len() {
            return Err(ManifestError::TooManyFields { line: index + 1 });
        }
        let cells = columns.iter().zip(line.split('\t')).filter(|(_, value)| !value.is_empty());
        let mut cells: HashMap<String, String> =
            cells.map(|(column, value)| ((*column).to_owned(), value.to_owned())).collect();
        if let Some(words) = cells.remove("right_value") {
            read_words(&words, &mut cells);
        } else {
            cells.insert(TELLS_FRAMES.to_owned(), String::new());
        }
        let path = cells.remove("path").or_else(|| cells.remove("file")).unwrap_or_default();
        references.push(Reference { path, cells });
    }
    Ok(references)
}

/// Deviations that a document lists: rows of a table whose first cell is a path in backticks, whose last is the reason.
pub fn deviations(markdown: &str) -> HashMap<String, String> {
    let rows = markdown.lines().filter_map(|line| line.trim().strip_prefix("| `")?.strip_suffix('|'));
    rows.filter_map(|row| {
        let (path, rest) = row.split_once("` |")?;
        Some((path.to_owned(), rest.rsplit('|').next().unwrap_or(rest).trim().to_owned()))
    })
    .collect()
}

/// Judges the answer that a file got under `limits` with every format accepted.
pub fn check(reference: &Reference, answer: Result<&Probe, &MediaError>, limits: &Limits) -> Verdict {
    let faults = match (reference.expectation(), answer) {
        (_, Err(MediaError::Read(_))) => vec!["it cannot be read".to_owned()],
        (Expectation::Refusal, Ok(_)) => vec!["it should have been refused".to_owned()],
        (Expectation::Facts, Err(error)) => vec![format!("it should have been accepted: {error}")],
        (Expectation::Refusal | Expectation::Either, Err(_)) => return Verdict::Refused,
        (Expectation::None, Err(error)) => match reference.excuse(error, limits) {
            Ok(()) => return Verdict::Refused,
            Err(fault) => vec![fault],
        },
        (_, Ok(probe)) => reference.differences(probe),
    };
    if faults.is_empty() { Verdict::Right } else { Verdict::Wrong(faults) }
}

/// What a hostile file should get.
enum Expectation {
    Refusal,
    Facts,
    Either,
    None,
}

/// What ffmpeg calls integers of 24 bits in slots of 32, which it decodes to floats.
const PADDED: &str = "pcm_f24le";

/// Stands in the cells when the form has a column for frames: an empty one then says that no reference program opens the
/// picture.
const TELLS_FRAMES: &str = "tells frames";

impl Reference {
    /// The file, relative to where the references lie.
    pub fn path(&self) -> &str {
        &self.path
    }

    fn get(&self, column: &str) -> Option<&str> {
        self.cells.get(column).map(String::as_str)
    }

    fn number(&self, column: &str) -> Option<f64> {
        self.get(column)?.parse().ok()
    }

    fn expectation(&self) -> Expectation {
        match self.get("expect") {
            None => Expectation::None,
            Some(text) if text.starts_with("accept/") || text.starts_with("refuse or ") => Expectation::Either,
            Some(text) if text.starts_with("refuse") => Expectation::Refusal,
            Some(text) if text.starts_with("accept") => Expectation::Facts,
            // What another program did wrong with it.
            Some(_) => Expectation::Either,
        }
    }

    /// Whether a refusal is what the design asks for.
    fn excuse(&self, error: &MediaError, limits: &Limits) -> Result<(), String> {
        let above = |column, limit| self.number(column).is_none_or(|value| value > limit);
        let side = f64::from(limits.max_side);
        let area = self.number("width").zip(self.number("height")).map(|(width, height)| width * height);
        let right = match error {
            MediaError::UnsupportedType { .. } => !(self.is_readable() && self.is_of_known_format()),
            MediaError::TooManyPixels { .. } => area.is_none_or(|area| area > exact(limits.max_pixels)),
            MediaError::TooLargeSide { .. } => above("width", side) || above("height", side),
            MediaError::TooManyFrames { .. } => above("frames", f64::from(limits.max_frames)),
            MediaError::TooLong { .. } => above("duration", exact(limits.max_duration_ms) / 1000.0),
            MediaError::Corrupt { format, reason } => {
                !self.is_readable() || (*reason == TRUNCATED && ends_visibly(*format))
            }
            MediaError::TrailingData { format, .. } => !self.is_readable() || *format != Format::Jpeg,
            MediaError::Empty | MediaError::BudgetExceeded { .. } => !self.is_readable(),
            MediaError::TypeMismatch { .. } | MediaError::KindMismatch { .. } | MediaError::Read(_) => false,
        };
        if right { Ok(()) } else { Err(format!("refused, but the reference programs read it: {error}")) }
    }

    /// Whether a reference program opens the picture or decodes some of the sound.
    fn is_readable(&self) -> bool {
        let opened = self.get("frames").is_some() || self.get(TELLS_FRAMES).is_none();
        let shown = self.get("display_width").is_some() && opened;
        shown || self.number("decoded_seconds").is_some_and(|seconds| seconds > 0.0)
    }

    /// Whether it is of a format that is read here. What has pictures that move is none, but the reference programs call
    /// cover art video, too: so that excuses a refusal, and forbids nothing.
    fn is_of_known_format(&self) -> bool {
        let film = self.get("has_video") == Some("yes");
        !film && Format::all().iter().any(|format| self.names(*format) == Some(true))
    }

    /// Whether the reference means this format; `None` when it does not tell.
    fn names(&self, format: Format) -> Option<bool> {
        if let Some(content_type) = self.get("detected").filter(|content_type| *content_type != "-") {
            return Some(declared_matches(content_type, format));
        }
        if let Some(name) = self.get("format") {
            let known = match format {
                Format::Heic => name == "heif",
                // Both are HEIF files, and some programs do not tell them apart.
                Format::Avif => matches!(name, "avif" | "heif"),
                _ => name == format.name(),
            };
            return Some(known && format.kind() == Kind::Image);
        }
        let (container, codec) = (self.get("container")?, self.get("codec").and_then(codec));
        let known = match format {
            Format::Wav => container == "wav" && !matches!(codec, None | Some(Codec::Aac)),
            Format::Mp3 => container == "mp3",
            Format::Flac => container == "flac",
            Format::OggVorbis => container == "ogg" && codec == Some(Codec::Vorbis),
            Format::OggOpus => container == "ogg" && codec == Some(Codec::Opus),
            Format::Mp4Audio => container.contains("mp4") && matches!(codec, Some(Codec::Aac | Codec::Alac)),
            Format::Aiff => container == "aiff",
            Format::WebmAudio => container.contains("webm") && matches!(codec, Some(Codec::Opus | Codec::Vorbis)),
            Format::Adts => container == "aac",
            _ => false,
        };
        Some(known)
    }

    fn differences(&self, probe: &Probe) -> Vec<String> {
        let mut faults = match &probe.facts {
            Facts::Image(facts) => self.image_differences(facts, probe.format),
            Facts::Audio(facts) => self.audio_differences(facts),
        };
        if self.names(probe.format) == Some(false) {
            faults.push(format!("type {}, which the reference does not mean", probe.format));
        }
        faults
    }

    fn image_differences(&self, facts: &ImageFacts, format: Format) -> Vec<String> {
        // Reference programs give the size before turning, but after cropping.
        let cropped = if facts.orientation >= 5 { (facts.height, facts.width) } else { (facts.width, facts.height) };
        // An APNG's default picture may stand before the animation; some programs count it as a frame.
        let with_default = facts.frame_count + u32::from(format == Format::Png && facts.frame_count > 1);
        let shown = [
            ("display_width", [facts.width; 2]),
            ("display_height", [facts.height; 2]),
            ("frames", [facts.frame_count, with_default]),
        ];
        let stored = [
            ("width", [facts.coded_width, cropped.0]),
            ("height", [facts.coded_height, cropped.1]),
            ("orientation", [u32::from(facts.orientation); 2]),
        ];
        let stored = if self.was_turned(format) { [].as_slice() } else { &stored };
        let columns = shown.iter().chain(stored);
        let mut faults: Vec<String> =
            columns.filter_map(|(column, found)| self.number_differs(column, found)).collect();
        if let Some((width, height)) = self.get("expect").and_then(size_in) {
            faults.extend((width != facts.width).then(|| format!("width {}, expected {width}", facts.width)));
            faults.extend((height != facts.height).then(|| format!("height {}, expected {height}", facts.height)));
        }
        faults
    }

    /// Some programs turn HEIF pictures while they open them, and then know neither the stored size nor the turning.
    fn was_turned(&self, format: Format) -> bool {
        let upright =
            self.get("width") == self.get("display_width") && self.get("height") == self.get("display_height");
        matches!(format, Format::Avif | Format::Heic) && upright && self.get("orientation") == Some("1")
    }

    fn audio_differences(&self, facts: &AudioFacts) -> Vec<String> {
        let mut faults = Vec::new();
        let rates = [("sample_rate", facts.sample_rate), ("channels", u32::from(facts.channels))];
        faults.extend(rates.iter().filter_map(|(column, found)| self.number_differs(column, &[*found])));
        faults.extend(self.duration_differs(facts));
        if let Some(reference) = self.get("codec")
            && codec(reference).is_some_and(|codec| codec != facts.codec)
            && !(reference == "PCM" && facts.codec == Codec::PcmFloat)
        {
            faults.push(format!("codec {}, reference {reference}", facts.codec));
        }
        // Codecs with losses have no such thing; what programs print for them is what their decoders put out.
        if !is_lossy(facts.codec) && self.get("codec") != Some(PADDED) {
            faults.extend(self.number_differs("bits", &[u32::from(facts.bit_depth.unwrap_or_default())]));
        }
        faults.extend(self.bitrate_differs(facts));
        if let Some(title) = self.get("title").filter(|title| facts.title.as_deref() != Some(*title)) {
            faults.push(format!("title {:?}, reference {title:?}", facts.title));
        }
        faults
    }

    /// The length by the header and the length when decoded are both right: which one is meant depends on the use.
    fn duration_differs(&self, facts: &AudioFacts) -> Option<String> {
        let found = facts.duration_ms.map(|ms| exact(ms) / 1000.0);
        if let Some(claimed) = self.get("expect").and_then(claimed_seconds)
            && found.is_some_and(|found| close(found, claimed))
        {
            return Some(format!("duration {claimed} is taken from a false claim"));
        }
        // Programs print 0 for what they do not know.
        let columns = ["duration", "decoded_seconds"].iter().filter_map(|column| self.number(column));
        let references: Vec<f64> = columns.filter(|seconds| *seconds > 0.0).collect();
        let right = references.is_empty() || found.is_some_and(|found| references.iter().any(|one| close(found, *one)));
        (!right).then(|| format!("duration {found:?} ({}), reference {references:?}", facts.duration_source))
    }

    /// Compared where it is constant: elsewhere programs print what the encoder aimed at, or what the first frame has.
    fn bitrate_differs(&self, facts: &AudioFacts) -> Option<String> {
        let reference = self.number("bitrate").filter(|rate| *rate > 0.0)?;
        let found = f64::from(facts.bitrate?);
        // Of plain samples it is a product; some programs take the decoded width for the stored one.
        let plain = matches!(facts.codec, Codec::Pcm | Codec::PcmFloat | Codec::ALaw | Codec::MuLaw);
        let columns = ["sample_rate", "channels", "bits"].map(|column| self.number(column).unwrap_or_default());
        let product = if plain { columns.iter().product() } else { reference };
        let right = [reference, product].iter().any(|one| (found - one).abs() <= one * BITRATE_PART);
        let long = self.number("decoded_seconds").is_some_and(|seconds| seconds >= SHORT);
        let comparable = facts.variable_bitrate == Some(false) && long;
        (comparable && !right).then(|| format!("bitrate {found}, reference {reference}"))
    }

    /// Whether none of the values is the one of the column.
    fn number_differs(&self, column: &str, found: &[u32]) -> Option<String> {
        let reference = self.number(column)?;
        let differs = found.iter().all(|value| (f64::from(*value) - reference).abs() > 0.5);
        differs.then(|| format!("{column} {}, reference {reference}", found.first().copied().unwrap_or_default()))
    }
}

/// Formats whose end can be seen in the bytes, so that a cut file is refused.
fn ends_visibly(format: Format) -> bool {
    matches!(format, Format::Png | Format::Gif | Format::WebP | Format::Jpeg)
}

fn is_lossy(codec: Codec) -> bool {
    matches!(codec, Codec::Mp1 | Codec::Mp2 | Codec::Mp3 | Codec::Vorbis | Codec::Opus | Codec::Aac | Codec::Gsm)
}

/// The codec that a reference program means.
fn codec(name: &str) -> Option<Codec> {
    Some(match name {
        "adpcm_ms" => Codec::AdpcmMs,
        "adpcm_yamaha" => Codec::AdpcmYamaha,
        "adpcm_g722" => Codec::AdpcmG722,
        "gsm" | "gsm_ms" => Codec::Gsm,
        "mp1" => Codec::Mp1,
        "mp2" => Codec::Mp2,
        "mp3" => Codec::Mp3,
        "flac" | "FLAC" => Codec::Flac,
        "vorbis" => Codec::Vorbis,
        "opus" | "Opus" => Codec::Opus,
        "aac" | "AAC" | "USAC" => Codec::Aac,
        "alac" => Codec::Alac,
        "pcm_alaw" => Codec::ALaw,
        "pcm_mulaw" => Codec::MuLaw,
        name if name.starts_with("adpcm_ima") => Codec::AdpcmIma,
        PADDED => Codec::Pcm,
        name if name.starts_with("pcm_f") => Codec::PcmFloat,
        name if name.starts_with("pcm_") || name == "PCM" => Codec::Pcm,
        _ => return None,
    })
}

fn close(found: f64, reference: f64) -> bool {
    (found - reference).abs() <= (reference * PART).max(SECONDS)
}

/// Seconds in words such as `claims 24347.9 s`.
fn claimed_seconds(text: &str) -> Option<f64> {
    text.strip_prefix("claims ")?.split_once(" s")?.0.parse().ok()
}

/// The first size such as `8x6`.
fn size_in(text: &str) -> Option<(u32, u32)> {
    text.split(|c: char| !c.is_ascii_alphanumeric()).find_map(|word| {
        let (width, height) = word.split_once('x')?;
        Some((width.parse().ok()?, height.parse().ok()?))
    })
}

/// Turns a right value in words into columns: `48x32`, `3.0 s decoded (mp3, 44100 Hz, 2 ch; ffprobe header 3.03)`,
/// `0.144 by header`, `reject`, `reject or …`.
fn read_words(words: &str, cells: &mut HashMap<String, String>) {
    let mut put = |column: &str, value: &str| cells.insert(column.to_owned(), value.to_owned());
    if words.contains("reject") || words.contains("mismatch error") {
        put("expect", if words.contains(" or ") { "accept/refuse" } else { "refuse" });
    }
    if let Some((width, height)) = size_in(words).filter(|_| !words.starts_with("reject")) {
        put("display_width", &width.to_string());
        put("display_height", &height.to_string());
    }
    if let Some((seconds, rest)) = words.split_once(" s decoded (") {
        put("decoded_seconds", seconds);
        let mut parts = rest.split([',', ';', ')']).map(str::trim);
        put("codec", parts.next().unwrap_or_default());
        put("sample_rate", parts.next().unwrap_or_default().trim_end_matches(" Hz"));
        put("channels", parts.next().unwrap_or_default().trim_end_matches(" ch"));
        put("duration", parts.next().unwrap_or_default().trim_start_matches("ffprobe header "));
    } else if let Some((seconds, rest)) = words.split_once(" by ") {
        put("duration", seconds);
        if let Some((_, trimmed)) = rest.split_once("trims to ") {
            put("decoded_seconds", trimmed.trim_end_matches(')'));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "durations and areas are far below 2^53")]
fn exact(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::DurationSource;

    const COLUMNS: &str =
        "path\tformat\tdisplay_width\tdisplay_height\twidth\theight\tframes\tduration\tdecoded_seconds\tcodec\texpect";

    fn row(cells: &str) -> Reference {
        references(&format!("{COLUMNS}\n{cells}")).unwrap().remove(0)
    }

    fn picture(width: u32, height: u32) -> Probe {
        Probe { format: Format::Png, facts: Facts::Image(ImageFacts::still(width, height)), bytes_read: 1 }
    }

    fn sound(ms: u64) -> Probe {
        let facts = AudioFacts::new(Codec::Mp3, 8000, 1).lasting(ms, 1000, DurationSource::Header);
        Probe { format: Format::Mp3, facts: Facts::Audio(facts), bytes_read: 1 }
    }

    fn verdict<A: Into<Result<Probe, MediaError>>>(reference: &Reference, answer: A) -> Verdict {
        let answer = answer.into();
        check(reference, answer.as_ref(), &Limits::default())
    }

    fn corrupt(reason: &'static str) -> MediaError {
        MediaError::Corrupt { format: Format::Png, reason }
    }

    #[test]
    fn facts_are_compared_with_each_column() {
        let reference = row("a.png\tpng\t8\t6\t8\t6\t1");
        assert_eq!(verdict(&reference, Ok(picture(8, 6))), Verdict::Right);
        let Verdict::Wrong(faults) = verdict(&reference, Ok(picture(6, 8))) else { panic!("it differs") };
        assert_eq!(faults.len(), 4, "{faults:?}");
        let Verdict::Wrong(faults) = verdict(&row("a\tgif\t8\t6"), Ok(picture(8, 6))) else { panic!("it differs") };
        assert_eq!(faults, ["type png, which the reference does not mean"]);
    }

    #[test]
    fn either_length_will_do_and_zero_is_none() {
        let reference = row("a\t\t\t\t\t\t\t3.03\t3.0\tmp3");
        assert_eq!(verdict(&reference, Ok(sound(3000))), Verdict::Right);
        assert_eq!(verdict(&reference, Ok(sound(3030))), Verdict::Right);
        assert!(matches!(verdict(&reference, Ok(sound(3100))), Verdict::Wrong(_)));
        assert_eq!(verdict(&row("a\t\t\t\t\t\t\t0.0\t\tmp3"), Ok(sound(3100))), Verdict::Right);
        assert!(matches!(verdict(&row("a\t\t\t\t\t\t\t3.0\t\tflac"), Ok(sound(3000))), Verdict::Wrong(_)));
    }

    #[test]
    fn a_refusal_is_right_only_where_the_reference_has_nothing() {
        assert_eq!(verdict(&row("a\tpng"), Err(corrupt("x"))), Verdict::Refused);
        assert_eq!(verdict(&row("a\tpng\t8\t6\t8\t6\t"), Err(corrupt("x"))), Verdict::Refused);
        assert!(matches!(verdict(&row("a\tpng\t8\t6\t8\t6\t1"), Err(corrupt("x"))), Verdict::Wrong(_)));
        assert_eq!(verdict(&row("a\tpng\t8\t6\t8\t6\t1"), Err(corrupt(TRUNCATED))), Verdict::Refused);
        let unsupported = || Err(MediaError::unsupported("unknown"));
        assert_eq!(verdict(&row("a\tico\t8\t6\t8\t6\t1"), unsupported()), Verdict::Refused);
        assert!(matches!(verdict(&row("a\tpng\t8\t6\t8\t6\t1"), unsupported()), Verdict::Wrong(_)));
        let pixels = || Err(MediaError::TooManyPixels { width: 1, height: 1, limit: 1 });
        assert!(matches!(verdict(&row("a\tpng\t8\t6\t8\t6\t1"), pixels()), Verdict::Wrong(_)));
        assert_eq!(verdict(&row("a\tpng\t90000\t90000\t90000\t90000\t1"), pixels()), Verdict::Refused);
        let outage = Err(MediaError::Read(std::io::Error::other("x")));
        assert!(matches!(verdict(&row("a\tico"), outage), Verdict::Wrong(_)));
    }

    #[test]
    fn hostile_files_get_what_is_expected() {
        let hostile = |expect: &str| row(&format!("a\t\t\t\t\t\t\t\t\t\t{expect}"));
        assert!(matches!(verdict(&hostile("refuse: pixels"), Ok(picture(8, 6))), Verdict::Wrong(_)));
        assert_eq!(verdict(&hostile("refuse: pixels"), Err(corrupt("x"))), Verdict::Refused);
        assert!(matches!(verdict(&hostile("accept 8x6, never inflate"), Err(corrupt("x"))), Verdict::Wrong(_)));
        assert_eq!(verdict(&hostile("accept 8x6, never inflate"), Ok(picture(8, 6))), Verdict::Right);
        assert!(matches!(verdict(&hostile("accept (9x6)"), Ok(picture(8, 6))), Verdict::Wrong(_)));
        assert_eq!(verdict(&hostile("accept/refuse: loop"), Err(corrupt("x"))), Verdict::Refused);
        assert!(matches!(verdict(&hostile("claims 3.0 s; nothing is there"), Ok(sound(3000))), Verdict::Wrong(_)));
        assert_eq!(verdict(&hostile("claims 3.0 s; nothing is there"), Ok(sound(10))), Verdict::Right);
    }

    #[test]
    fn values_in_words_are_read() {
        let words = |detected: &str, words: &str| {
            references(&format!("file\tbytes\tdetected\tright_value\na\t1\t{detected}\t{words}")).unwrap().remove(0)
        };
        assert_eq!(verdict(&words("image/png", "8x6"), Ok(picture(8, 6))), Verdict::Right);
        assert!(matches!(verdict(&words("image/png", "8x6"), Err(corrupt("x"))), Verdict::Wrong(_)));
        assert!(matches!(verdict(&words("image/gif", "8x6"), Ok(picture(8, 6))), Verdict::Wrong(_)));
        assert!(matches!(verdict(&words("-", "reject"), Ok(picture(8, 6))), Verdict::Wrong(_)));
        assert_eq!(verdict(&words("image/png", "8x6 or reject; no panic"), Err(corrupt("x"))), Verdict::Refused);
        let decoded = words("audio/mpeg", "3.0 s decoded (mp3, 8000 Hz, 1 ch; ffprobe header 3.2)");
        assert_eq!(verdict(&decoded, Ok(sound(3200))), Verdict::Right);
        assert!(matches!(verdict(&decoded, Ok(sound(3100))), Verdict::Wrong(_)));
        assert!(matches!(verdict(&words("audio/mpeg", "3.0 by header"), Ok(sound(1000))), Verdict::Wrong(_)));
    }

    #[test]
    fn what_is_no_list_is_refused() {
        assert_eq!(references("a\tb\n"), Err(ManifestError::NoPath));
        assert_eq!(references("path\nx\ty"), Err(ManifestError::TooManyFields { line: 2 }));
    }

    #[test]
    fn deviations_are_rows_of_a_table() {
        let found = deviations("text\n| file | what | reason |\n|---|---|---|\n| `a/b.png` | frames | it lies |\n");
        assert_eq!(found.get("a/b.png").map(String::as_str), Some("it lies"));
        assert_eq!(found.len(), 1);
    }
}
