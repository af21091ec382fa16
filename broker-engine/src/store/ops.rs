//! The operations of an entry of the message lane, as the state applies them: read from an entry's body in recovery,
//! noted while a batch is encoded when the node runs. Both ways give the same operations for the same bytes.
//!
//! Messages that follow each other in the entry and go to the same queues are one operation, however many they are.

use std::ops::Range;

use super::{
    ids::{MessageId, QueueId},
    wire::{Malformed, Reader},
};

pub(crate) const PUBLISH: u8 = 1;
pub(crate) const ACK: u8 = 2;
pub(crate) const RETURN: u8 = 3;
pub(crate) const OUT: u8 = 4;
pub(crate) const DROP: u8 = 5;
pub(crate) const GONE: u8 = 6;

/// How much precedes a message's content at its place in a file: length and checksum.
pub(crate) const FRAME_HEAD_LEN: usize = 8;

/// A run ends with the message that reaches this length in bytes: as much is read to get at one message of it.
pub(crate) const RUN_BYTES: usize = 64 << 10;
/// A run ends with this many messages.
pub(crate) const RUN_MESSAGES: u32 = 512;

/// Messages that lie one after the other in the body of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Published {
    /// The number of the first one in the entry.
    pub(crate) place: u16,
    pub(crate) count: u32,
    /// Where they start in the body, and how many bytes they take.
    pub(crate) offset: u32,
    pub(crate) len: u32,
    /// How many of these bytes are contents.
    pub(crate) content: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Publish {
        /// Which of [`Ops::queues`] take the messages.
        queues: Range<usize>,
        run: Published,
    },
    /// Acknowledged, or dropped.
    Remove {
        queue: QueueId,
        /// Which of [`Ops::ids`].
        ids: Range<usize>,
    },
    Return {
        queue: QueueId,
        ids: Range<usize>,
    },
    Out {
        queue: QueueId,
        up_to: MessageId,
    },
    Gone {
        queue: QueueId,
    },
}

/// The operations of one entry, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ops {
    pub(crate) list: Vec<Op>,
    pub(crate) queues: Vec<QueueId>,
    /// First and last of each range of ids.
    pub(crate) ids: Vec<(MessageId, MessageId)>,
    messages: usize,
}

impl Ops {
    /// How many messages are published.
    pub(crate) fn messages(&self) -> usize {
        self.messages
    }

    /// Notes a message that takes `bytes` of the body.
    pub(crate) fn publish(&mut self, queues: &[QueueId], bytes: Range<usize>, content: usize) {
        let place = self.messages as u16;
        self.messages += 1;
        let len = bytes.len() as u32;
        if let Some(Op::Publish { queues: last, run }) = self.list.last_mut()
            && run.offset as usize + run.len as usize == bytes.start
            && (run.len as usize) < RUN_BYTES
            && run.count < RUN_MESSAGES
            && self.queues[last.clone()] == *queues
            && place != 0
        {
            run.count += 1;
            run.len += len;
            run.content += content as u32;
            return;
        }
        let start = self.queues.len();
        self.queues.extend_from_slice(queues);
        let run = Published {
            place,
            count: 1,
            offset: bytes.start as u32,
            len,
            content: content as u32,
        };
        self.list.push(Op::Publish {
            queues: start..self.queues.len(),
            run,
        });
    }

    /// Reads the operations of a body, all or none.
    pub(crate) fn read(body: &[u8]) -> Result<Self, Malformed> {
        let mut ops = Self::default();
        let mut reader = Reader::new(body);
        let mut queues = Vec::new();
        while !reader.is_empty() {
            let start = reader.position();
            let kind = reader.u8()?;
            if kind == PUBLISH {
                let publish = read_publish(&mut reader)?;
                queues.clear();
                queues.extend(publish.queues());
                ops.publish(&queues, start..reader.position(), publish.content.len());
                if ops.messages > MessageId::PER_ENTRY_MAX {
                    return Err(Malformed("an entry of more messages than have ids"));
                }
                continue;
            }
            let queue = QueueId(reader.u32()?);
            let op = match kind {
                ACK | DROP => Op::Remove {
                    queue,
                    ids: ops.read_ids(&mut reader)?,
                },
                RETURN => Op::Return {
                    queue,
                    ids: ops.read_ids(&mut reader)?,
                },
                OUT => Op::Out {
                    queue,
                    up_to: MessageId(reader.u64()?),
                },
                GONE => Op::Gone { queue },
                _ => return Err(Malformed("an operation of an unknown kind")),
            };
            ops.list.push(op);
        }
        Ok(ops)
    }

    fn read_ids(&mut self, reader: &mut Reader<'_>) -> Result<Range<usize>, Malformed> {
        const OVERFLOW: Malformed = Malformed("a message id is out of range");
        let start = self.ids.len();
        let mut last = 0u64;
        for _ in 0..reader.u32()? {
            let first = last.checked_add(reader.varint()?).ok_or(OVERFLOW)?;
            last = first.checked_add(reader.varint()?).ok_or(OVERFLOW)?;
            self.ids.push((MessageId(first), MessageId(last)));
        }
        Ok(start..self.ids.len())
    }
}

/// A publish as it lies in a body, behind the byte of its kind.
pub(crate) struct Publish<'a> {
    queues: &'a [u8],
    pub(crate) crc: u32,
    pub(crate) content: Range<usize>,
}

impl Publish<'_> {
    pub(crate) fn queues(&self) -> impl Iterator<Item = QueueId> {
        let ids = self.queues.as_chunks::<4>().0;
        ids.iter().map(|id| QueueId(u32::from_le_bytes(*id)))
    }
}

/// Reads what follows the kind of a publish.
pub(crate) fn read_publish<'a>(reader: &mut Reader<'a>) -> Result<Publish<'a>, Malformed> {
    if reader.u8()? != 0 {
        return Err(Malformed("a publish has flags of a later version"));
    }
    let count = reader.u32()? as usize;
    let queues = reader.take(count.saturating_mul(4))?;
    let (len, crc) = (reader.u32()? as usize, reader.u32()?);
    let start = reader.position();
    reader.take(len)?;
    Ok(Publish {
        queues,
        crc,
        content: start..start + len,
    })
}

/// The checksum of a body without the contents of its messages; none unless every content fits its own.
pub(crate) fn sound_crc(body: &[u8]) -> Option<u32> {
    let mut reader = Reader::new(body);
    let (mut crc, mut from) = (0, 0);
    while !reader.is_empty() {
        let kind = reader.u8().ok()?;
        if kind != PUBLISH {
            skip(kind, &mut reader).ok()?;
            continue;
        }
        let publish = read_publish(&mut reader).ok()?;
        if crc32c::crc32c(&body[publish.content.clone()]) != publish.crc {
            return None;
        }
        crc = crc32c::crc32c_append(crc, &body[from..publish.content.start]);
        from = publish.content.end;
    }
    Some(crc32c::crc32c_append(crc, &body[from..]))
}

/// Passes over what follows the kind of an operation that is not a publish.
fn skip(kind: u8, reader: &mut Reader<'_>) -> Result<(), Malformed> {
    reader.u32()?;
    match kind {
        OUT => reader.u64().map(drop),
        ACK | RETURN | DROP => {
            for _ in 0..reader.u32()? {
                reader.varint()?;
                reader.varint()?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}
