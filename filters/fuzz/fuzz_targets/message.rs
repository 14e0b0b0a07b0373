//! What is read of a JSON-RPC message is what any other reader reads of it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| filters::fuzz::message(data));
