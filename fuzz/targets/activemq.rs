//! Feeds [`warren::fuzzing::activemq`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| warren::fuzzing::activemq(bytes));
