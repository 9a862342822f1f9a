//! Detection, on any bytes, and then whatever it leads to.

#![no_main]

use object_store_media::{FormatSet, Policy, detect, identify};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    assert!(!detect(data).name().is_empty());
    let _ = identify(data, &Policy { accepted: FormatSet::all(), ..Policy::default() });
    object_store_media_fuzz::probe_any(data);
});
