//! The files that are uploaded: each with bytes of its own, which its description makes again.

use std::sync::LazyLock;

use object_store_devkit::samples;
use object_store_public::uuid::Uuid;
use object_store_public::{Actor, MediaKind, UserId};
use serde::{Deserialize, Serialize};
use sha2::Digest;

use crate::soak::random::Random;

/// Samples a second of the audio files.
const SAMPLE_RATE: u32 = 8_000;

/// Where users' ids begin.
const USERS: u128 = 0x5ca1_ab1e_0000_4000_8000_0000_0000_0000;

/// The user whose media are never erased, and whose files have a row of the soak's own beside them.
pub(crate) const KEPT_USER: u64 = 0;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Image,
    Audio,
}

/// How it gets into the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Way {
    /// As bytes in memory.
    Bytes,
    /// As a stream whose length is known.
    Stream,
    /// As a stream whose length is not known, and which is long enough for a multipart upload.
    Parts,
    /// Staged, and committed together with a row of the soak's own, by the file's name.
    Staged,
    /// Sent to storage by a form.
    Form,
    /// Sent to storage by a `PUT`.
    Put,
}

/// A file that is uploaded, and may be uploaded again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subject {
    /// Its filename. No other upload has it, so that a row tells which upload made it.
    pub(crate) name: String,
    pub(crate) user: u64,
    pub(crate) kind: Kind,
    pub(crate) way: Way,
    /// What its bytes are made of.
    pub(crate) seed: u64,
    /// How much of that.
    pub(crate) payload: u32,
    /// How many bytes that gives.
    pub(crate) bytes: u64,
    /// The digest of the bytes, as hexadecimal digits.
    pub(crate) sha256: String,
    /// Whether it has an idempotency key, which is its name.
    pub(crate) is_keyed: bool,
}

impl Subject {
    /// A new file of this name.
    pub(crate) fn new(name: String, user: u64, way: Way, random: &mut Random) -> Self {
        let (kind, payload) = match way {
            // Above the 8 MiB that are kept in memory.
            Way::Parts => (Kind::Audio, (8 << 20) + 1 + random.below(4 << 20)),
            _ if random.chance(50) => (Kind::Image, 16 + random.below(16_000)),
            Way::Stream if random.chance(20) => (Kind::Audio, (8 << 20) + 1 + random.below(1 << 20)),
            _ => (Kind::Audio, 64 + random.below(40_000)),
        };
        let mut subject = Self {
            name,
            user,
            kind,
            way,
            seed: random.next(),
            payload: u32::try_from(payload).unwrap_or_default(),
            bytes: 0,
            sha256: String::new(),
            is_keyed: way != Way::Staged && random.chance(60),
        };
        let bytes = subject.content();
        subject.bytes = bytes.len() as u64;
        subject.sha256 = hex(&sha2::Sha256::digest(&bytes));
        subject
    }

    /// Its bytes.
    pub(crate) fn content(&self) -> Vec<u8> {
        let mut noise = Random::new(self.seed, 0);
        match self.kind {
            Kind::Image => image(&mut noise, self.payload),
            Kind::Audio => audio(&mut noise, self.payload),
        }
    }

    pub(crate) fn content_type(&self) -> &'static str {
        match self.kind {
            Kind::Image => "image/jpeg",
            Kind::Audio => "audio/wav",
        }
    }

    pub(crate) fn media_kind(&self) -> MediaKind {
        match self.kind {
            Kind::Image => MediaKind::Image,
            Kind::Audio => MediaKind::Audio,
        }
    }

    pub(crate) fn actor(&self) -> Actor {
        Actor::User(user_id(self.user))
    }
}

/// The id of a user.
pub(crate) fn user_id(user: u64) -> UserId {
    Uuid::from_u128(USERS + u128::from(user)).into()
}

/// As hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A picture with a comment of its own, which decoders skip (ITU-T T.81, B.2.4.5).
fn image(noise: &mut Random, comment: u32) -> Vec<u8> {
    static PICTURE: LazyLock<Vec<u8>> = LazyLock::new(|| samples::jpeg(48, 32));
    // After the start marker and the JFIF header, which is 18 bytes.
    let (start, rest) = PICTURE.split_at(20);
    let length = u16::try_from(comment + 2).unwrap_or(u16::MAX);
    let mut file = start.to_vec();
    file.extend_from_slice(&[0xFF, 0xFE]);
    file.extend_from_slice(&length.to_be_bytes());
    fill(&mut file, noise, usize::from(length - 2));
    file.extend_from_slice(rest);
    file
}

/// Mono noise of 16 bits, of this many bytes at least.
fn audio(noise: &mut Random, bytes: u32) -> Vec<u8> {
    let bytes = bytes + bytes % 2;
    let mut file = wav_header(SAMPLE_RATE, 1, bytes).to_vec();
    fill(&mut file, noise, bytes as usize);
    file
}

/// The header of a RIFF WAV of 16-bit PCM with so many bytes of samples.
pub(crate) fn wav_header(sample_rate: u32, channels: u16, data_bytes: u32) -> [u8; 44] {
    let block = channels * 2;
    let fields: [&[u8]; 11] = [
        b"RIFF",
        &(data_bytes + 36).to_le_bytes(),
        b"WAVEfmt \x10\0\0\0\x01\0",
        &channels.to_le_bytes(),
        &sample_rate.to_le_bytes(),
        &(sample_rate * u32::from(block)).to_le_bytes(),
        &block.to_le_bytes(),
        &16_u16.to_le_bytes(),
        b"data",
        &data_bytes.to_le_bytes(),
        &[],
    ];
    let mut header = [0; 44];
    for (place, byte) in header.iter_mut().zip(fields.concat()) {
        *place = byte;
    }
    header
}

fn fill(file: &mut Vec<u8>, noise: &mut Random, bytes: usize) {
    let end = file.len() + bytes;
    while file.len() < end {
        file.extend_from_slice(&noise.next().to_le_bytes());
    }
    file.truncate(end);
}

#[cfg(test)]
mod tests {
    use object_store_public::media::{Facts, Policy, probe};

    use super::*;

    #[test]
    fn every_file_is_acceptable_and_has_bytes_of_its_own() {
        let mut random = Random::new(1, 1);
        let mut digests = std::collections::HashSet::new();
        for number in 0..40 {
            let subject = Subject::new(format!("{number}"), 1, Way::Bytes, &mut random);
            let content = subject.content();
            assert_eq!(content.len() as u64, subject.bytes);
            let probed = probe(std::io::Cursor::new(&content), &Policy::default()).unwrap();
            assert_eq!(probed.format.content_type(), subject.content_type());
            assert_eq!(matches!(probed.facts, Facts::Image(_)), subject.kind == Kind::Image);
            assert!(digests.insert(subject.sha256));
        }
        let parts = Subject::new("p".to_owned(), 1, Way::Parts, &mut random);
        assert!(parts.bytes > 8 << 20);
    }
}
