//! What can be wrong with bytes that claim to be AMQP; the reply codes are the `amqp` module's.

/// The front of a payload that is quoted when its frame is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snippet {
    bytes: [u8; Self::LEN_MAX],
    len: usize,
    is_all: bool,
}

impl Snippet {
    /// Bytes that are quoted at most.
    pub const LEN_MAX: usize = 16;

    /// The front of a payload.
    #[must_use]
    pub fn of(payload: &[u8]) -> Self {
        let mut bytes = [0; Self::LEN_MAX];
        let len = payload.len().min(Self::LEN_MAX);
        bytes[..len].copy_from_slice(&payload[..len]);
        Self {
            bytes,
            len,
            is_all: payload.len() == len,
        }
    }

    /// What is quoted.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Whether that is the whole payload.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.is_all
    }
}

/// A decoding failure; every one of them concerns the whole connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The frame announces more bytes than were negotiated; sizes are those of payloads.
    #[error("a payload of {size} bytes exceeds the negotiated maximum of {size_max} bytes")]
    FrameTooLarge {
        kind: u8,
        size: usize,
        size_max: usize,
    },
    /// The octet after the payload is not 0xCE.
    #[error("invalid frame end marker {octet:#04x}")]
    FrameEnd {
        kind: u8,
        payload: Snippet,
        octet: u8,
    },
    /// The frame type is none of method, header, body and heartbeat.
    #[error("unknown frame type {kind}")]
    FrameKind { kind: u8, payload: Snippet },
    /// No such class or method exists.
    #[error("unknown method {class_id}.{method_id}")]
    UnknownMethod { class_id: u16, method_id: u16 },
    /// The payload ends inside a field.
    #[error("the payload ends inside a field")]
    Truncated,
    /// Bytes follow the last field.
    #[error("{count} bytes follow the last field")]
    Trailing { count: usize },
    /// The weight of a content header is not zero.
    #[error("the content header has a weight")]
    Weight,
    /// The property flags go on although class basic has no further properties.
    #[error("unknown properties")]
    UnknownProperties,
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
