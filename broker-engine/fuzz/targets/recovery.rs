//! Feeds [`broker_engine::fuzzing::recovery`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| broker_engine::fuzzing::recovery(bytes));
