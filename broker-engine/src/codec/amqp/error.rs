//! What can be wrong with bytes that claim to be AMQP; the reply codes are the `amqp` module's.

/// A decoding failure; every one of them concerns the whole connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The frame announces more bytes than were negotiated; sizes include the frame's overhead.
    #[error("frame of {size} bytes exceeds the negotiated maximum of {size_max} bytes")]
    FrameTooLarge { size: usize, size_max: usize },
    /// The octet after the payload is not 0xCE.
    #[error("invalid frame end marker {octet:#04x}")]
    FrameEnd { octet: u8 },
    /// The frame type is none of method, header, body and heartbeat.
    #[error("unknown frame type {kind}")]
    FrameKind { kind: u8 },
    /// No such class or method exists.
    #[error("unknown method {class_id}.{method_id}")]
    UnknownMethod { class_id: u16, method_id: u16 },
    /// The payload ends inside a field.
    #[error("the payload ends inside a field")]
    Truncated,
    /// Bytes follow the last field.
    #[error("{count} bytes follow the last field")]
    Trailing { count: usize },
    /// A short string or a field name is not UTF-8.
    #[error("Malformed UTF-8 in shortstr")]
    Utf8,
    /// A field table holds a type tag that no dialect defines.
    #[error("unknown field type {tag:#04x}")]
    FieldType { tag: u8 },
    /// Tables and arrays are nested deeper than this codec follows.
    #[error("field tables nested too deeply")]
    TooDeep,
}
