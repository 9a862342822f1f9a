//! Media facts at the boundary: files from byte writers in, facts or typed errors out.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail the test")]

mod audio;
mod bounds;
mod endless;
mod hostile;
mod image;
mod policy;
mod polyglots;
mod write;

use std::io::Cursor;

use object_store_media::{AudioFacts, Facts, FormatSet, ImageFacts, MediaError, Policy, Probe, probe};

/// Probes with every format accepted.
fn try_probe(bytes: &[u8]) -> Result<Probe, MediaError> {
    probe(Cursor::new(bytes), &Policy { accepted: FormatSet::all(), ..Policy::default() })
}

fn image(bytes: &[u8]) -> ImageFacts {
    match try_probe(bytes).unwrap().facts {
        Facts::Image(facts) => facts,
        Facts::Audio(facts) => panic!("sound: {facts:?}"),
    }
}

fn audio(bytes: &[u8]) -> AudioFacts {
    match try_probe(bytes).unwrap().facts {
        Facts::Audio(facts) => facts,
        Facts::Image(facts) => panic!("picture: {facts:?}"),
    }
}

/// The code and the text of the refusal.
fn refusal(bytes: &[u8]) -> (&'static str, String) {
    let error = try_probe(bytes).unwrap_err();
    (error.code(), error.to_string())
}
