//! Bytes to frames and back: pure functions over slices, without sockets, clocks or tasks.
//!
//! Nothing here allocates for a frame it parses, and no input, however hostile, panics.

pub mod amqp;
