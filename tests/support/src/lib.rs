//! What the test binaries share: a private Postgres ([`postgres`]), Python with real clients
//! ([`python`]), clients in other languages ([`programs`]) and processes that end with the test that started them ([`process`]).
//!
//! It knows nothing of the product but the directory of its migrations, so that any crate's tests
//! may use it. Everything it prepares lies in cargo's target directory or in a temporary one.

pub mod directory;
pub mod network;
pub mod postgres;
pub mod process;
pub mod programs;
pub mod python;

#[cfg(test)]
mod tests;
