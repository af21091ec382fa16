//! Frames: found in a byte stream without copying, and written to the end of a buffer.

use super::error::Snippet;
use super::{Encode, Error, FRAME_OVERHEAD, Writer};

/// What a 0-9-1 client sends first, and what the server answers to any other header.
pub const PROTOCOL_HEADER: [u8; 8] = *b"AMQP\0\0\x09\x01";

pub(super) const FRAME_END: u8 = 0xCE;
pub(super) const FRAME_HEAD: usize = 7;

/// The four kinds of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    Method,
    Header,
    Body,
    Heartbeat,
}

impl FrameKind {
    fn from_octet(octet: u8) -> Option<Self> {
        match octet {
            1 => Some(Self::Method),
            2 => Some(Self::Header),
            3 => Some(Self::Body),
            8 => Some(Self::Heartbeat),
            _ => None,
        }
    }

    /// The octet that stands for it.
    #[must_use]
    pub fn octet(self) -> u8 {
        match self {
            Self::Method => 1,
            Self::Header => 2,
            Self::Body => 3,
            Self::Heartbeat => 8,
        }
    }
}

/// One complete frame, borrowed from the bytes it was found in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    pub kind: FrameKind,
    pub channel: u16,
    pub payload: &'a [u8],
}

/// What the front of a byte stream holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameParse<'a> {
    /// A frame, which took `consumed` bytes.
    Complete { frame: Frame<'a>, consumed: usize },
    /// At least `missing` more bytes are needed.
    Incomplete { missing: usize },
}

/// Finds the frame at the front of `bytes`; `frame_max` counts the frame's overhead, 0 is no limit.
///
/// # Errors
/// For an unknown frame type, a frame over the limit, or a wrong end octet.
pub fn parse_frame(bytes: &[u8], frame_max: u32) -> Result<FrameParse<'_>, Error> {
    let Some((head, rest)) = bytes.split_first_chunk::<FRAME_HEAD>() else {
        return Ok(FrameParse::Incomplete {
            missing: FRAME_HEAD + 1 - bytes.len(),
        });
    };
    let [kind, channel_high, channel_low, size @ ..] = *head;
    let size = usize::try_from(u32::from_be_bytes(size)).unwrap_or(usize::MAX);
    let size_max = usize::try_from(frame_max).unwrap_or(usize::MAX);
    // Quite a few clients leave the overhead out of their count: RabbitMQ lets them.
    if size_max != 0 && size > size_max {
        return Err(Error::FrameTooLarge {
            kind,
            size,
            size_max: size_max.saturating_sub(FRAME_OVERHEAD),
        });
    }
    let Some((payload, end)) = rest.split_at_checked(size) else {
        return Ok(FrameParse::Incomplete {
            missing: size - rest.len() + 1,
        });
    };
    match (end.first(), FrameKind::from_octet(kind)) {
        (None, _) => Ok(FrameParse::Incomplete { missing: 1 }),
        (Some(&FRAME_END), Some(kind)) => Ok(FrameParse::Complete {
            frame: Frame {
                kind,
                channel: u16::from_be_bytes([channel_high, channel_low]),
                payload,
            },
            consumed: size + FRAME_OVERHEAD,
        }),
        (Some(&FRAME_END), None) => Err(Error::FrameKind {
            kind,
            payload: Snippet::of(payload),
        }),
        (Some(octet), _) => Err(Error::FrameEnd {
            kind,
            payload: Snippet::of(payload),
            octet: *octet,
        }),
    }
}

/// What the first bytes of a connection are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderParse {
    /// AMQP 0-9-1.
    Accepted,
    /// Some other protocol or version.
    Refused,
    /// Too few bytes to tell.
    Incomplete,
}

/// What clients may send first: some read the specification of 0-9 and speak 0-9-1.
pub const ACCEPTED_HEADERS: [[u8; 8]; 2] = [PROTOCOL_HEADER, *b"AMQP\x01\x01\0\x09"];

/// Looks at the first bytes of a connection; refuses at the first byte that cannot match.
#[must_use]
pub fn parse_protocol_header(bytes: &[u8]) -> HeaderParse {
    let known = bytes.len().min(PROTOCOL_HEADER.len());
    if ACCEPTED_HEADERS
        .iter()
        .all(|header| bytes[..known] != header[..known])
    {
        HeaderParse::Refused
    } else if known < PROTOCOL_HEADER.len() {
        HeaderParse::Incomplete
    } else {
        HeaderParse::Accepted
    }
}

fn encode_frame(
    buffer: &mut Vec<u8>,
    kind: FrameKind,
    channel: u16,
    fill: impl FnOnce(&mut Writer<'_>),
) {
    let [high, low] = channel.to_be_bytes();
    buffer.extend_from_slice(&[kind.octet(), high, low]);
    Writer::new(buffer).measured(fill);
    buffer.push(FRAME_END);
}

/// Appends a method frame.
pub fn encode_method<M: Encode>(buffer: &mut Vec<u8>, channel: u16, method: &M) {
    encode_frame(buffer, FrameKind::Method, channel, |writer| {
        method.encode_payload(writer)
    });
}

/// Appends a heartbeat.
pub fn encode_heartbeat(buffer: &mut Vec<u8>) {
    encode_frame(buffer, FrameKind::Heartbeat, 0, |_| {});
}

/// Appends the header and body frames of one content; `properties` is in wire form.
pub fn encode_content(
    buffer: &mut Vec<u8>,
    channel: u16,
    properties: &[u8],
    body: &[u8],
    frame_max: u32,
) {
    let body_size = u64::try_from(body.len()).unwrap_or(u64::MAX);
    encode_frame(buffer, FrameKind::Header, channel, |writer| {
        super::ContentHeader {
            class_id: super::CLASS_BASIC,
            body_size,
            properties,
        }
        .encode(writer);
    });
    let chunk_max = match usize::try_from(frame_max) {
        Ok(0) | Err(_) => usize::MAX,
        Ok(frame_max) => frame_max.saturating_sub(FRAME_OVERHEAD).max(1),
    };
    for chunk in body.chunks(chunk_max) {
        encode_frame(buffer, FrameKind::Body, channel, |writer| {
            writer.bytes(chunk)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::amqp::{BasicAck, ContentHeader};

    #[test]
    fn a_frame_has_the_bytes_of_the_specification() {
        let mut buffer = Vec::new();
        encode_method(
            &mut buffer,
            3,
            &BasicAck {
                delivery_tag: 1,
                multiple: true,
            },
        );
        assert_eq!(
            buffer,
            b"\x01\0\x03\0\0\0\x0d\0\x3c\0\x50\0\0\0\0\0\0\0\x01\x01\xce"
        );
        buffer.clear();
        encode_heartbeat(&mut buffer);
        assert_eq!(buffer, b"\x08\0\0\0\0\0\0\xce");
    }

    #[test]
    fn a_stream_cut_at_any_byte_asks_for_no_more_than_is_missing() {
        let mut stream = Vec::new();
        encode_method(
            &mut stream,
            3,
            &BasicAck {
                delivery_tag: 1,
                multiple: true,
            },
        );
        for end in 0..stream.len() {
            match parse_frame(&stream[..end], 4096).unwrap() {
                FrameParse::Incomplete { missing } => {
                    assert!(missing > 0 && end + missing <= stream.len());
                }
                FrameParse::Complete { .. } => panic!("complete at {end}"),
            }
        }
    }

    #[test]
    fn a_body_is_split_to_the_frame_size() {
        let body = vec![7; 10_000];
        let mut buffer = Vec::new();
        encode_content(&mut buffer, 1, &[0, 0], &body, 4096);
        let mut rest = buffer.as_slice();
        let mut seen = Vec::new();
        let mut kinds = Vec::new();
        while let FrameParse::Complete { frame, consumed } = parse_frame(rest, 4096).unwrap() {
            kinds.push(frame.kind);
            if frame.kind == FrameKind::Header {
                assert_eq!(
                    ContentHeader::decode(frame.payload).unwrap().body_size,
                    10_000
                );
            } else {
                seen.extend_from_slice(frame.payload);
            }
            rest = &rest[consumed..];
        }
        assert!(rest.is_empty());
        assert_eq!(seen, body);
        assert_eq!(
            kinds,
            [
                FrameKind::Header,
                FrameKind::Body,
                FrameKind::Body,
                FrameKind::Body
            ]
        );
    }

    #[test]
    fn oversize_frames_and_bad_ends_are_typed() {
        assert_eq!(
            parse_frame(b"\x01\0\0\0\0\x10\x01", 4096),
            Err(Error::FrameTooLarge {
                kind: 1,
                size: 4097,
                size_max: 4088
            })
        );
        assert_eq!(
            parse_frame(b"\x08\0\0\0\0\0\0\xcd", 0),
            Err(Error::FrameEnd {
                kind: 8,
                payload: Snippet::of(b""),
                octet: 0xcd
            })
        );
        assert_eq!(
            parse_frame(b"\x05\0\0\0\0\0\x01a\xce", 0),
            Err(Error::FrameKind {
                kind: 5,
                payload: Snippet::of(b"a")
            })
        );
    }

    #[test]
    fn garbage_never_panics() {
        let mut random = fastrand::Rng::with_seed(4);
        for _ in 0..20_000 {
            let bytes: Vec<u8> = (0..random.usize(0..40)).map(|_| random.u8(0..16)).collect();
            // Only the absence of a panic is the property.
            let _ = parse_frame(&bytes, 4096);
        }
    }

    #[test]
    fn only_the_headers_of_this_version_are_accepted() {
        assert_eq!(
            parse_protocol_header(b"AMQP\0\0\x09\x01"),
            HeaderParse::Accepted
        );
        assert_eq!(
            parse_protocol_header(b"AMQP\x01\x01\0\x09"),
            HeaderParse::Accepted
        );
        assert_eq!(parse_protocol_header(b"AMQP\0"), HeaderParse::Incomplete);
        assert_eq!(
            parse_protocol_header(b"AMQP\x01\x01\x08\0"),
            HeaderParse::Refused
        );
        assert_eq!(parse_protocol_header(b"GET /"), HeaderParse::Refused);
    }
}
