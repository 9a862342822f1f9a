//! Facts of `Format::Mp3`.

#![no_main]

use object_store_media::Format;

libfuzzer_sys::fuzz_target!(|data: &[u8]| object_store_media_fuzz::probe_as(Format::Mp3, data));
