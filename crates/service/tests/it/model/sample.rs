//! What the sequences upload: small files, each made once.

use std::sync::LazyLock;

use bytes::Bytes;
use md5::{Digest, Md5};
use object_store_devkit::samples;
use object_store_models::{MediaKind, Sha256};

/// Good files, files at and beyond the limits, and files that are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sample {
    Png,
    OtherPng,
    Gif,
    Wav,
    /// As many bytes as `Wav`, and others.
    Twin,
    /// An image of exactly as many bytes as are allowed.
    Largest,
    /// Audio that is streamed rather than looked at in memory.
    Long,
    /// An image of more bytes than are allowed.
    TooLarge,
    Truncated,
    Html,
}

/// The bytes of a sample, and what identifies them.
pub(crate) struct Content {
    pub(crate) bytes: Bytes,
    pub(crate) sha256: Sha256,
    pub(crate) md5: [u8; 16],
}

use Sample::{Gif, Html, Largest, Long, OtherPng, Png, TooLarge, Truncated, Twin, Wav};

const ALL: [Sample; 10] = [Png, OtherPng, Gif, Wav, Twin, Largest, Long, TooLarge, Truncated, Html];

static CONTENTS: LazyLock<Vec<Content>> = LazyLock::new(|| ALL.map(|sample| Content::of(sample.make())).into());

impl Sample {
    fn make(self) -> Vec<u8> {
        match self {
            Png => samples::png(2, 2),
            OtherPng => samples::png(3, 5),
            Gif => samples::gif(2, 3, 1),
            Wav => samples::wav(8_000, 1, 16, 10),
            Twin => {
                let mut wav = Wav.make();
                // The last sample is a little louder.
                wav.iter_mut().rev().take(1).for_each(|byte| *byte ^= 1);
                wav
            }
            Largest => samples::png(24, 24),
            Long => samples::wav(48_000, 2, 16, 45_000),
            TooLarge => samples::png(48, 48),
            Truncated => {
                let png = samples::png(8, 8);
                samples::truncated(&png, png.len() / 2)
            }
            Html => samples::html(),
        }
    }

    pub(crate) fn content(self) -> &'static Content {
        &CONTENTS[self as usize]
    }

    pub(crate) fn len(self) -> u64 {
        self.content().bytes.len() as u64
    }

    pub(crate) fn is_good(self) -> bool {
        !matches!(self, TooLarge | Truncated | Html)
    }

    pub(crate) fn kind(self) -> MediaKind {
        match self {
            Wav | Twin | Long => MediaKind::Audio,
            Png | OtherPng | Gif | Largest | TooLarge | Truncated | Html => MediaKind::Image,
        }
    }

    /// What a client declares.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Wav | Twin | Long => "audio/wav",
            Gif => "image/gif",
            Html => "image/jpeg",
            Png | OtherPng | Largest | TooLarge | Truncated => "image/png",
        }
    }

    /// The sample with this digest.
    pub(crate) fn with(sha256: Option<Sha256>) -> Option<Self> {
        ALL.into_iter().find(|sample| Some(sample.content().sha256) == sha256)
    }
}

impl Content {
    fn of(bytes: Vec<u8>) -> Self {
        let sha256 = <[u8; 32]>::from(sha2::Sha256::digest(&bytes)).into();
        let md5 = Md5::digest(&bytes).into();
        Self { bytes: bytes.into(), sha256, md5 }
    }
}
