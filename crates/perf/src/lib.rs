//! Load generator and measuring tool for AMQP 0-9-1 brokers.
//!
//! Has framing of its own, so that it can neither share a fault with the broker it checks nor cost
//! more than a fraction of a microsecond a message. Blocking threads, one a connection: nothing of
//! it runs while nothing is to do.

mod body;
pub mod churn;
pub mod command;
mod connection;
mod error;
mod latency;
pub mod load;
mod process;
pub mod rabbitmq;
pub mod relay;
mod stream;
pub mod suite;
mod target;
mod wire;

pub use error::Error;
pub use target::Target;
