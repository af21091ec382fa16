//! What is said of frames that cannot be read, in RabbitMQ's words: it quotes their bytes as Erlang prints them.

use std::fmt::Write as _;

use super::error::Error;
use super::reply_code::ReplyCode;
use crate::codec::amqp::{self as codec, Frame, Snippet};

/// A frame that is not what its kind says.
pub(super) fn unknown_frame(frame: &Frame<'_>) -> Error {
    let reason = "unknown_frame";
    frame_error(frame.kind.octet(), &Snippet::of(frame.payload), reason)
}

/// A frame that has no place where it came.
pub(super) fn unexpected_frame(frame: &Frame<'_>) -> Error {
    let quoted = octets(frame.kind.octet(), &Snippet::of(frame.payload));
    Error::new(ReplyCode::UnexpectedFrame, quoted)
}

/// A method whose ids are known but not its fields.
pub(super) fn fields(payload: &[u8], error: codec::Error) -> Error {
    match (error, payload.get(4..)) {
        (codec::Error::Truncated | codec::Error::Trailing { .. }, Some(fields)) => {
            let text = format!("cannot decode {}", binary(fields));
            Error::new(ReplyCode::FrameError, text)
        }
        (error @ codec::Error::Utf8, _) => Error::from(error).about_none(),
        (error, _) => error.into(),
    }
}

/// Bytes behind which no further frame can be found.
pub(super) fn stream(error: codec::Error) -> Error {
    match error {
        codec::Error::FrameTooLarge {
            kind,
            size,
            size_max,
        } => {
            let reason = format!("{{frame_too_large,{size},{size_max}}}");
            frame_error(kind, &Snippet::of(&[]), &reason)
        }
        codec::Error::FrameEnd {
            kind,
            payload,
            octet,
        } => {
            let reason = format!("{{invalid_frame_end_marker,{octet}}}");
            frame_error(kind, &payload, &reason)
        }
        codec::Error::FrameKind { kind, payload } => frame_error(kind, &payload, "unknown_frame"),
        codec::Error::UnknownMethod { .. }
        | codec::Error::Truncated
        | codec::Error::Trailing { .. }
        | codec::Error::Weight
        | codec::Error::UnknownProperties
        | codec::Error::Utf8
        | codec::Error::FieldType { .. }
        | codec::Error::TooDeep => error.into(),
    }
}

fn frame_error(kind: u8, payload: &Snippet, reason: &str) -> Error {
    let text = format!("{}: {reason}", octets(kind, payload));
    Error::new(ReplyCode::FrameError, text)
}

fn octets(kind: u8, payload: &Snippet) -> String {
    let which = if payload.is_all() { "all" } else { "first 16" };
    let bytes = payload.bytes();
    let is_text = |byte: &u8| matches!(byte, b' '..=b'~');
    let quoted = if !bytes.is_empty() && bytes.iter().all(is_text) {
        let text = String::from_utf8_lossy(bytes);
        format!("<<{text:?}>>")
    } else {
        binary(bytes)
    };
    format!("type {kind}, {which} octets = {quoted}")
}

/// Bytes as numbers.
fn binary(bytes: &[u8]) -> String {
    let mut text = String::from("<<");
    for (number, byte) in bytes.iter().enumerate() {
        let separator = if number > 0 { "," } else { "" };
        // A string takes everything.
        let _ = write!(text, "{separator}{byte}");
    }
    text + ">>"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::amqp::{FrameKind, Method, parse_frame};

    #[test]
    fn payloads_are_quoted_as_texts_or_numbers_and_not_whole() {
        let frame = |payload| Frame {
            kind: FrameKind::Body,
            channel: 0,
            payload,
        };
        let text = |payload| unexpected_frame(&frame(payload)).text;
        assert_eq!(text(b"a\"b"), r#"type 3, all octets = <<"a\"b">>"#);
        assert_eq!(text(b""), "type 3, all octets = <<>>");
        assert_eq!(text(b"a\0"), "type 3, all octets = <<97,0>>");
        assert_eq!(
            text(b"0123456789abcdefg"),
            r#"type 3, first 16 octets = <<"0123456789abcdef">>"#
        );
        assert_eq!(
            unknown_frame(&frame(b"a")).text,
            r#"type 3, all octets = <<"a">>: unknown_frame"#
        );
    }

    #[test]
    fn streams_and_fields_are_refused_in_the_words_of_rabbitmq() {
        let stream = |bytes: &[u8]| stream(parse_frame(bytes, 4096).unwrap_err()).text;
        assert_eq!(
            stream(b"\x03\0\x01\0\x10\0\0"),
            "type 3, all octets = <<>>: {frame_too_large,1048576,4088}"
        );
        assert_eq!(
            stream(b"\x01\0\x01\0\0\0\x02\0\x14\0"),
            "type 1, all octets = <<0,20>>: {invalid_frame_end_marker,0}"
        );
        let payload = b"\0\x3c\0\x50\0\0";
        let error = Method::decode(payload).unwrap_err();
        assert_eq!(fields(payload, error).text, "cannot decode <<0,0>>");
    }
}
