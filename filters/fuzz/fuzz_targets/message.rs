//! A message says to one reader what it says to another.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| filters::fuzz::message(data));
