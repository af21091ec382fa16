//! Feeds [`warren::fuzzing::manifests`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| warren::fuzzing::manifests(bytes));
