//! Feeds [`warren::fuzzing::policies`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| warren::fuzzing::policies(bytes));
