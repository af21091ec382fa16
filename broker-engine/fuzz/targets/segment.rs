//! Feeds [`broker_engine::fuzzing::segment`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| broker_engine::fuzzing::segment(bytes));
