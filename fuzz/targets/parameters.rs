//! Feeds [`warren::fuzzing::parameters`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| warren::fuzzing::parameters(bytes));
