//! A glob matches what the definition of its wildcards says.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| filters::fuzz::glob(data));
