//! Warren's message broker: AMQP 0-9-1 over a replicable commit log.
//!
//! The crate is a library with one facade, [`Engine`]; `brokerd` and `warren node` are thin
//! callers of it.

pub mod amqp;
pub mod broker;
pub mod codec;
mod engine;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod listener;
mod lists;
pub mod management;
pub mod options;
#[cfg(test)]
mod proof;
pub mod settings;
pub mod store;
mod timers;

pub use engine::{Engine, run};
pub use error::Error;

/// The release of this engine, as supervisors and catalogues name it.
pub const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// The version of the data format that this release writes. It reads all versions from 1 on.
pub const DATA_FORMAT: u32 = store::FORMAT;
