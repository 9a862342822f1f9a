//! `probe`: what files are, by their bytes alone.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use object_store_public::media::{
    Facts, FormatSet, Limits, MediaError, Policy, Probe, Reference, Verdict, check, deviations, probe, references,
};
use serde_json::{Value, json};

use crate::output;

/// The deviations that are known and explained; the checker takes them from where they are explained.
const DOCUMENT: &str = include_str!("../../../docs/media.md");

/// Tell what files are, and check that against reference values.
///
/// Reads the files themselves, not the store. Every format that can be read is accepted, under the default limits.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
With --expect, each row of the list is looked for under the given directories, and ends as one of: right (the facts are
those of the row), refused (and that is what docs/media.md asks for), deviation (listed there with its reason), WRONG.

Exit status: 0 done, 1 a row is wrong (with --expect) or a file was refused (without).

Examples:
  cargo xtask probe photo.jpg song.mp3
  cargo xtask probe --json album/ | jq '.files[].facts'
  cargo xtask probe --expect corpus/manifest.tsv corpus")]
pub(crate) struct Args {
    /// Files, or directories to look through.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Reference values, as docs/media.md describes them.
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.expect {
        Some(list) => check_all(args, list),
        None => describe_all(args),
    }
}

type Answer = Result<Probe, MediaError>;

fn describe_all(args: &Args) -> anyhow::Result<ExitCode> {
    let mut refused = false;
    let mut documents = Vec::new();
    for path in files(&args.paths)? {
        let answer = probe_file(&path);
        refused |= answer.is_err();
        let name = path.display().to_string();
        if args.json {
            documents.push(with(document(&name, &answer), "path", name.into()));
        } else {
            output::line(format!("{name}: {}", sentence(&answer)))?;
        }
    }
    if args.json {
        output::json(&json!({ "files": documents }))?;
    }
    Ok(if refused { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn check_all(args: &Args, list: &Path) -> anyhow::Result<ExitCode> {
    let text = fs::read_to_string(list).with_context(|| format!("reading {}", list.display()))?;
    let references = references(&text).with_context(|| format!("reading {}", list.display()))?;
    let known = deviations(DOCUMENT);
    let mut count = Count::default();
    let mut documents = Vec::new();
    for reference in &references {
        let answer = locate(&args.paths, reference).map_or_else(not_found, |path| probe_file(&path));
        let outcome = Outcome::of(reference, &answer, &known);
        count.add(&outcome, &answer);
        if args.json {
            documents.push(with(document(reference.path(), &answer), "verdict", outcome.name().into()));
        } else if let Some(line) = outcome.line(reference.path()) {
            output::line(line)?;
        }
    }
    if args.json {
        output::json(&json!({ "files": documents, "summary": count.document() }))?;
    } else {
        output::line(count.sentence())?;
    }
    Ok(if count.wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What became of a row.
enum Outcome {
    Right,
    Refused,
    /// Wrong, but listed: the reason.
    Deviation(String),
    Wrong(Vec<String>),
}

impl Outcome {
    fn of(reference: &Reference, answer: &Answer, known: &HashMap<String, String>) -> Self {
        match check(reference, answer.as_ref(), &Limits::default()) {
            Verdict::Right => Self::Right,
            Verdict::Refused => Self::Refused,
            Verdict::Wrong(faults) => match known.get(reference.path()) {
                Some(reason) => Self::Deviation(reason.clone()),
                None => Self::Wrong(faults),
            },
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Refused => "refused",
            Self::Deviation(_) => "deviation",
            Self::Wrong(_) => "wrong",
        }
    }

    /// What is worth a line: what is wrong, or would be.
    fn line(&self, path: &str) -> Option<String> {
        match self {
            Self::Right | Self::Refused => None,
            Self::Deviation(reason) => Some(format!("deviation {path}: {reason}")),
            Self::Wrong(faults) => Some(format!("WRONG     {path}: {}", faults.join("; "))),
        }
    }
}

/// The sums of a run.
#[derive(Default)]
struct Count {
    right: usize,
    wrong: usize,
    refused: usize,
    deviation: usize,
    /// Bytes read of each file that was described.
    bytes: Vec<u64>,
}

impl Count {
    fn add(&mut self, outcome: &Outcome, answer: &Answer) {
        match outcome {
            Outcome::Right => self.right += 1,
            Outcome::Refused => self.refused += 1,
            Outcome::Deviation(_) => self.deviation += 1,
            Outcome::Wrong(_) => self.wrong += 1,
        }
        self.bytes.extend(answer.iter().map(|probe| probe.bytes_read));
    }

    /// Median, 95th percentile and maximum of the bytes read.
    fn spread(&self) -> [u64; 3] {
        let mut sorted = self.bytes.clone();
        sorted.sort_unstable();
        // The smallest number that so many per cent of the files keep to.
        let part = |percent: usize| (sorted.len() * percent).div_ceil(100).saturating_sub(1);
        [50, 95, 100].map(|percent| sorted.get(part(percent)).copied().unwrap_or_default())
    }

    fn sentence(&self) -> String {
        let Self { right, wrong, refused, deviation, bytes } = self;
        let [median, most, all] = self.spread();
        format!(
            "{right} right, {wrong} wrong, {refused} refused, {deviation} deviation\n\
             bytes read of {} described files: median {median}, 95 % at most {most}, all at most {all}",
            bytes.len()
        )
    }

    fn document(&self) -> Value {
        let [median, most, all] = self.spread();
        json!({
            "right": self.right, "wrong": self.wrong, "refused": self.refused, "deviation": self.deviation,
            "bytes_read": { "median": median, "percentile_95": most, "max": all },
        })
    }
}

fn probe_file(path: &Path) -> Answer {
    let file = File::open(path).map_err(MediaError::Read)?;
    probe(file, &Policy { accepted: FormatSet::all(), ..Policy::default() })
}

fn not_found() -> Answer {
    Err(MediaError::Read(std::io::ErrorKind::NotFound.into()))
}

/// The file of a row: under one of the directories, or one of the files itself.
fn locate(paths: &[PathBuf], reference: &Reference) -> Option<PathBuf> {
    let mut candidates = paths.iter().filter_map(|path| {
        let below = path.join(reference.path());
        if below.is_file() {
            return Some(below);
        }
        path.ends_with(reference.path()).then(|| path.clone())
    });
    candidates.next()
}

/// All files among and below the paths, in order of name.
fn files(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = paths.iter().rev().cloned().collect();
    while let Some(path) = open.pop() {
        // A link to a directory is not followed: it may lead back.
        if !path.is_dir() || path.is_symlink() {
            found.push(path);
            continue;
        }
        let entries = fs::read_dir(&path).with_context(|| format!("reading {}", path.display()))?;
        let mut below = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
        below.sort_unstable_by(|one, other| other.cmp(one));
        open.extend(below);
    }
    Ok(found)
}

fn sentence(answer: &Answer) -> String {
    match answer {
        Err(error) => format!("refused [{}] {error}", error.code()),
        Ok(Probe { format, facts: Facts::Image(facts), bytes_read }) => format!(
            "{} {}x{} (stored {}x{}, orientation {}), frames {}, alpha {}, bits {}; {bytes_read} bytes read",
            format.content_type(),
            facts.width,
            facts.height,
            facts.coded_width,
            facts.coded_height,
            facts.orientation,
            facts.frame_count,
            shown(facts.has_alpha),
            shown(facts.bit_depth),
        ),
        Ok(Probe { format, facts: Facts::Audio(facts), bytes_read }) => format!(
            "{} {}, {} ms ({}), {} Hz, channels {}, bits {}, bit/s {}{}, title {}, artist {}; {bytes_read} bytes read",
            format.content_type(),
            facts.codec,
            shown(facts.duration_ms),
            facts.duration_source,
            facts.sample_rate,
            facts.channels,
            shown(facts.bit_depth),
            shown(facts.bitrate),
            if facts.variable_bitrate == Some(true) { " (varies)" } else { "" },
            shown(facts.title.as_ref()),
            shown(facts.artist.as_ref()),
        ),
    }
}

fn shown(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn document(path: &str, answer: &Answer) -> Value {
    match answer {
        Err(error) => json!({ "path": path, "error": { "code": error.code(), "message": error.to_string() } }),
        Ok(probe) => json!({
            "path": path,
            "content_type": probe.format.content_type(),
            "format": probe.format.name(),
            "facts": facts(&probe.facts),
            "bytes_read": probe.bytes_read,
        }),
    }
}

fn facts(facts: &Facts) -> Value {
    match facts {
        Facts::Image(facts) => json!({
            "width": facts.width,
            "height": facts.height,
            "coded_width": facts.coded_width,
            "coded_height": facts.coded_height,
            "orientation": facts.orientation,
            "frame_count": facts.frame_count,
            "has_alpha": facts.has_alpha,
            "bit_depth": facts.bit_depth,
        }),
        Facts::Audio(facts) => json!({
            "duration_ms": facts.duration_ms,
            "duration_source": facts.duration_source.name(),
            "sample_rate": facts.sample_rate,
            "channels": facts.channels,
            "bit_depth": facts.bit_depth,
            "codec": facts.codec.name(),
            "bitrate": facts.bitrate,
            "variable_bitrate": facts.variable_bitrate,
            "title": facts.title,
            "artist": facts.artist,
        }),
    }
}

/// The document with one more member.
fn with(mut document: Value, name: &str, value: Value) -> Value {
    if let Some(members) = document.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIF: &[u8] = b"GIF89a\x02\0\x01\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x02\0\x01\0\0\x02\x02\x44\x01\0;";

    fn args(paths: Vec<PathBuf>, expect: Option<PathBuf>) -> Args {
        Args { paths, expect, json: false }
    }

    fn status(code: ExitCode) -> bool {
        format!("{code:?}") == format!("{:?}", ExitCode::SUCCESS)
    }

    #[test]
    fn a_wrong_row_fails_the_run() {
        let dir = tempfile::tempdir().unwrap();
        let below = dir.path().join("sub");
        fs::create_dir(&below).unwrap();
        fs::write(below.join("a.gif"), GIF).unwrap();
        let list = dir.path().join("list.tsv");
        for (width, right) in [(2, true), (3, false)] {
            fs::write(&list, format!("path\tdisplay_width\tframes\nsub/a.gif\t{width}\t1\n")).unwrap();
            let run = run(&args(vec![dir.path().to_owned()], Some(list.clone()))).unwrap();
            assert_eq!(status(run), right);
        }
        fs::write(&list, "path\nsub/gone.gif\n").unwrap();
        assert!(!status(run(&args(vec![dir.path().to_owned()], Some(list))).unwrap()));
    }

    #[test]
    fn files_are_described_and_refusals_fail_the_run() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.gif"), GIF).unwrap();
        assert!(status(run(&args(vec![dir.path().to_owned()], None)).unwrap()));
        fs::write(dir.path().join("b.gif"), "text").unwrap();
        assert!(!status(run(&args(vec![dir.path().to_owned()], None)).unwrap()));
        let answer = probe_file(&dir.path().join("a.gif"));
        let expected = "image/gif 2x1 (stored 2x1, orientation 1), frames 1, alpha false, bits -; 35 bytes read";
        assert_eq!(sentence(&answer), expected);
        assert_eq!(document("a", &answer)["facts"]["width"], 2);
    }

    #[test]
    fn listed_deviations_are_no_faults_and_few() {
        let known = deviations(DOCUMENT);
        assert!((1..=4).contains(&known.len()), "{known:?}");
        let list = format!("path\tdisplay_width\n{}\t3\n", known.keys().next().unwrap());
        let answer = probe(std::io::Cursor::new(GIF), &Policy::default());
        let outcome = Outcome::of(&references(&list).unwrap()[0], &answer, &known);
        assert_eq!(outcome.name(), "deviation");
    }

    #[test]
    fn bytes_are_spread() {
        let count = Count { bytes: (1..=100).collect(), ..Count::default() };
        assert_eq!(count.spread(), [50, 95, 100]);
        assert_eq!(Count::default().spread(), [0, 0, 0]);
    }
}
