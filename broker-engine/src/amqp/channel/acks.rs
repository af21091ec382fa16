//! Acks as clients send them most: many in a row, told to the channel together.
//!
//! Invariant: they stay in order, and nothing that came after them on the connection is acted on before them.

use crate::codec::amqp::{AckHead, BasicAck, Encode, Method};

/// What an ack names: the deliveries from `first` to `last`, or all up to `last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Acked {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) multiple: bool,
}

impl From<&BasicAck> for Acked {
    fn from(ack: &BasicAck) -> Self {
        Self {
            first: ack.delivery_tag,
            last: ack.delivery_tag,
            multiple: ack.multiple,
        }
    }
}

/// Acks of one channel that came in a row.
#[derive(Debug, Default)]
pub(crate) struct Acks {
    pub(crate) channel: u16,
    list: Vec<Acked>,
}

impl Acks {
    /// Adds the ack of a method frame's payload; false when that is malformed.
    pub(crate) fn add(&mut self, payload: &[u8]) -> bool {
        let decoded = Method::decode(payload);
        if let Ok(Method::BasicAck(ack)) = &decoded {
            self.push(ack);
        }
        matches!(decoded, Ok(Method::BasicAck(_)))
    }

    /// Reads acks from the front of `bytes` until something else comes. Returns how many bytes they took.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> usize {
        let head = AckHead::new(self.channel);
        let mut rest = bytes;
        while let Some((ack, behind)) = head.parse(rest) {
            self.push(&ack);
            rest = behind;
        }
        bytes.len() - rest.len()
    }

    fn push(&mut self, ack: &BasicAck) {
        if let Some(latest) = self.list.last_mut()
            && !(latest.multiple || ack.multiple)
            && latest.last.checked_add(1) == Some(ack.delivery_tag)
        {
            latest.last = ack.delivery_tag;
        } else {
            self.list.push(ack.into());
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn list(&self) -> &[Acked] {
        &self.list
    }

    pub(crate) fn clear(&mut self) {
        self.list.clear();
    }
}

/// Whether a method frame's payload is `basic.ack`.
pub(crate) fn is_ack(payload: &[u8]) -> bool {
    let (class_id, method_id) = BasicAck::ID;
    let [a, b] = class_id.to_be_bytes();
    let [c, d] = method_id.to_be_bytes();
    payload.starts_with(&[a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::amqp::{BasicReject, encode_method};

    #[test]
    fn single_acks_in_order_are_one_and_all_others_stay_apart() {
        let mut bytes = Vec::new();
        let tags = [
            (1, false),
            (2, false),
            (3, true),
            (4, false),
            (9, false),
            (u64::MAX, false),
            (0, false),
            (1, false),
        ];
        for (delivery_tag, multiple) in tags {
            let ack = BasicAck {
                delivery_tag,
                multiple,
            };
            encode_method(&mut bytes, 7, &ack);
        }
        let all = bytes.len();
        let reject = BasicReject {
            delivery_tag: 2,
            requeue: true,
        };
        encode_method(&mut bytes, 7, &reject);
        let mut acks = Acks {
            channel: 7,
            ..Acks::default()
        };
        assert_eq!(acks.read(&bytes), all);
        let expected = [
            (1, 2, false),
            (3, 3, true),
            (4, 4, false),
            (9, 9, false),
            (u64::MAX, u64::MAX, false),
            (0, 1, false),
        ]
        .map(|(first, last, multiple)| Acked {
            first,
            last,
            multiple,
        });
        assert_eq!(acks.list(), expected);
    }
}
