//! Feeds [`broker_engine::fuzzing::methods`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| broker_engine::fuzzing::methods(bytes));
