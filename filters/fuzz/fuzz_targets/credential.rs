//! A request has one credential or none, and a token says what was read from it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| filters::fuzz::credential(data));
