//! Feeds [`broker_engine::fuzzing::tables`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| broker_engine::fuzzing::tables(bytes));
