//! Two JSON texts have the same canonical form if and only if they mean the same.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| filters::fuzz::canonical(data));
