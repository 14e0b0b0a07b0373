//! No caller is given what the cache keeps for another one.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    filters::fuzz::isolation(data);
});
