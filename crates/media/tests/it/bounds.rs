//! What a probe may cost, whatever the bytes: 50 ms of processor time, 16 MiB of memory, the budget's bytes.

use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cpu_time::ThreadTime;
use object_store_media::{Budget, Format, FormatSet, MediaError, Policy, Probe, probe};

use crate::hostile::check;
use crate::write::{
    adts, avif, exif, flac, jpeg, mp3_frames, mp4_box, ogg_opus, ogg_page, png, samples, syncsafe, tiff, wav, webm,
};

const MAX_TIME: Duration = Duration::from_millis(50);
const MAX_MEMORY: u64 = 16 << 20;
/// Inputs of the mutation test, and how many a seed makes.
const INPUTS: usize = 1_000_000;
const A_SEED: usize = 2_000;

struct Cost {
    time: Duration,
    memory: u64,
}

fn measured<S: Read + Seek>(source: S) -> (Result<Probe, MediaError>, Cost) {
    let policy = Policy { accepted: FormatSet::all(), ..Policy::default() };
    let mut answer = None;
    let start = ThreadTime::now();
    let allocated = allocation_counter::measure(|| answer = Some(probe(source, &policy)));
    (answer.unwrap(), Cost { time: start.elapsed(), memory: allocated.bytes_max })
}

/// Probes; a disturbed measurement is repeated. An error says which bound was broken.
fn try_bounded<S: Read + Seek>(source: impl Fn() -> S) -> Result<(Result<Probe, MediaError>, Duration), String> {
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let (answer, cost) = measured(source());
        if cost.memory > MAX_MEMORY {
            return Err(format!("{} bytes of memory", cost.memory));
        }
        if let Ok(probe) = &answer {
            check(probe);
            assert!(probe.bytes_read <= Budget::default().bytes);
        }
        best = best.min(cost.time);
        if best <= MAX_TIME {
            return Ok((answer, best));
        }
    }
    Err(format!("{best:?} of processor time"))
}

/// Probes, and holds the cost to the bounds.
fn bounded<S: Read + Seek>(name: &str, source: impl Fn() -> S) -> Result<Probe, MediaError> {
    try_bounded(source).unwrap_or_else(|broken| panic!("{name}: {broken}")).0
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
fn run_seed(seed: usize, samples: &[(Format, Vec<u8>)]) -> (usize, Cost) {
    let mut numbers = Numbers::of(seed);
    let mut described = 0;
    let mut most = Cost { time: Duration::ZERO, memory: 0 };
    for input in 0..A_SEED {
        let (format, sample) = &samples[input % samples.len()];
        let other = &samples[numbers.next(samples.len())].1;
        let mut bytes = sample.clone();
        mutate(&mut bytes, other, &mut numbers);
        let Ok((answer, mut cost)) = catch_unwind(AssertUnwindSafe(|| measured(Cursor::new(&bytes)))) else {
            panic!("{format}, seed {seed}, input {input}: {}", bytes.escape_ascii());
        };
        if cost.time > MAX_TIME {
            cost = measured(Cursor::new(&bytes)).1;
        }
        let bounded = cost.time <= MAX_TIME && cost.memory <= MAX_MEMORY;
        assert!(bounded, "{format}, seed {seed}, input {input}: {:?}, {} bytes", cost.time, cost.memory);
        match answer {
            Ok(probe) => {
                check(&probe);
                described += 1;
            }
            Err(MediaError::Read(error)) => panic!("{format}, seed {seed}, input {input}: {error}"),
            Err(_) => {}
        }
        most = Cost { time: most.time.max(cost.time), memory: most.memory.max(cost.memory) };
    }
    (described, most)
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
    let described: usize = sums.iter().map(|(described, _)| described).sum();
    // Mutations that all break the first bytes would show nothing.
    assert!(described > INPUTS / 10, "{described} described");
    let time = sums.iter().map(|(_, cost)| cost.time).max().unwrap();
    let memory = sums.iter().map(|(_, cost)| cost.memory).max().unwrap();
    println!("{described} of {INPUTS} described, at most {time:?} and {memory} bytes of memory");
}

/// A large file that is nowhere stored: a head, a unit over and over, a tail.
#[derive(Clone)]
struct Tiled {
    head: Vec<u8>,
    unit: Vec<u8>,
    /// Bytes between head and tail.
    middle: u64,
    tail: Vec<u8>,
    at: u64,
}

impl Tiled {
    fn new(head: impl Into<Vec<u8>>, unit: impl Into<Vec<u8>>, times: u64, tail: impl Into<Vec<u8>>) -> Self {
        let unit = unit.into();
        Self { head: head.into(), middle: unit.len() as u64 * times, unit, tail: tail.into(), at: 0 }
    }

    fn len(&self) -> u64 {
        self.head.len() as u64 + self.middle + self.tail.len() as u64
    }

    /// The stored bytes from here on, as far as they lie in one piece.
    fn piece(&self) -> &[u8] {
        let after_head = self.at.saturating_sub(self.head.len() as u64);
        if self.at < self.head.len() as u64 {
            &self.head[usize::try_from(self.at).unwrap()..]
        } else if after_head < self.middle {
            &self.unit[usize::try_from(after_head % self.unit.len() as u64).unwrap()..]
        } else {
            self.tail.get(usize::try_from(after_head - self.middle).unwrap()..).unwrap_or_default()
        }
    }
}

impl Read for Tiled {
    fn read(&mut self, mut buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len();
        while !buffer.is_empty() {
            let done = self.piece().read(buffer)?;
            if done == 0 {
                break;
            }
            self.at += done as u64;
            buffer = &mut buffer[done..];
        }
        Ok(wanted - buffer.len())
    }
}

impl Seek for Tiled {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::End(by) => self.len().checked_add_signed(by).unwrap(),
            SeekFrom::Current(by) => self.at.checked_add_signed(by).unwrap(),
        };
        Ok(self.at)
    }
}

/// At least so many bytes of the unit that copying them does not dominate.
fn tile(unit: &[u8]) -> Vec<u8> {
    unit.repeat(4096_usize.div_ceil(unit.len()))
}

#[test]
fn two_hundred_megabytes_of_id3_are_skipped() {
    const LEN: u32 = 200 << 20;
    let tag = |version: u8, flags: u8| [&b"ID3"[..], &[version, 0, flags], &syncsafe(LEN)].concat();
    let filled = |head: Vec<u8>, unit: &[u8]| {
        let unit = tile(unit);
        let times = u64::from(LEN) / unit.len() as u64;
        let rest = usize::try_from(u64::from(LEN) - times * unit.len() as u64).unwrap();
        Tiled::new(head, unit, times, [vec![0; rest], mp3_frames(50)].concat())
    };
    for (name, file) in [
        ("one empty tag", filled(tag(4, 0), &[0])),
        ("small frames", filled(tag(3, 0), b"TXXX\0\0\0\0\0\0")),
        ("unsynchronised", filled(tag(3, 0x80), b"TXXX\0\0\0\x01\0\0\xff\0")),
    ] {
        let answer = bounded(name, || file.clone()).unwrap();
        assert_eq!(answer.format, Format::Mp3, "{name}");
        assert!(answer.bytes_read < 1 << 20, "{name}: {} bytes", answer.bytes_read);
    }
    let tags = Tiled::new([], tile(b"ID3\x04\0\0\0\0\0\0"), 50 << 10, mp3_frames(50));
    assert_eq!(bounded("many tags", || tags.clone()).unwrap_err().code(), "corrupt");
}

type Row = (&'static str, Vec<u8>, Vec<u8>);

/// Names, starts, and the smallest things that pictures are rows of.
fn rows_of_pictures() -> Vec<Row> {
    let ftyp = |brand: &[u8; 4]| mp4_box(b"ftyp", &[brand, &[0; 4], brand]);
    let webp = b"RIFF\xff\xff\xff\xffWEBPVP8X\x0a\0\0\0\x02\0\0\0\x01\0\0\x01\0\0".to_vec();
    let png = png(8, 6, &[])[..33].to_vec();
    let gif = b"GIF89a\x0a\0\x05\0\0\0\0".to_vec();
    let properties = b"\x03\xff\xff\xffmeta\0\0\0\0\0\0\0\x0epitm\0\0\0\0\0\x01\x03\0\0\0iprp\x02\0\0\0ipco";
    vec![
        ("webp chunks", webp.clone(), b"ALPH\0\0\0\0".to_vec()),
        ("webp exif", webp, b"EXIF\x02\0\0\0MM".to_vec()),
        ("png chunks", png.clone(), [&[0; 4][..], b"tIME", &[0; 4]].concat()),
        ("png texts", png.clone(), [&[0, 0, 0, 1][..], b"tEXta", &[0; 4]].concat()),
        ("png exif", png, [&[0, 0, 0, 2][..], b"eXIfMM", &[0; 4]].concat()),
        ("gif padding", gif.clone(), vec![0]),
        ("gif blocks", [&gif[..], b"\x21\xfe"].concat(), b"\x01a".to_vec()),
        ("gif extensions", gif, b"\x21\xfe\0".to_vec()),
        ("jpeg segments", b"\xff\xd8".to_vec(), b"\xff\xfe\0\x02".to_vec()),
        ("jpeg exif", b"\xff\xd8".to_vec(), b"\xff\xe1\0\x04xx".to_vec()),
        ("jpeg fill", b"\xff\xd8".to_vec(), vec![0xFF]),
        ("jpeg restarts", b"\xff\xd8\xff".to_vec(), b"\xd0\xff".to_vec()),
        ("jpeg starts", b"\xff\xd8\xff".to_vec(), b"\xd8\xff".to_vec()),
        ("avif boxes", ftyp(b"avif"), b"\0\0\0\x08free".to_vec()),
        ("avif tracks", [ftyp(b"avis"), b"\x03\xff\xff\xffmoov".to_vec()].concat(), b"\0\0\0\x08trak".to_vec()),
        ("avif properties", [ftyp(b"avif"), properties.to_vec()].concat(), b"\0\0\0\x08irot".to_vec()),
        ("tiff directories", tiff(8, 6, 1), b"\x01\0\0\x01\x03\0\x01\0\0\0\x01\0\0\0".to_vec()),
    ]
}

/// Names, starts, and the smallest things that sound and texts are rows of.
fn rows_of_sound() -> Vec<Row> {
    let ftyp = mp4_box(b"ftyp", &[b"M4A ", &[0; 4], b"M4A "]);
    let moov = [&ftyp[..], b"\x03\xff\xff\xffmoov"].concat();
    let wav = b"RIFF\xff\xff\xff\xffWAVE".to_vec();
    let aiff = b"FORM\xff\xff\xff\xffAIFF".to_vec();
    let flac = flac(1)[..42].to_vec();
    let ogg = ogg_opus(2, 312, 48_312);
    let webm = webm("A_OPUS", 2);
    vec![
        ("wav chunks", wav.clone(), b"junk\0\0\0\0".to_vec()),
        ("wav lists", wav.clone(), b"LIST\x0c\0\0\0INFOIART\0\0\0\0".to_vec()),
        ("wav forms", wav.clone(), b"fmt \0\0\0\0".to_vec()),
        ("wav sounds", wav, b"data\x02\0\0\0aa".to_vec()),
        ("mp4 boxes", ftyp.clone(), b"\0\0\0\x08free".to_vec()),
        ("mp4 fragments", ftyp, b"\0\0\0\x08moof".to_vec()),
        ("mp4 tracks", moov.clone(), b"\0\0\0\x08trak".to_vec()),
        ("mp4 children", [&moov[..], b"\x03\0\0\0trak"].concat(), b"\0\0\0\x08mdix".to_vec()),
        ("aiff chunks", aiff.clone(), b"ANNO\0\0\0\0".to_vec()),
        ("aiff names", aiff, b"NAME\0\0\0\0".to_vec()),
        ("flac blocks", flac.clone(), b"\x01\0\0\0".to_vec()),
        ("flac comments", flac, b"\x04\0\0\x08\0\0\0\0\0\0\0\0".to_vec()),
        ("ogg pages", ogg[..ogg.len() - 400].to_vec(), ogg_page(0, u64::MAX, 9, &[])),
        ("ogg links", ogg.clone(), ogg_page(2, 1, 10, &[b"OpusHead"])),
        ("ogg names", ogg, b"OggS".to_vec()),
        ("webm elements", webm[..webm.len() - 12].to_vec(), b"\xec\x80".to_vec()),
        ("webm clusters", webm.clone(), b"\x1f\x43\xb6\x75\x80".to_vec()),
        ("webm blocks", webm, b"\xa3\x84\x81\0\0\0".to_vec()),
        ("mp3 frames", mp3_frames(3), b"\xff\xe3\x18\xc0\0\0\0\0".to_vec()),
        ("mp3 syncs", mp3_frames(3), b"\xff\xfb\x90\0".to_vec()),
        ("mp3 starts", Vec::new(), b"\xff\xfb\x90\0".to_vec()),
        ("layer I", Vec::new(), b"\xff\xff\x10\0".to_vec()),
        ("adts frames", adts(3), b"\xff\xf1\x50\x80\x01\x1f\xfc\0".to_vec()),
        ("markup", b"<!-- ".to_vec(), b"<!".to_vec()),
        ("comments", Vec::new(), b"<!---->".to_vec()),
        ("text", Vec::new(), b"a".to_vec()),
        ("zeros", Vec::new(), vec![0]),
        ("ones", Vec::new(), vec![0xFF]),
    ]
}

#[test]
fn endless_rows_of_small_things_end() {
    let mut broken = Vec::new();
    let mut most = (Duration::ZERO, "");
    for (name, head, unit) in rows_of_pictures().into_iter().chain(rows_of_sound()) {
        let unit = tile(&unit);
        // More than is read at all, and as much as is walked through.
        for size in [80 << 20, 15 << 20] {
            let file = Tiled::new(head.clone(), unit.clone(), size / unit.len() as u64, []);
            match try_bounded(|| file.clone()) {
                Ok((_, time)) => most = most.max((time, name)),
                Err(bound) => broken.push(format!("{name}, {size} bytes: {bound}")),
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    println!("most work: {}, {:?}", most.1, most.0);
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
        assert_eq!(bounded(format.name(), || file.clone()).unwrap().format, format);
    }
}

/// Boxes in boxes, each as long as what is left.
fn nested(kinds: &[&[u8; 4]], depth: u32, version: &[u8]) -> Vec<u8> {
    let each = 8 + u32::try_from(version.len()).unwrap();
    let boxes = (0..depth).flat_map(|level| {
        let kind = kinds[level as usize % kinds.len()];
        [&((depth - level) * each).to_be_bytes()[..], kind, version].concat()
    });
    boxes.collect()
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
        assert_eq!(bounded(&name, || Cursor::new(&file)).unwrap_err().code(), "corrupt", "{name}");
    }
    let start = webm("A_OPUS", 2)[..16].to_vec();
    let segments = [start, b"\x18\x53\x80\x67\xff".repeat(20_000)].concat();
    assert!(bounded("segments", || Cursor::new(&segments)).is_err());
}

#[test]
fn large_claims_allocate_nothing() {
    for (format, sample) in samples().into_iter().chain([(Format::Png, png(8, 6, &[(b"eXIf", exif(6))]))]) {
        for at in 0..sample.len().min(600) {
            let mut bytes = sample.clone();
            overwrite(&mut bytes, at, &[0x7F, 0xFF, 0xFF, 0xFF]);
            let (_, cost) = measured(Cursor::new(&bytes));
            // A cache of blocks, and a table of samples.
            assert!(cost.memory < 2 << 20, "{format}: {} bytes of memory with {at} set", cost.memory);
        }
    }
}
