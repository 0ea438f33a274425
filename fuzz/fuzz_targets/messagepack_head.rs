#![no_main]
#![allow(missing_docs, reason = "a binary without a main of its own")]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cache_fuzz::messagepack_head::run(data));
