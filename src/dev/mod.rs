//! The all-in-one role.

pub mod postgres;
pub mod progress;
