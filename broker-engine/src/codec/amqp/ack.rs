//! `basic.ack` frames, found without decoding a method: consumers send them by the thousand.

use super::frame::{FRAME_END, FrameKind};
use super::{BasicAck, Encode};

/// Bytes before the fields: type, channel, size, class and method.
const HEAD_LEN: usize = 11;

/// Bytes of the whole frame: head, delivery tag, flags, end.
const FRAME_LEN: usize = HEAD_LEN + 8 + 1 + 1;

/// What such a frame begins with on one channel.
#[derive(Debug, Clone, Copy)]
pub struct AckHead([u8; HEAD_LEN]);

impl AckHead {
    /// The frames of `channel`.
    #[must_use]
    pub fn new(channel: u16) -> Self {
        let [high, low] = channel.to_be_bytes();
        let ([a, b], [c, d]) = (BasicAck::ID.0.to_be_bytes(), BasicAck::ID.1.to_be_bytes());
        let size = (FRAME_LEN - super::FRAME_OVERHEAD) as u8;
        let kind = FrameKind::Method.octet();
        Self([kind, high, low, 0, 0, 0, size, a, b, c, d])
    }

    /// The ack that `bytes` begin with, and what is behind its frame. `None` for anything else.
    #[must_use]
    pub fn parse<'a>(&self, bytes: &'a [u8]) -> Option<(BasicAck, &'a [u8])> {
        let (frame, behind) = bytes.split_first_chunk::<FRAME_LEN>()?;
        let (tag, rest) = frame.strip_prefix(&self.0)?.split_first_chunk::<8>()?;
        let &[flags, FRAME_END] = rest else {
            return None;
        };
        let ack = BasicAck {
            delivery_tag: u64::from_be_bytes(*tag),
            multiple: flags & 1 != 0,
        };
        Some((ack, behind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::amqp::{BasicReject, Method, encode_method, parse_frame};

    #[test]
    fn finds_what_the_decoder_finds_and_nothing_else() {
        let mut bytes = Vec::new();
        let expected = [(1, false), (u64::MAX, true)].map(|(delivery_tag, multiple)| BasicAck {
            delivery_tag,
            multiple,
        });
        for ack in &expected {
            encode_method(&mut bytes, 0x0107, ack);
        }
        let head = AckHead::new(0x0107);
        let (first, rest) = head.parse(&bytes).unwrap();
        let (second, behind) = head.parse(rest).unwrap();
        assert_eq!([&first, &second], [&expected[0], &expected[1]]);
        assert!(behind.is_empty());
        for len in 0..FRAME_LEN {
            assert!(head.parse(&bytes[..len]).is_none(), "{len} bytes");
        }
        assert!(AckHead::new(7).parse(&bytes).is_none(), "another channel");
        let reject = BasicReject {
            delivery_tag: 1,
            requeue: true,
        };
        let mut other = Vec::new();
        encode_method(&mut other, 0x0107, &reject);
        assert!(head.parse(&other).is_none(), "another method");
    }

    #[test]
    fn agrees_with_the_decoder_on_damaged_frames() {
        let mut random = fastrand::Rng::with_seed(5);
        let mut bytes = Vec::new();
        let ack = BasicAck {
            delivery_tag: 77,
            multiple: true,
        };
        encode_method(&mut bytes, 1, &ack);
        for _ in 0..20_000 {
            let mut damaged = bytes.clone();
            damaged[random.usize(..FRAME_LEN)] = random.u8(..);
            let Some((found, _)) = AckHead::new(1).parse(&damaged) else {
                continue;
            };
            let Ok(super::super::FrameParse::Complete { frame, .. }) = parse_frame(&damaged, 4096)
            else {
                panic!("no frame: {damaged:?}");
            };
            assert_eq!(Method::decode(frame.payload), Ok(Method::BasicAck(found)));
        }
    }
}
