//! Every decoder of the engine, each as a function that takes any bytes: what `fuzz/` and the tests call.
//!
//! A function panics when a promise is broken, whatever the bytes: nothing else panics, overflows or loops, what is read
//! is written the same again, and what one start of a node made of damaged files is what the next start finds. Where
//! checksums would keep fuzzing out of a decoder, there is a way around them: see [`store`](crate::store::fuzzing).
//!
//! Compiled for tests and with the feature `fuzzing`; not part of the crate's interface.

mod connection;
#[cfg(test)]
mod corpus;
mod definitions;
mod files;
mod node;
mod requests;
mod wire;

pub use self::{
    connection::connection,
    definitions::definitions,
    files::restart,
    requests::requests,
    wire::{contents, frames, methods, properties, tables},
};
pub use crate::{
    listener::fuzzing::{certificates, proxy_headers},
    store::fuzzing::{entries, manifest, records, recovery, segment},
};

/// A name and what to feed.
pub type Target = (&'static str, fn(&[u8]));

/// All of them, the cheap ones first.
pub const TARGETS: &[Target] = &[
    ("frames", frames),
    ("methods", methods),
    ("tables", tables),
    ("properties", properties),
    ("contents", contents),
    ("certificates", certificates),
    ("proxy_headers", proxy_headers),
    ("entries", entries),
    ("records", records),
    ("manifest", manifest),
    ("segment", segment),
    ("recovery", recovery),
    ("restart", restart),
    ("connection", connection),
    ("definitions", definitions),
    ("requests", requests),
];
