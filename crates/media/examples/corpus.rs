//! Compares probes with a manifest of reference values: `cargo run --example corpus -- MANIFEST DIR [--refused]`.
//!
//! Prints each row that is wrong (and, when asked, each that is refused), then how many were right, wrong and refused.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::ExitCode;

use object_store_media::{AudioFacts, Facts, FormatSet, ImageFacts, MediaError, Policy, Probe, probe};

type Row<'a> = HashMap<&'a str, &'a str>;

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [manifest, directory, options @ ..] = arguments.as_slice() else {
        eprintln!("usage: corpus MANIFEST DIR [--refused]");
        return Ok(ExitCode::from(2));
    };
    let list_refused = options.iter().any(|option| option == "--refused");
    let manifest = fs::read_to_string(manifest)?;
    let mut lines = manifest.lines();
    let columns: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
    let (mut right, mut wrong, mut refused) = (0, 0, 0);
    let mut read = Vec::new();
    for line in lines {
        let row: Row = columns.iter().copied().zip(line.split('\t')).collect();
        let path = row.get("path").copied().unwrap_or_default();
        let expected = row.get("expect").copied().unwrap_or_default();
        match probe_file(&Path::new(directory).join(path)) {
            Ok(probe) => {
                read.push(probe.bytes_read);
                let faults = compare(&row, &probe);
                if faults.is_empty() {
                    right += 1;
                } else {
                    wrong += 1;
                    println!("WRONG   {path}: {}", faults.join(", "));
                }
                if !expected.is_empty() {
                    println!("CHECK   {path}: {} where expected: {expected}", summary(&probe));
                }
            }
            Err(error) => {
                refused += 1;
                if list_refused {
                    println!("REFUSED {path}: [{}] {error} | {expected} {}", error.code(), known(&row));
                }
            }
        }
    }
    read.sort_unstable();
    let part = |percent: usize| read.get((read.len() * percent / 100).min(read.len().saturating_sub(1)));
    println!("{right} right, {wrong} wrong, {refused} refused");
    println!("bytes read: median {:?}, 95 % {:?}, most {:?}", part(50), part(95), read.last());
    Ok(ExitCode::SUCCESS)
}

fn probe_file(path: &Path) -> Result<Probe, MediaError> {
    let file = File::open(path).map_err(MediaError::Read)?;
    probe(file, &Policy { accepted: FormatSet::all(), ..Policy::default() })
}

fn compare(row: &Row, probe: &Probe) -> Vec<String> {
    match &probe.facts {
        Facts::Image(facts) => compare_image(row, facts),
        Facts::Audio(facts) => compare_audio(row, facts),
    }
}

fn compare_image(row: &Row, facts: &ImageFacts) -> Vec<String> {
    let columns = [
        ("display_width", facts.width),
        ("display_height", facts.height),
        ("width", facts.coded_width),
        ("height", facts.coded_height),
        ("orientation", u32::from(facts.orientation)),
        ("frames", facts.frame_count),
    ];
    columns.iter().filter_map(|(column, value)| differs(row, column, *value)).collect()
}

fn compare_audio(row: &Row, facts: &AudioFacts) -> Vec<String> {
    let columns = [("sample_rate", facts.sample_rate), ("channels", u32::from(facts.channels))];
    let mut faults: Vec<String> = columns.iter().filter_map(|(column, value)| differs(row, column, *value)).collect();
    let references: Vec<f64> =
        ["duration", "decoded_seconds"].iter().filter_map(|column| row.get(column)?.parse().ok()).collect();
    #[expect(clippy::cast_precision_loss, reason = "durations are far below 2^53")]
    let found = facts.duration_ms.map(|ms| ms as f64 / 1000.0);
    let close = |reference: &f64| found.is_some_and(|found| (found - reference).abs() <= (reference * 0.005).max(0.03));
    if !references.is_empty() && !references.iter().any(close) {
        faults.push(format!("duration {found:?} ({}), reference {references:?}", facts.duration_source));
    }
    let title = row.get("title").copied().unwrap_or_default();
    if !title.is_empty() && facts.title.as_deref() != Some(title) {
        faults.push(format!("title {:?}, reference {title:?}", facts.title));
    }
    faults
}

fn differs(row: &Row, column: &str, found: u32) -> Option<String> {
    let reference: f64 = row.get(column)?.parse().ok()?;
    ((f64::from(found) - reference).abs() > 0.5).then(|| format!("{column} {found}, reference {reference}"))
}

fn summary(probe: &Probe) -> String {
    match &probe.facts {
        Facts::Image(facts) => {
            format!("{} {}x{}, {} frames", probe.format, facts.width, facts.height, facts.frame_count)
        }
        Facts::Audio(facts) => format!("{} {:?} ms {} Hz", probe.format, facts.duration_ms, facts.sample_rate),
    }
}

fn known(row: &Row) -> String {
    ["format", "container", "codec", "display_width", "display_height", "duration"]
        .iter()
        .filter_map(|column| row.get(column).filter(|value| !value.is_empty()))
        .copied()
        .collect::<Vec<_>>()
        .join(" ")
}
