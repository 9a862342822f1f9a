//! What a probe may cost, whatever the bytes. Time depends on the machine, so what is asserted is what time is made of:
//! bytes, seeks and steps within the budget, as counted by the source itself, steps in proportion to the length of a small
//! file, and 16 MiB of memory. How long the costliest of these files take, `cargo bench` prints.

use std::cell::Cell;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicUsize, Ordering};

use object_store_media::{Budget, Format, FormatSet, MediaError, Policy, Probe, Spent, probe_spending};

use crate::endless::{Tiled, large_tags, nested, rows, tile};
use crate::hostile::check;
use crate::write::{avif, exif, jpeg, mp3_frames, mp4_box, png, samples, wav, webm};

const MAX_MEMORY: u64 = 16 << 20;
/// A small file takes no more steps than so many for each of its bytes, and a few.
const STEPS_A_BYTE: u64 = 16;
const FEW_STEPS: u64 = 1000;
/// Inputs of the mutation test, and how many a seed makes.
const INPUTS: usize = 1_000_000;
const A_SEED: usize = 2_000;

/// A source that counts what is asked of it.
struct Counting<'a, S> {
    inner: S,
    bytes: &'a Cell<u64>,
    seeks: &'a Cell<u64>,
}

impl<S: Read> Read for Counting<'_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.bytes.set(self.bytes.get() + n as u64);
        Ok(n)
    }
}

impl<S: Seek> Seek for Counting<'_, S> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.seeks.set(self.seeks.get() + 1);
        self.inner.seek(to)
    }
}

struct Cost {
    spent: Spent,
    memory: u64,
}

/// Probes; an error says which bound was broken.
fn try_bounded<S: Read + Seek>(inner: S) -> Result<(Result<Probe, MediaError>, Cost), String> {
    let policy = Policy { accepted: FormatSet::all(), ..Policy::default() };
    let (bytes, seeks) = (Cell::new(0), Cell::new(0));
    let source = Counting { inner, bytes: &bytes, seeks: &seeks };
    let mut outcome = None;
    let allocated = allocation_counter::measure(|| outcome = Some(probe_spending(source, &policy)));
    let (answer, spent) = outcome.unwrap();
    let memory = allocated.bytes_max;
    // One seek finds the length.
    if (spent.bytes, spent.seeks) != (bytes.get(), seeks.get() - 1) {
        return Err(format!("{spent:?}, but it was {} bytes and {} seeks", bytes.get(), seeks.get()));
    }
    let budget = Budget::default();
    // The step that is one too many is counted, and not taken.
    let steps = budget.steps + budget.steps / 100;
    if spent.bytes > budget.bytes || spent.seeks > budget.seeks || spent.steps > steps {
        return Err(format!("{spent:?} of {budget:?}"));
    }
    if memory > MAX_MEMORY {
        return Err(format!("{memory} bytes of memory"));
    }
    match &answer {
        Ok(probe) => check(probe),
        Err(MediaError::Read(error)) => return Err(format!("the source does not fail: {error}")),
        Err(error) if error.to_string().contains("without a failure") => return Err("a panic".to_owned()),
        Err(_) => {}
    }
    Ok((answer, Cost { spent, memory }))
}

/// Probes, and holds the cost to the bounds.
fn bounded<S: Read + Seek>(name: &str, source: S) -> Result<Probe, MediaError> {
    try_bounded(source).unwrap_or_else(|broken| panic!("{name}: {broken}")).0
}

/// Probes a small file, and holds its steps to its length, too.
fn try_small(bytes: &[u8]) -> Result<(Result<Probe, MediaError>, Cost), String> {
    let (answer, cost) = try_bounded(Cursor::new(bytes))?;
    let most = FEW_STEPS + STEPS_A_BYTE * bytes.len() as u64;
    if cost.spent.steps > most {
        Err(format!("{:?} for {} bytes", cost.spent, bytes.len()))
    } else {
        Ok((answer, cost))
    }
}

/// A small generator: the same numbers on every machine.
struct Numbers(u64);

impl Numbers {
    /// Near seeds are spread first.
    fn of(seed: usize) -> Self {
        Self((seed as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (below.max(1) as u64)).unwrap()
    }
}

fn mutate(bytes: &mut Vec<u8>, other: &[u8], numbers: &mut Numbers) {
    const EDGES: [u32; 8] = [0, 1, 0x7F, 0xFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFE, 0xFFFF_FFFF];
    for _ in 0..=numbers.next(4) {
        let reach = if numbers.next(2) == 0 { bytes.len().min(512) } else { bytes.len() };
        let at = numbers.next(reach);
        match numbers.next(8) {
            0 => bytes[at] ^= 1 << numbers.next(8),
            1 => bytes[at] = u8::try_from(numbers.next(256)).unwrap(),
            2 | 3 => {
                let edge = EDGES[numbers.next(EDGES.len())];
                let value = if numbers.next(2) == 0 { edge.to_be_bytes() } else { edge.to_le_bytes() };
                overwrite(bytes, at, &value);
            }
            4 => bytes.truncate(at + 1),
            5 => {
                let len = numbers.next(40).min(bytes.len() - at - 1);
                bytes.drain(at..at + len);
            }
            6 => {
                let from = numbers.next(other.len());
                let piece: Vec<u8> = other[from..].iter().take(numbers.next(200)).copied().collect();
                bytes.splice(at..at, piece);
            }
            _ => {
                let piece: Vec<u8> = bytes[at..].iter().take(numbers.next(40)).copied().collect();
                let times = 1 + numbers.next(8);
                bytes.splice(at..at, piece.repeat(times));
            }
        }
    }
}

/// Writes as much of `value` as there is room for.
fn overwrite(bytes: &mut [u8], at: usize, value: &[u8]) {
    for (to, from) in bytes[at..].iter_mut().zip(value) {
        *to = *from;
    }
}

/// Probes the inputs of one seed; answers how many gave facts, and the highest cost.
fn run_seed(seed: usize, samples: &[(Format, Vec<u8>)]) -> (usize, u64, u64) {
    let mut numbers = Numbers::of(seed);
    let (mut described, mut steps, mut memory) = (0, 0, 0);
    for input in 0..A_SEED {
        let (format, sample) = &samples[input % samples.len()];
        let other = &samples[numbers.next(samples.len())].1;
        let mut bytes = sample.clone();
        mutate(&mut bytes, other, &mut numbers);
        let (answer, cost) = try_small(&bytes).unwrap_or_else(|broken| {
            panic!("{format}, seed {seed}, input {input}: {broken}: {}", bytes.escape_ascii());
        });
        described += usize::from(answer.is_ok());
        steps = cost.spent.steps.max(steps);
        memory = cost.memory.max(memory);
    }
    (described, steps, memory)
}

#[test]
fn a_million_mutations_stay_within_bounds() {
    let samples = samples();
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        let mut sums = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= INPUTS / A_SEED {
                return sums;
            }
            sums.push(run_seed(seed, &samples));
        }
    };
    let sums: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert_eq!(sums.len() * A_SEED, INPUTS);
    let described: usize = sums.iter().map(|(described, _, _)| described).sum();
    // Mutations that all break the first bytes would show nothing.
    assert!(described > INPUTS / 10, "{described} described");
    let steps = sums.iter().map(|(_, steps, _)| steps).max().unwrap();
    let memory = sums.iter().map(|(_, _, memory)| memory).max().unwrap();
    println!("{described} of {INPUTS} described, at most {steps} steps and {memory} bytes of memory");
}

#[test]
fn every_flipped_bit_is_refused_or_described() {
    for (format, sample) in samples() {
        for at in 0..sample.len().min(700) {
            for bit in 0..8 {
                let mut bytes = sample.clone();
                bytes[at] ^= 1 << bit;
                assert_eq!(try_small(&bytes).err(), None, "{format}, bit {bit} of byte {at}");
            }
        }
    }
}

/// Whatever is a length, wherever it lies: these are written over every place.
const ABSURD: [&[u8]; 9] = [
    &[0, 0, 0, 0],
    &[0, 0],
    &[0xFF],
    &[0xFF, 0xFF],
    &[0xFF, 0xFF, 0xFF, 0xFF],
    &[0x7F, 0xFF, 0xFF, 0xFF],
    &[0xFF, 0xFF, 0xFF, 0x7F],
    &[0x80, 0, 0, 0],
    &[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
];

#[test]
fn absurd_values_in_every_field_are_refused_or_described() {
    let with_exif = (Format::Png, png(8, 6, &[(b"eXIf", exif(6))]));
    for (format, sample) in samples().into_iter().chain([with_exif]) {
        for at in 0..sample.len().min(700) {
            for value in ABSURD {
                let mut bytes = sample.clone();
                overwrite(&mut bytes, at, value);
                let (_, cost) =
                    try_small(&bytes).unwrap_or_else(|broken| panic!("{format}, {value:x?} at {at}: {broken}"));
                // A cache of blocks, and a table of samples.
                assert!(cost.memory < 2 << 20, "{format}, {value:x?} at {at}: {} bytes of memory", cost.memory);
            }
        }
    }
}

#[test]
fn two_hundred_megabytes_of_id3_are_skipped() {
    for (name, file) in large_tags() {
        let answer = bounded(name, file).unwrap();
        assert_eq!(answer.format, Format::Mp3, "{name}");
        assert!(answer.bytes_read < 1 << 20, "{name}: {} bytes", answer.bytes_read);
    }
    let tags = Tiled::new([], tile(b"ID3\x04\0\0\0\0\0\0"), 50 << 10, mp3_frames(50));
    assert_eq!(bounded("many tags", tags).unwrap_err().code(), "corrupt");
}

#[test]
fn endless_rows_of_small_things_end() {
    let mut broken = Vec::new();
    let mut most = (0, "");
    for (name, file) in rows() {
        match try_bounded(file) {
            Ok((_, cost)) => most = most.max((cost.spent.steps, name)),
            Err(bound) => broken.push(format!("{name}: {bound}")),
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    println!("most steps: {}, {}", most.1, most.0);
}

#[test]
fn a_hundred_thousand_empty_chunks_are_walked() {
    let sound = wav(8000, 1, 16, &[1; 1600])[12..].to_vec();
    let picture = png(8, 6, &[]);
    let chunk = [&[0; 4][..], b"tIME", &[0; 4]].concat();
    let photo = jpeg(8, 6, None);
    for (format, head, unit, tail) in [
        (Format::Wav, b"RIFF\xff\xff\xff\xffWAVE".to_vec(), b"junk\0\0\0\0".to_vec(), sound),
        (Format::Png, picture[..33].to_vec(), chunk, picture[33..].to_vec()),
        (Format::Jpeg, photo[..2].to_vec(), b"\xff\xfe\0\x02".to_vec(), photo[2..].to_vec()),
        (Format::Avif, avif(b"avif", 64, 48, None, None), b"\0\0\0\x08free".to_vec(), Vec::new()),
    ] {
        let file = Tiled::new(head, unit, 100_000, tail);
        assert_eq!(bounded(format.name(), file).unwrap().format, format);
    }
}

#[test]
fn twenty_thousand_nested_boxes_end() {
    for (brand, kinds, version) in [
        (b"avif", &[b"meta"][..], &[0; 4][..]),
        (b"avif", &[b"meta", b"iprp", b"ipco"], &[0; 4]),
        (b"avis", &[b"moov", b"trak", b"mdia", b"minf", b"stbl"], &[]),
        (b"M4A ", &[b"moov", b"trak", b"mdia", b"minf", b"stbl"], &[]),
        (b"M4A ", &[b"moov", b"udta", b"meta", b"ilst"], &[]),
    ] {
        let ftyp = mp4_box(b"ftyp", &[brand, &[0; 4], brand]);
        let file = [ftyp, nested(kinds, 20_000, version)].concat();
        let name = format!("{} in {}", kinds[0].escape_ascii(), brand.escape_ascii());
        assert_eq!(bounded(&name, Cursor::new(&file)).unwrap_err().code(), "corrupt", "{name}");
    }
    let start = webm("A_OPUS", 2)[..16].to_vec();
    let segments = [start, b"\x18\x53\x80\x67\xff".repeat(20_000)].concat();
    assert!(bounded("segments", Cursor::new(&segments)).is_err());
}
