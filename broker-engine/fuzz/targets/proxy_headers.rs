//! Feeds [`broker_engine::fuzzing::proxy_headers`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| broker_engine::fuzzing::proxy_headers(bytes));
