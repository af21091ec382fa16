//! Feeds [`warren::fuzzing::forms`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| warren::fuzzing::forms(bytes));
