//! What is shown of a value is JSON, and has nothing secret in it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| filters::fuzz::redaction(data));
