//! Time and bytes read per format, against `imagesize` and `hound` in the same run, and the processor time of the costliest
//! hostile files: `cargo bench -p object-store-media`.
//!
//! Inputs come from the tests' own writers, so the figures say what reading costs, not what files usually hold.

#[expect(dead_code, clippy::unwrap_used, reason = "the tests use more of it, and may fail in it")]
#[path = "../tests/it/endless.rs"]
mod endless;
#[expect(dead_code, clippy::unwrap_used, reason = "the tests use more of it, and may fail in it")]
#[path = "../tests/it/write.rs"]
mod write;

use std::hint::black_box;
use std::io::Cursor;
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;
use object_store_media::{Format, FormatSet, Policy, Spent, probe, probe_spending};

/// Batches, of which the fastest counts, and calls in each.
const BATCHES: usize = 30;
const CALLS: u32 = 200;
/// What no file may take.
const MOST: Duration = Duration::from_millis(50);
/// How many of the costliest files are shown.
const SHOWN: usize = 8;

fn main() {
    // `cargo test --benches` runs this, too: then once is enough.
    let quick = !std::env::args().any(|argument| argument == "--bench");
    let policy = Policy { accepted: FormatSet::all(), ..Policy::default() };
    println!("{:<12} {:>9} {:>12} {:>10} {:>20} {:>8}", "format", "size", "bytes read", "time", "library", "ratio");
    for (format, bytes) in inputs() {
        let read = probe(Cursor::new(&bytes), &policy).map(|probe| probe.bytes_read);
        let read = read.map_or_else(|error| error.code().to_owned(), |read| read.to_string());
        let ours = time(quick, || {
            let _ = black_box(probe(Cursor::new(black_box(&bytes)), &policy));
        });
        let (name, ratio) = library(format, &bytes, quick).map_or_else(Default::default, |(name, theirs)| {
            (format!("{name} {}", shown(theirs)), format!("{:.1}", ours.as_secs_f64() / theirs.as_secs_f64()))
        });
        println!("{:<12} {:>9} {read:>12} {:>10} {name:>20} {ratio:>8}", format.name(), bytes.len(), shown(ours));
    }
    show_hostile(quick, &policy);
}

/// Prints the costliest files that were made to be costly, and the highest processor time against what is allowed.
fn show_hostile(quick: bool, policy: &Policy) {
    let files = endless::rows().chain(endless::large_tags());
    let mut costs: Vec<(Duration, &str, u64, Spent)> = files
        .take(if quick { 1 } else { usize::MAX })
        .map(|(name, file)| {
            // What disturbs a measurement makes it longer.
            let runs = (0..3).map(|_| {
                let start = ThreadTime::now();
                let (_, spent) = black_box(probe_spending(black_box(file.clone()), policy));
                (start.elapsed(), spent)
            });
            let (time, spent) = runs.min_by_key(|(time, _)| *time).unwrap_or_default();
            (time, name, file.len(), spent)
        })
        .collect();
    costs.sort_by_key(|(time, ..)| std::cmp::Reverse(*time));
    println!("\n{:<20} {:>9} {:>10} {:>9} {:>7} {:>7}", "hostile file", "size", "cpu time", "bytes", "seeks", "steps");
    for (time, name, len, spent) in costs.iter().take(SHOWN) {
        println!("{name:<20} {len:>9} {:>10} {:>9} {:>7} {:>7}", shown(*time), spent.bytes, spent.seeks, spent.steps);
    }
    if let Some((time, name, ..)) = costs.first() {
        println!("highest of {} files: {} ({name}); allowed: {}", costs.len(), shown(*time), shown(MOST));
    }
}

/// The samples of the tests, and larger files where a walk goes through them.
fn inputs() -> Vec<(Format, Vec<u8>)> {
    let mut inputs = write::samples();
    inputs.push((Format::Gif, write::gif(900)));
    inputs.push((Format::Png, write::png(800, 600, &vec![(b"tEXt", vec![b'a'; 8192]); 100])));
    inputs.push((Format::Wav, write::wav(44_100, 2, 16, &vec![1; 4 << 20])));
    inputs.push((Format::Mp3, write::mp3_frames(10_000)));
    inputs.push((Format::Adts, write::adts(10_000)));
    inputs
}

/// What the library for this format takes to read the size or the header.
fn library(format: Format, bytes: &[u8], quick: bool) -> Option<(&'static str, Duration)> {
    match format {
        Format::Wav if bytes.starts_with(b"RIFF") => {
            let read = || {
                let _ = black_box(hound::WavReader::new(Cursor::new(black_box(bytes))).map(|reader| reader.duration()));
            };
            Some(("hound", time(quick, read)))
        }
        Format::Png | Format::Jpeg | Format::Gif | Format::WebP | Format::Avif | Format::Tiff | Format::Bmp => {
            let read = || {
                let _ = black_box(imagesize::reader_size(Cursor::new(black_box(bytes))));
            };
            Some(("imagesize", time(quick, read)))
        }
        _ => None,
    }
}

/// The time of one call.
fn time(quick: bool, mut call: impl FnMut()) -> Duration {
    let (batches, calls) = if quick { (1, 1) } else { (BATCHES, CALLS) };
    let batches = (0..batches).map(|_| {
        let start = Instant::now();
        for _ in 0..calls {
            call();
        }
        start.elapsed() / calls
    });
    batches.min().unwrap_or_default()
}

fn shown(time: Duration) -> String {
    if time < Duration::from_micros(10) {
        format!("{} ns", time.as_nanos())
    } else {
        format!("{:.1} us", time.as_secs_f64() * 1e6)
    }
}
