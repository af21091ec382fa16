//! Feeds [`warren::fuzzing::windows`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| warren::fuzzing::windows(bytes));
