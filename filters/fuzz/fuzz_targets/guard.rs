//! Guardrails find what their paths say, change that, and nothing else.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| filters::fuzz::guard(data));
