//! Feeds [`warren::fuzzing::rabbitmq`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| warren::fuzzing::rabbitmq(bytes));
