//! Feeds [`warren::fuzzing::updates`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| warren::fuzzing::updates(bytes));
