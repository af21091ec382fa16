//! Feeds [`warren::fuzzing::lavinmq`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| warren::fuzzing::lavinmq(bytes));
