//! What comes from sockets, piece by piece: frames, methods, tables, properties; and contents as the log keeps them.

use bytes::Bytes;

use crate::{
    amqp::WireProperties,
    broker::{Envelope as _, Message},
    codec::amqp::{
        ACCEPTED_HEADERS, AckHead, ContentHeader, FRAME_OVERHEAD, FieldTable, FrameKind,
        FrameParse, HeaderParse, Method, Properties, PublishHead, Writer, encode_table,
        parse_frame, parse_protocol_header,
    },
};

/// The smallest size of frames that can be agreed on, so that the limit is met.
const FRAME_MAX: u32 = 4096;

/// A stream of frames, with and without the shortcuts for those that repeat.
pub fn frames(bytes: &[u8]) {
    if parse_protocol_header(bytes) == HeaderParse::Accepted {
        let mut headers = ACCEPTED_HEADERS.iter();
        assert!(headers.any(|header| bytes.starts_with(header)));
    }
    let mut rest = bytes;
    let (mut publish, mut header): (Option<&[u8]>, Option<&[u8]>) = (None, None);
    loop {
        let parsed = parse_frame(rest, FRAME_MAX);
        let Ok(FrameParse::Complete { frame, consumed }) = parsed else {
            if let Ok(FrameParse::Incomplete { missing }) = parsed {
                // Clients may leave the overhead out of their count.
                let most = FRAME_MAX as usize + FRAME_OVERHEAD;
                assert!(missing > 0 && rest.len() + missing <= most);
            }
            return;
        };
        assert_eq!(frame.payload.len() + FRAME_OVERHEAD, consumed);
        if let Some((ack, behind)) = AckHead::new(frame.channel).parse(rest) {
            // What the shortcut sees is what the long way sees.
            assert_eq!(Method::decode(frame.payload), Ok(Method::BasicAck(ack)));
            assert_eq!(behind, &rest[consumed..]);
        }
        match frame.kind {
            FrameKind::Method => {
                (publish, header) = (None, None);
                if let Ok(Method::BasicPublish(_)) = Method::decode(frame.payload) {
                    publish = Some(rest);
                }
                method(frame.payload);
            }
            FrameKind::Header => {
                header = ContentHeader::decode(frame.payload)
                    .ok()
                    .filter(|_| publish.is_some())
                    .map(|header| header.properties);
            }
            FrameKind::Body => {
                if let (Some(start), Some(properties)) = (publish, header) {
                    repeat(start, frame.channel, properties);
                }
                (publish, header) = (None, None);
            }
            FrameKind::Heartbeat => {}
        }
        rest = &rest[consumed..];
    }
}

/// The shortcut for a publish that repeats another finds the body that frames have.
fn repeat(start: &[u8], channel: u16, properties: &[u8]) {
    let Ok(FrameParse::Complete { frame, consumed }) = parse_frame(start, FRAME_MAX) else {
        return;
    };
    let head = PublishHead::new(channel, frame.payload, properties);
    assert!(head.fits(channel, frame.payload, properties));
    let Some((body, behind)) = head.read(start, FRAME_MAX) else {
        return;
    };
    let mut at = consumed;
    for _ in 0..2 {
        let Ok(FrameParse::Complete { frame, consumed }) = parse_frame(&start[at..], FRAME_MAX)
        else {
            panic!("the shortcut sees frames where there are none");
        };
        at += consumed;
        if frame.kind == FrameKind::Body {
            assert_eq!(frame.payload, body);
        }
    }
    assert_eq!(&start[at..], behind);
}

/// The payload of a method frame.
pub fn methods(bytes: &[u8]) {
    method(bytes);
}

fn method(payload: &[u8]) {
    if let Ok(method) = Method::decode(payload) {
        let mut again = Vec::new();
        method.encode(&mut Writer::new(&mut again));
        assert_eq!(Method::decode(&again), Ok(method));
    }
}

/// A table.
pub fn tables(bytes: &[u8]) {
    if let Ok(table) = FieldTable::decode(bytes) {
        let again = encode_table(&table);
        assert_eq!(FieldTable::decode(&again).as_ref(), Ok(&table));
        assert_eq!(again.len(), bytes.len());
    }
}

/// A content header, and the properties in it as the core asks about them.
pub fn properties(bytes: &[u8]) {
    if let Ok(header) = ContentHeader::decode(bytes) {
        assert_eq!(header.properties, &bytes[12..]);
    }
    if let Ok(properties) = Properties::decode(bytes) {
        let again = properties.encode();
        assert_eq!(Properties::decode(&again).as_ref(), Ok(&properties));
        if let Some(is_persistent) = Properties::plain_persistence(bytes) {
            assert_eq!(is_persistent, properties.is_persistent());
        }
        // Only the absence of a panic is the property.
        let _ = properties.headers_table();
    }
    ask(bytes);
}

/// Everything the core asks about properties, whatever they are.
fn ask(properties: &[u8]) {
    let envelope = WireProperties;
    let headers = envelope.headers(properties);
    let _ = envelope.expiration_ms(properties);
    let _ = envelope.priority(properties);
    let _ = envelope.is_persistent(properties);
    let with = envelope.with_headers(properties, &headers);
    let without = envelope.without_expiration(&with);
    assert_eq!(envelope.expiration_ms(&without), None);
    let described = envelope.describe(&without);
    if let Ok(composed) = envelope.compose(&described) {
        assert!(Properties::decode(&composed).is_ok());
    }
}

/// A message as the log keeps it.
pub fn contents(bytes: &[u8]) {
    let Some(message) = Message::from_bytes(Bytes::copy_from_slice(bytes)) else {
        return;
    };
    let parts = message.parts();
    assert_eq!(parts.exchange, message.exchange().as_bytes());
    assert_eq!(parts.routing_key, message.routing_key().as_bytes());
    assert_eq!(parts.properties, message.properties());
    assert_eq!(parts.body, message.body());
    let other = message.with_properties(b"other");
    assert_eq!(other.properties(), b"other");
    assert_eq!(other.body(), message.body());
    assert_eq!(other.arrived_ms(), message.arrived_ms());
    ask(message.properties());
}
