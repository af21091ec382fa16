//! A publish in three frames that repeats the one before but for its body: found without parsing the frames.
//!
//! Publishers mostly send the same exchange, key and properties again and again. All that is in front of the body is
//! then compared at once.

use super::frame::{FRAME_END, FRAME_HEAD};
use super::{CLASS_BASIC, FRAME_OVERHEAD};

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;

/// A size in a content header, and in the head of a frame.
const BODY_SIZE: usize = 8;
const FRAME_SIZE: usize = 4;

/// What stands before the body of a publish.
#[derive(Debug)]
pub struct PublishHead {
    /// Method frame, header frame and the start of the body frame, without the two sizes of the body.
    bytes: Vec<u8>,
    /// Where the size in the content header belongs.
    size_at: usize,
    payload_len: usize,
}

impl PublishHead {
    /// The head of a publish with this method payload and these properties in wire form.
    #[must_use]
    pub fn new(channel: u16, payload: &[u8], properties: &[u8]) -> Self {
        let [high, low] = channel.to_be_bytes();
        let frame_size = |len: usize| u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
        let mut bytes = vec![METHOD, high, low];
        bytes.extend_from_slice(&frame_size(payload.len()));
        bytes.extend_from_slice(payload);
        bytes.extend_from_slice(&[FRAME_END, HEADER, high, low]);
        bytes.extend_from_slice(&frame_size(4 + BODY_SIZE + properties.len()));
        bytes.extend_from_slice(&CLASS_BASIC.to_be_bytes());
        bytes.extend_from_slice(&[0, 0]);
        let size_at = bytes.len();
        bytes.extend_from_slice(properties);
        bytes.extend_from_slice(&[FRAME_END, BODY, high, low]);
        Self {
            bytes,
            size_at,
            payload_len: payload.len(),
        }
    }

    /// Whether a publish with this method payload and these properties has this head.
    #[must_use]
    pub fn fits(&self, channel: u16, payload: &[u8], properties: &[u8]) -> bool {
        self.bytes[1..3] == channel.to_be_bytes()
            && self.bytes[FRAME_HEAD..FRAME_HEAD + self.payload_len] == *payload
            && self.bytes[self.size_at..self.bytes.len() - 4] == *properties
    }

    /// The body of the publish at the front of `bytes`, and what follows it; `None` when it has another head, is not
    /// complete, or its body is not exactly one frame.
    #[must_use]
    pub fn read<'a>(&self, bytes: &'a [u8], frame_max: u32) -> Option<(&'a [u8], &'a [u8])> {
        let (start, end) = self.bytes.split_at(self.size_at);
        let (size, rest) = bytes
            .strip_prefix(start)?
            .split_first_chunk::<BODY_SIZE>()?;
        let (frame_size, rest) = rest.strip_prefix(end)?.split_first_chunk::<FRAME_SIZE>()?;
        let len = u32::from_be_bytes(*frame_size);
        let fits = frame_max == 0 || len as usize + FRAME_OVERHEAD <= frame_max as usize;
        if u64::from_be_bytes(*size) != u64::from(len) || !fits {
            return None;
        }
        let (body, rest) = rest.split_at_checked(len as usize)?;
        let rest = rest.strip_prefix(&[FRAME_END])?;
        Some((body, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::amqp::{
        BasicPublish, FrameParse, encode_content, encode_method, parse_frame,
    };

    fn publish(routing_key: &str, properties: &[u8], body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let method = BasicPublish {
            reserved_1: 0,
            exchange: "exchange",
            routing_key,
            mandatory: true,
            immediate: false,
        };
        encode_method(&mut bytes, 7, &method);
        encode_content(&mut bytes, 7, properties, body, 4096);
        bytes
    }

    fn head_of(bytes: &[u8], properties: &[u8]) -> PublishHead {
        let Ok(FrameParse::Complete { frame, .. }) = parse_frame(bytes, 4096) else {
            panic!("not a frame");
        };
        let head = PublishHead::new(frame.channel, frame.payload, properties);
        assert!(head.fits(frame.channel, frame.payload, properties));
        assert!(!head.fits(frame.channel, frame.payload, b"\0\0\0"));
        assert!(!head.fits(8, frame.payload, properties));
        head
    }

    #[test]
    fn bodies_are_found_and_nothing_else() {
        let properties = b"\x10\0\x02";
        let first = publish("key", properties, b"one");
        let head = head_of(&first, properties);
        let mut stream = [first.clone(), publish("key", properties, b"other")].concat();
        let (body, rest) = head.read(&stream, 4096).unwrap();
        assert_eq!(body, b"one");
        assert_eq!(head.read(rest, 4096).unwrap(), (&b"other"[..], &b""[..]));
        for end in 0..first.len() {
            assert_eq!(head.read(&stream[..end], 4096), None, "cut at {end}");
        }
        for at in 0..first.len() {
            let is_body = (first.len() - 4..first.len() - 1).contains(&at);
            stream[at] ^= 1;
            assert_eq!(
                head.read(&stream, 4096).is_some(),
                is_body,
                "changed at {at}"
            );
            stream[at] ^= 1;
        }
    }

    #[test]
    fn bodies_of_no_frame_or_several_are_left_to_others() {
        let properties = b"\0\0";
        let head = head_of(&publish("key", properties, b"one"), properties);
        for len in [0, 4088, 4089] {
            let bytes = publish("key", properties, &vec![7; len]);
            assert_eq!(head.read(&bytes, 4096).is_some(), len == 4088, "{len}");
        }
        let bytes = publish("key", properties, &[7; 100]);
        assert!(head.read(&bytes, 107).is_none(), "above the largest frame");
        assert!(head.read(&bytes, 108).is_some());
    }
}
