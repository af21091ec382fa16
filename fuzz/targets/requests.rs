//! Feeds [`warren::fuzzing::requests`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| warren::fuzzing::requests(bytes));
