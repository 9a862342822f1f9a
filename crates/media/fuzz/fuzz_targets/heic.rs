//! Facts of `Format::Heic`.

#![no_main]

use object_store_media::Format;

libfuzzer_sys::fuzz_target!(|data: &[u8]| object_store_media_fuzz::probe_as(Format::Heic, data));
