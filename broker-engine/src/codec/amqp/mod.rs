//! AMQP 0-9-1 on the wire: frames, methods, field tables and content headers.
//!
//! Owns the encoding only; what a method means and when it is allowed is the `amqp` module's.
//! Source: AMQP 0-9-1 specification, chapters 2.3 and 4.2, with RabbitMQ's field-table dialect.

mod ack;
mod deliver;
mod error;
mod frame;
mod header;
mod macros;
mod method;
mod properties;
mod reader;
mod repeat;
mod table;
mod writer;

pub use ack::AckHead;
pub use deliver::{Deliver, DeliverEncoder};
pub use error::{Error, Snippet};
pub use frame::{
    ACCEPTED_HEADERS, Frame, FrameKind, FrameParse, HeaderParse, PROTOCOL_HEADER, encode_content,
    encode_heartbeat, encode_method, parse_frame, parse_protocol_header,
};
pub use header::ContentHeader;
pub use method::*;
pub use properties::Properties;
pub use reader::Reader;
pub use repeat::PublishHead;
pub use table::{FieldTable, FieldValue, TABLE_DEPTH_MAX, encode_table};
pub use writer::Writer;

/// Bytes a frame adds around its payload: type, channel, size and end octet.
pub const FRAME_OVERHEAD: usize = 8;

/// The smallest frame_max a peer may negotiate (specification 4.2.3).
pub const FRAME_MIN_SIZE: u32 = 4096;

/// The class that carries content.
pub const CLASS_BASIC: u16 = 60;
