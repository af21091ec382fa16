//! The body of one entry of the message lane: what a caller wants done, encoded once, before the log's lock is taken.
//!
//! Operations apply in the order in which they were added, all or none of them. A published body is stored once,
//! however many queues take it. The encoding is version 1 of the table in the crate's README.

use std::ops::Range;

use super::{
    ids::{MessageId, QueueId},
    wire::{Malformed, Reader, Write},
};

const PUBLISH: u8 = 1;
const ACK: u8 = 2;
const RETURN: u8 = 3;
const OUT: u8 = 4;
const DROP: u8 = 5;
const GONE: u8 = 6;

/// How much precedes a message's content at its place in a file: length and checksum.
pub(crate) const FRAME_HEAD_LEN: usize = 8;

/// The operations of one entry, under construction.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    messages: usize,
    is_growing: bool,
}

impl Batch {
    /// How many bytes a batch should reach before it is appended; a single message may be larger.
    pub const BYTES_TARGET: usize = 1 << 20;

    /// What a message for one queue takes besides its content.
    pub(crate) const PUBLISH_LEN: usize = 18;

    /// How far before its content a message's length (32 bits, little-endian) lies.
    pub(crate) const LEN_TO_CONTENT: usize = FRAME_HEAD_LEN;

    /// From the end of a message to the length of the next, if nothing but messages for `queues` queues is added.
    pub(crate) fn content_to_len(queues: usize) -> usize {
        size_of::<[u8; 2]>() + size_of::<u32>() * (1 + queues)
    }

    /// A batch without operations.
    pub fn new() -> Self {
        Self::default()
    }

    /// A batch with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(capacity),
            ..Self::default()
        }
    }

    /// Adds a message for `queues`, its content given in parts (together below 4 GiB). Returns where
    /// the content lies in [`super::Appended::bytes`].
    pub fn publish(&mut self, queues: &[QueueId], content: &[&[u8]]) -> Range<usize> {
        self.bytes.put_u8(PUBLISH);
        self.bytes.put_u8(0);
        self.bytes.put_u32(queues.len() as u32);
        for queue in queues {
            self.bytes.put_u32(queue.0);
        }
        let (mut len, mut crc) = (0, 0);
        for part in content {
            len += part.len();
            crc = crc32c::crc32c_append(crc, part);
        }
        self.bytes.put_u32(len as u32);
        self.bytes.put_u32(crc);
        let start = self.bytes.len();
        for part in content {
            self.bytes.extend_from_slice(part);
        }
        self.messages += 1;
        self.is_growing = true;
        start..self.bytes.len()
    }

    /// Removes acknowledged messages from a queue. Ids that are not there are ignored.
    pub fn ack(&mut self, queue: QueueId, ids: &[MessageId]) {
        self.put_ids(ACK, queue, ids);
    }

    /// Counts a failed delivery of each message: it was handed out and came back.
    pub fn returned(&mut self, queue: QueueId, ids: &[MessageId]) {
        self.put_ids(RETURN, queue, ids);
    }

    /// Removes messages that nobody acknowledged: purged, expired, over a limit.
    pub fn drop_messages(&mut self, queue: QueueId, ids: &[MessageId]) {
        self.put_ids(DROP, queue, ids);
    }

    /// States that no message of the queue above `up_to` has been handed out. The latest statement counts.
    pub fn handed_out(&mut self, queue: QueueId, up_to: MessageId) {
        self.bytes.put_u8(OUT);
        self.bytes.put_u32(queue.0);
        self.bytes.put_u64(up_to.0);
    }

    /// Removes the queue with all its messages, for ever: later operations on it are ignored.
    pub fn gone(&mut self, queue: QueueId) {
        self.bytes.put_u8(GONE);
        self.bytes.put_u32(queue.0);
    }

    /// Ids as ranges: how far the range starts after the end of the last one, then how far it extends.
    fn put_ids(&mut self, op: u8, queue: QueueId, ids: &[MessageId]) {
        debug_assert!(ids.is_sorted(), "ids come in queue order");
        let mut ranges = Vec::new();
        let (mut count, mut last) = (0u32, 0u64);
        let mut rest = ids;
        while let Some((first, tail)) = rest.split_first() {
            let span = tail
                .iter()
                .zip(first.0 + 1..)
                .take_while(|(id, next)| id.0 == *next)
                .count();
            ranges.put_varint(first.0 - last);
            ranges.put_varint(span as u64);
            last = first.0 + span as u64;
            count += 1;
            rest = &tail[span..];
        }
        self.bytes.put_u8(op);
        self.bytes.put_u32(queue.0);
        self.bytes.put_u32(count);
        self.bytes.extend_from_slice(&ranges);
    }

    /// Whether there is nothing to append.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The size of the entry so far, in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// How many messages it carries.
    pub fn messages(&self) -> usize {
        self.messages
    }

    /// Whether another message fits, by the target size and by what ids can count.
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= Self::BYTES_TARGET || self.messages >= MessageId::PER_ENTRY_MAX
    }

    /// Whether it adds messages: such entries are refused first when the volume is full.
    pub(crate) fn is_growing(&self) -> bool {
        self.is_growing
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// One operation, read back from an entry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Op<'a> {
    /// `frame` is where length, checksum and content lie in the entry's body.
    Publish {
        queues: Queues<'a>,
        frame: Range<usize>,
    },
    Ack {
        queue: QueueId,
        ids: Vec<(MessageId, MessageId)>,
    },
    Return {
        queue: QueueId,
        ids: Vec<(MessageId, MessageId)>,
    },
    Out {
        queue: QueueId,
        up_to: MessageId,
    },
    Drop {
        queue: QueueId,
        ids: Vec<(MessageId, MessageId)>,
    },
    Gone {
        queue: QueueId,
    },
}

/// The queues of a publish, as they lie in the entry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Queues<'a>(&'a [u8]);

impl Queues<'_> {
    pub(crate) fn iter(&self) -> impl Iterator<Item = QueueId> {
        self.0
            .as_chunks::<4>()
            .0
            .iter()
            .map(|bytes| QueueId(u32::from_le_bytes(*bytes)))
    }
}

/// Reads the next operation of an entry's body.
pub(crate) fn read_op<'a>(reader: &mut Reader<'a>) -> Result<Op<'a>, Malformed> {
    match reader.u8()? {
        PUBLISH => {
            if reader.u8()? != 0 {
                return Err(Malformed("a publish has flags of a later version"));
            }
            let count = reader.u32()? as usize;
            let queues = Queues(reader.take(count.saturating_mul(4))?);
            let start = reader.position();
            let len = reader.u32()? as usize;
            reader.u32()?;
            reader.take(len)?;
            Ok(Op::Publish {
                queues,
                frame: start..reader.position(),
            })
        }
        ACK => Ok(Op::Ack {
            queue: QueueId(reader.u32()?),
            ids: read_ids(reader)?,
        }),
        RETURN => Ok(Op::Return {
            queue: QueueId(reader.u32()?),
            ids: read_ids(reader)?,
        }),
        OUT => Ok(Op::Out {
            queue: QueueId(reader.u32()?),
            up_to: MessageId(reader.u64()?),
        }),
        DROP => Ok(Op::Drop {
            queue: QueueId(reader.u32()?),
            ids: read_ids(reader)?,
        }),
        GONE => Ok(Op::Gone {
            queue: QueueId(reader.u32()?),
        }),
        _ => Err(Malformed("an operation of an unknown kind")),
    }
}

fn read_ids(reader: &mut Reader<'_>) -> Result<Vec<(MessageId, MessageId)>, Malformed> {
    const OVERFLOW: Malformed = Malformed("a message id is out of range");
    let count = reader.u32()?;
    let mut ranges = Vec::new();
    let mut last = 0u64;
    for _ in 0..count {
        let first = last.checked_add(reader.varint()?).ok_or(OVERFLOW)?;
        last = first.checked_add(reader.varint()?).ok_or(OVERFLOW)?;
        ranges.push((MessageId(first), MessageId(last)));
    }
    Ok(ranges)
}

/// The body of an entry of the definitions lane: for each key its new value, or `None` to remove it.
pub(crate) fn encode_definitions(changes: &[(Vec<u8>, Option<Vec<u8>>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (key, value) in changes {
        bytes.put_u8(u8::from(value.is_some()));
        bytes.put_block(key);
        if let Some(value) = value {
            bytes.put_block(value);
        }
    }
    bytes
}

/// The inverse of [`encode_definitions`], one change at a time.
pub(crate) fn read_definition<'a>(
    reader: &mut Reader<'a>,
) -> Result<(&'a [u8], Option<&'a [u8]>), Malformed> {
    let is_set = match reader.u8()? {
        0 => false,
        1 => true,
        _ => return Err(Malformed("a definition of an unknown kind")),
    };
    let key = reader.block()?;
    let value = if is_set { Some(reader.block()?) } else { None };
    Ok((key, value))
}

#[cfg(test)]
mod tests {
    use super::{Batch, FRAME_HEAD_LEN, Op, read_op};
    use crate::store::{
        ids::{MessageId, QueueId},
        wire::Reader,
    };

    #[test]
    fn operations_come_back_in_order() {
        let ids = |list: &[u64]| list.iter().map(|id| MessageId(*id)).collect::<Vec<_>>();
        let mut batch = Batch::new();
        let content = batch.publish(&[QueueId(7), QueueId(9)], &[b"he", b"llo"]);
        batch.ack(QueueId(7), &ids(&[1, 2, 3, 9, 11, 12]));
        batch.returned(QueueId(7), &ids(&[5]));
        batch.drop_messages(QueueId(9), &ids(&[]));
        batch.handed_out(QueueId(9), MessageId(77));
        batch.gone(QueueId(9));
        let bytes = batch.into_bytes();
        assert_eq!(&bytes[content.clone()], b"hello");

        let pairs = |list: &[(u64, u64)]| {
            list.iter()
                .map(|(a, b)| (MessageId(*a), MessageId(*b)))
                .collect::<Vec<_>>()
        };
        let mut reader = Reader::new(&bytes);
        let Op::Publish { queues, frame } = read_op(&mut reader).unwrap() else {
            panic!("not a publish")
        };
        assert_eq!(queues.iter().collect::<Vec<_>>(), [QueueId(7), QueueId(9)]);
        assert_eq!(frame, content.start - FRAME_HEAD_LEN..content.end);
        let expected = [
            Op::Ack {
                queue: QueueId(7),
                ids: pairs(&[(1, 3), (9, 9), (11, 12)]),
            },
            Op::Return {
                queue: QueueId(7),
                ids: pairs(&[(5, 5)]),
            },
            Op::Drop {
                queue: QueueId(9),
                ids: Vec::new(),
            },
            Op::Out {
                queue: QueueId(9),
                up_to: MessageId(77),
            },
            Op::Gone { queue: QueueId(9) },
        ];
        for op in expected {
            assert_eq!(read_op(&mut reader).unwrap(), op);
        }
        assert!(reader.is_empty());
    }

    #[test]
    fn a_cut_body_is_an_error_at_every_length() {
        let mut batch = Batch::new();
        batch.publish(&[QueueId(1)], &[b"content"]);
        let bytes = batch.into_bytes();
        for len in 0..bytes.len() {
            assert!(
                read_op(&mut Reader::new(&bytes[..len])).is_err(),
                "{len} bytes"
            );
        }
    }
}
