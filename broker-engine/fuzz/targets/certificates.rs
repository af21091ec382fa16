//! Feeds [`broker_engine::fuzzing::certificates`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| broker_engine::fuzzing::certificates(bytes));
