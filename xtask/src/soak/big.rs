//! A big file in little memory, and a big file that is cut off.

use std::io::{self, Read};
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use object_store_public::{
    Actor, AudioRead, FileCreate, FileUploadResult, ObjectStoreModule, ObjectStoreProvider, UploadBody,
};
use serde::Serialize;
use serde_json::Value;
use sha2::Digest;
use tokio::io::{AsyncRead, ReadBuf};

use crate::soak::arena::Arena;
use crate::soak::child::Role;
use crate::soak::content::{hex, wav_header};
use crate::soak::disk;
use crate::soak::random::Random;
use crate::soak::rows;

/// Samples a second, of two channels of 16 bits: 2 GiB play for 3 hours.
const SAMPLE_RATE: u32 = 48_000;
const CHANNELS: u16 = 2;
const BYTES_A_SECOND: u64 = 192_000;
const HEADER_BYTES: u64 = 44;

/// The noise that is repeated. Of a length that no power of two divides, so that no two parts of an upload are the same.
const NOISE_BYTES: usize = 1_000_003;

/// The most memory that an upload may take above that of a process which has opened the module.
pub(crate) const MOST_KIB: u64 = 64 << 10;

/// How long an upload may take to get to its middle, or to its end.
const PATIENCE: Duration = Duration::from_mins(30);

/// What a child tells that has uploaded a big file.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) peak_kib: u64,
    pub(crate) file: AudioRead,
}

/// What came of one way to upload.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    /// `one request` or `parts`.
    pub(crate) way: &'static str,
    pub(crate) bytes: u64,
    pub(crate) seconds: f64,
    /// The most memory of the process that uploaded.
    pub(crate) peak_kib: u64,
    /// The most memory of a process that has only opened the module.
    pub(crate) idle_kib: u64,
    /// Facts that are wrong.
    pub(crate) wrong: Vec<String>,
    /// How many bytes had arrived when the second upload was killed.
    pub(crate) killed_at: u64,
    /// Objects, multipart uploads, rows and intents that the second upload left after sweeps.
    pub(crate) left: u64,
}

impl Outcome {
    pub(crate) fn above_idle_kib(&self) -> u64 {
        self.peak_kib.saturating_sub(self.idle_kib)
    }

    pub(crate) fn is_well(&self) -> bool {
        self.above_idle_kib() < MOST_KIB && self.wrong.is_empty() && self.left == 0
    }
}

/// Uploads in a child, and does it again with a child that is killed in the middle.
pub(crate) async fn try_out(arena: &Arena, bytes: u64, is_whole: bool) -> anyhow::Result<Outcome> {
    let idle = arena.spawn(Role::Idle, &[], Stdio::piped())?.finish().await?;
    ensure!(idle.status.success(), "the idle child failed; {}", arena.log());
    let idle_kib = String::from_utf8(idle.stdout)?.trim().parse()?;

    let role = if is_whole { Role::Whole } else { Role::Parts };
    let arguments = [format!("--bytes={bytes}")];
    let began = Instant::now();
    let uploaded = arena.spawn(role, &arguments, Stdio::piped())?.finish().await?;
    let seconds = began.elapsed().as_secs_f64();
    ensure!(uploaded.status.success(), "the child that uploads failed; {}", arena.log());
    let report: Value = serde_json::from_slice(&uploaded.stdout)?;
    let wrong = wrong_facts(&report["file"], bytes).await?;
    let id = report["file"]["id"].as_str().context("the child tells no id")?;
    let id = object_store_public::AudioId::from(object_store_public::uuid::Uuid::try_parse(id)?);
    arena.module.delete(Actor::System, id.into()).await?;
    arena.rest().await?;

    let killed_at = kill_in_the_middle(arena, role, bytes).await?;
    let intents = arena.rest().await?.unsigned_abs();
    let stored = disk::stored(arena.directory())?;
    let rows = rows::read(&arena.module).await?.rows;
    let left = stored.objects.len() + stored.uploads.len() + rows.len();
    Ok(Outcome {
        way: if is_whole { "one request" } else { "parts" },
        bytes,
        seconds,
        peak_kib: report["peak_kib"].as_u64().context("the child tells no peak")?,
        idle_kib,
        wrong,
        killed_at,
        left: left as u64 + intents,
    })
}

/// How many bytes had arrived.
async fn kill_in_the_middle(arena: &Arena, role: Role, bytes: u64) -> anyhow::Result<u64> {
    let mut child = arena.spawn(role, &[format!("--bytes={bytes}")], Stdio::null())?;
    let began = Instant::now();
    loop {
        let arrived = disk::bytes_under_way(arena.directory())?;
        if arrived >= bytes / 2 {
            child.kill().context("the upload was over before its middle was seen")?;
            return Ok(arrived);
        }
        child.is_alive().with_context(|| arena.log())?;
        if began.elapsed() > PATIENCE {
            bail!("half of the upload did not arrive within {PATIENCE:?}");
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Uploads a WAV of so many bytes, as a stream that is made while it is sent.
pub(crate) async fn put(module: &ObjectStoreModule, bytes: u64, is_length_known: bool) -> anyhow::Result<AudioRead> {
    let body = UploadBody::from_reader(Wav::new(bytes), is_length_known.then_some(bytes));
    match module.upload_file(Actor::System, FileCreate::new("big.wav"), body).await? {
        FileUploadResult::Audio(audio) => Ok(audio),
        FileUploadResult::Image(_) => bail!("a WAV was taken for an image"),
    }
}

/// Which facts of the file are not those of the stream.
async fn wrong_facts(file: &Value, bytes: u64) -> anyhow::Result<Vec<String>> {
    let digest = tokio::task::spawn_blocking(move || digest(bytes)).await??;
    let expected = [
        ("content_type", Value::from("audio/wav")),
        ("size_bytes", bytes.into()),
        ("sha256", digest.into()),
        ("duration_ms", (((bytes - HEADER_BYTES) * 1_000 + BYTES_A_SECOND / 2) / BYTES_A_SECOND).into()),
        ("sample_rate", SAMPLE_RATE.into()),
        ("channels", CHANNELS.into()),
        ("bit_depth", 16.into()),
    ];
    let is_wrong = |(name, right): &(&str, Value)| file[*name] != *right;
    let tell = |(name, right): (&str, Value)| format!("{name} is {}, not {right}", file[name]);
    Ok(expected.into_iter().filter(is_wrong).map(tell).collect())
}

fn digest(bytes: u64) -> io::Result<String> {
    let mut wav = Wav::new(bytes);
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        let read = wav.read(&mut buffer)?;
        match buffer.get(..read) {
            Some(bytes) if !bytes.is_empty() => hasher.update(bytes),
            _ => return Ok(hex(&hasher.finalize())),
        }
    }
}

/// A WAV that is made while it is read.
struct Wav {
    header: [u8; 44],
    noise: Vec<u8>,
    position: u64,
    end: u64,
}

impl Wav {
    fn new(bytes: u64) -> Self {
        let mut random = Random::new(bytes, 0);
        let noise = (0..NOISE_BYTES).map(|_| random.next().to_le_bytes()[0]).collect();
        let data = u32::try_from(bytes - HEADER_BYTES).unwrap_or(u32::MAX);
        Self { header: wav_header(SAMPLE_RATE, CHANNELS, data), noise, position: 0, end: bytes }
    }

    /// What comes next, at least one byte unless it is over.
    fn next(&self) -> &[u8] {
        let left = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        let position = usize::try_from(self.position).unwrap_or_default();
        let piece = match self.header.get(position..) {
            Some(header) if !header.is_empty() => header,
            _ => self.noise.get((position - self.header.len()) % NOISE_BYTES..).unwrap_or_default(),
        };
        piece.get(..left).unwrap_or(piece)
    }
}

impl Read for Wav {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.next().read(buffer)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl AsyncRead for Wav {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let piece = self.next();
        let piece = piece.get(..buffer.remaining()).unwrap_or(piece);
        buffer.put_slice(piece);
        let read = piece.len() as u64;
        self.position += read;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_its_length_and_is_a_wav() {
        let mut bytes = Vec::new();
        Wav::new(3_000_044).read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len(), 3_000_044);
        let policy = object_store_public::media::Policy::default();
        let probed = object_store_public::media::probe(io::Cursor::new(&bytes), &policy).unwrap();
        let object_store_public::media::Facts::Audio(facts) = probed.facts else { panic!("audio") };
        assert_eq!((facts.duration_ms, facts.sample_rate, facts.channels), (Some(15_625), 48_000, 2));
        assert_eq!(digest(3_000_044).unwrap(), hex(&sha2::Sha256::digest(&bytes)));
    }
}
