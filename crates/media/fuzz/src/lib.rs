//! What the fuzz targets share: a probe, and the promises that its facts keep.

use std::io::Cursor;

use object_store_media::{Budget, DurationSource, Facts, Format, FormatSet, MediaError, Policy, Probe, probe};

/// Larger inputs only make a run slow.
const MAX_INPUT: usize = 1 << 20;

/// Probes with every format accepted.
pub fn probe_any(data: &[u8]) {
    run(data, FormatSet::all());
}

/// Probes with one format accepted: others are refused at once, which leads the fuzzer back to it.
pub fn probe_as(format: Format, data: &[u8]) {
    run(data, FormatSet::EMPTY.with(format));
}

fn run(data: &[u8], accepted: FormatSet) {
    if data.len() > MAX_INPUT {
        return;
    }
    let policy = Policy { accepted, ..Policy::default() };
    match probe(Cursor::new(data), &policy) {
        Ok(probe) => check(&probe, &policy),
        Err(MediaError::Read(error)) => panic!("memory does not fail: {error}"),
        // That is what a panic becomes.
        Err(error) => assert!(!error.to_string().contains("without a failure"), "{error}"),
    }
}

fn check(probe: &Probe, policy: &Policy) {
    assert!(policy.accepted.contains(probe.format));
    assert!(probe.bytes_read <= Budget::default().bytes);
    match &probe.facts {
        Facts::Image(facts) => {
            assert!(facts.width > 0 && facts.height > 0 && facts.frame_count > 0, "{facts:?}");
            assert!((1..=8).contains(&facts.orientation), "{facts:?}");
            assert!(facts.frame_count <= policy.limits.max_frames, "{facts:?}");
        }
        Facts::Audio(facts) => {
            assert!(facts.sample_rate > 0 && facts.channels > 0, "{facts:?}");
            let unknown = facts.duration_source == DurationSource::Unknown;
            assert_eq!(facts.duration_ms.is_none(), unknown, "{facts:?}");
            for text in facts.title.iter().chain(&facts.artist) {
                assert!(!text.is_empty() && text.len() <= 255 && !text.contains('\0'), "{text:?}");
            }
        }
    }
}
