//! Feeds [`warren::fuzzing::trust`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| warren::fuzzing::trust(bytes));
