//! Feeds [`warren::fuzzing::names`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| warren::fuzzing::names(bytes));
