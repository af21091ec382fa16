//! AMQP 0-9-1 as RabbitMQ speaks it: connections, channels, deliveries, confirms, reply codes.
//!
//! Owns the conversation with clients. Routing, queues and permissions are the broker's; bytes on
//! the wire are the codec's; sockets are made by the listener.

mod buffers;
mod channel;
mod confirms;
mod connection;
mod delivery;
mod envelope;
mod error;
mod malformed;
mod outbox;
mod owed;
mod refusal;
mod reply_code;
mod server;

pub use channel::read_headers;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use connection::DryConnection;
pub use connection::{Certified, Peer, serve};
pub use envelope::WireProperties;
pub use server::{Identification, Server, Terms};
