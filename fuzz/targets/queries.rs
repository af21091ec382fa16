//! Feeds [`warren::fuzzing::queries`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| warren::fuzzing::queries(bytes));
