//! Feeds [`warren::fuzzing::tokens`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| warren::fuzzing::tokens(bytes));
