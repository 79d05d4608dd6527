//! Any bytes in, driven by coverage.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::inside::z37_inside(data));
