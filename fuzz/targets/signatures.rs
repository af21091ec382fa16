//! Feeds [`warren::fuzzing::signatures`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| warren::fuzzing::signatures(bytes));
