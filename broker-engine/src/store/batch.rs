//! The body of one entry of the message lane: what a caller wants done, encoded once, before the log's lock is taken.
//!
//! Operations apply in the order in which they were added, all or none of them. A published body is stored once,
//! however many queues take it. The encoding is version 1 of the table in the crate's README. The record's head gets its
//! place in front of the body, so that the buffer goes to the file as it is.

use std::ops::Range;

use super::{
    ids::{MessageId, QueueId},
    ops::{ACK, DROP, FRAME_HEAD_LEN, GONE, OUT, Op, Ops, PUBLISH, RETURN},
    record::{BodyCrc, HEAD_LEN},
    wire::Write,
};

/// The operations of one entry, under construction.
#[derive(Debug, Default)]
pub struct Batch {
    /// Room for the record's head, then the body; empty while there is no operation.
    bytes: Vec<u8>,
    ops: Ops,
    /// Checksum of the body so far, without the contents of messages.
    crc: u32,
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
            bytes: Vec::with_capacity(HEAD_LEN + capacity + size_of::<u64>()),
            ..Self::default()
        }
    }

    /// Where the next operation starts.
    fn start(&mut self) -> usize {
        if self.bytes.is_empty() {
            self.bytes.resize(HEAD_LEN, 0);
        }
        self.bytes.len()
    }

    /// Takes bytes of the body into its checksum.
    fn sum(&mut self, range: Range<usize>) {
        self.crc = crc32c::crc32c_append(self.crc, &self.bytes[range]);
    }

    /// Adds a message for `queues`, its content given in parts (together below 4 GiB). Returns where
    /// the content lies in [`super::Appended::bytes`].
    pub fn publish(&mut self, queues: &[QueueId], content: &[&[u8]]) -> Range<usize> {
        let start = self.start();
        self.bytes.put_u8(PUBLISH);
        self.bytes.put_u8(0);
        self.bytes.put_u32(queues.len() as u32);
        for queue in queues {
            self.bytes.put_u32(queue.0);
        }
        let frame_at = self.bytes.len();
        self.bytes.put_u64(0);
        for part in content {
            self.bytes.extend_from_slice(part);
        }
        let range = frame_at + FRAME_HEAD_LEN..self.bytes.len();
        // Over the copy, which lies in one piece.
        let crc = crc32c::crc32c(&self.bytes[range.clone()]);
        let (len_at, crc_at) = (frame_at, frame_at + 4);
        self.bytes[len_at..crc_at].copy_from_slice(&(range.len() as u32).to_le_bytes());
        self.bytes[crc_at..range.start].copy_from_slice(&crc.to_le_bytes());
        self.sum(start..range.start);
        self.ops
            .publish(queues, start - HEAD_LEN..range.end - HEAD_LEN, range.len());
        range
    }

    /// Removes acknowledged messages from a queue. Ids that are not there are ignored.
    pub fn ack(&mut self, queue: QueueId, ids: &[MessageId]) {
        #[cfg(test)]
        if super::mutation::Mutation::ForgetAck.is_on() {
            return;
        }
        let ids = self.put_ids(ACK, queue, ids);
        self.ops.list.push(Op::Remove { queue, ids });
    }

    /// Counts a failed delivery of each message: it was handed out and came back.
    pub fn returned(&mut self, queue: QueueId, ids: &[MessageId]) {
        let ids = self.put_ids(RETURN, queue, ids);
        self.ops.list.push(Op::Return { queue, ids });
    }

    /// Removes messages that nobody acknowledged: purged, expired, over a limit.
    pub fn drop_messages(&mut self, queue: QueueId, ids: &[MessageId]) {
        let ids = self.put_ids(DROP, queue, ids);
        self.ops.list.push(Op::Remove { queue, ids });
    }

    /// States that no message of the queue above `up_to` has been handed out. The latest statement counts.
    pub fn handed_out(&mut self, queue: QueueId, up_to: MessageId) {
        #[cfg(test)]
        if super::mutation::Mutation::ForgetMark.is_on() {
            return;
        }
        let start = self.start();
        self.bytes.put_u8(OUT);
        self.bytes.put_u32(queue.0);
        self.bytes.put_u64(up_to.0);
        self.sum(start..self.bytes.len());
        self.ops.list.push(Op::Out { queue, up_to });
    }

    /// Removes the queue with all its messages, for ever: later operations on it are ignored.
    pub fn gone(&mut self, queue: QueueId) {
        let start = self.start();
        self.bytes.put_u8(GONE);
        self.bytes.put_u32(queue.0);
        self.sum(start..self.bytes.len());
        self.ops.list.push(Op::Gone { queue });
    }

    /// Ids as ranges: how far the range starts after the end of the last one, then how far it extends.
    fn put_ids(&mut self, op: u8, queue: QueueId, ids: &[MessageId]) -> Range<usize> {
        let op_at = self.start();
        self.bytes.put_u8(op);
        self.bytes.put_u32(queue.0);
        let count_at = self.bytes.len();
        self.bytes.put_u32(0);
        let start = self.ops.ids.len();
        let mut end = 0;
        for (first, last) in ranges(ids) {
            self.bytes.put_varint(first.0 - end);
            self.bytes.put_varint(last.0 - first.0);
            end = last.0;
            self.ops.ids.push((first, last));
        }
        let range = start..self.ops.ids.len();
        self.bytes[count_at..count_at + 4].copy_from_slice(&(range.len() as u32).to_le_bytes());
        self.sum(op_at..self.bytes.len());
        range
    }

    /// Whether there is nothing to append.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The size of the entry so far, in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len().saturating_sub(HEAD_LEN)
    }

    /// How many messages it carries.
    pub fn messages(&self) -> usize {
        self.ops.messages()
    }

    /// Whether another message fits, by the target size and by what ids can count.
    pub fn is_full(&self) -> bool {
        self.len() >= Self::BYTES_TARGET || self.messages() >= MessageId::PER_ENTRY_MAX
    }

    /// Whether it adds messages: such entries are refused first when the volume is full.
    pub(crate) fn is_growing(&self) -> bool {
        self.messages() > 0
    }

    /// The buffer, with room for a record's head in front of the body, what the body says, and its checksum.
    pub(crate) fn into_parts(mut self) -> (Vec<u8>, Ops, BodyCrc) {
        self.start();
        (self.bytes, self.ops, BodyCrc::ContentsApart(self.crc))
    }
}

/// Sorted ids as first and last of each range of consecutive ones.
fn ranges(ids: &[MessageId]) -> impl Iterator<Item = (MessageId, MessageId)> {
    debug_assert!(ids.is_sorted(), "ids come in queue order");
    ids.chunk_by(|one, next| one.0 + 1 == next.0)
        .filter_map(|chunk| Some((*chunk.first()?, *chunk.last()?)))
}

#[cfg(test)]
mod tests {
    use super::Batch;
    use crate::store::{
        ids::{MessageId, QueueId},
        ops::{Op, Ops, Published, RUN_BYTES, RUN_MESSAGES},
        record::HEAD_LEN,
    };

    fn ids(list: &[u64]) -> Vec<MessageId> {
        list.iter().map(|id| MessageId(*id)).collect()
    }

    #[test]
    fn operations_come_back_in_order() {
        let mut batch = Batch::new();
        let content = batch.publish(&[QueueId(7), QueueId(9)], &[b"he", b"llo"]);
        batch.publish(&[QueueId(7), QueueId(9)], &[b"there"]);
        batch.ack(QueueId(7), &ids(&[1, 2, 3, 9, 11, 12]));
        batch.returned(QueueId(7), &ids(&[5]));
        batch.drop_messages(QueueId(9), &ids(&[]));
        batch.publish(&[QueueId(7)], &[b"again"]);
        batch.handed_out(QueueId(9), MessageId(77));
        batch.gone(QueueId(9));
        let (bytes, ops, _) = batch.into_parts();
        assert_eq!(&bytes[content], b"hello");
        assert_eq!(Ops::read(&bytes[HEAD_LEN..]).unwrap(), ops);
        let Op::Publish { queues, run } = &ops.list[0] else {
            panic!("not a publish")
        };
        assert_eq!(ops.queues[queues.clone()], [QueueId(7), QueueId(9)]);
        let expected = Published {
            place: 0,
            count: 2,
            offset: 0,
            len: 2 * 27,
            content: 10,
        };
        assert_eq!(*run, expected);
        let acked = [(1, 3), (9, 9), (11, 12)].map(|(a, b)| (MessageId(a), MessageId(b)));
        assert_eq!(ops.ids[..3], acked);
        assert_eq!(ops.messages(), 3);
    }

    #[test]
    fn a_run_ends_when_it_is_long_or_has_many_messages() {
        let queue = QueueId(1);
        let mut batch = Batch::new();
        for _ in 0..=RUN_MESSAGES {
            batch.publish(&[queue], &[b"short"]);
        }
        batch.publish(&[queue], &[&[0; RUN_BYTES]]);
        batch.publish(&[queue], &[b"short"]);
        let (bytes, ops, _) = batch.into_parts();
        let counts: Vec<u32> = ops
            .list
            .iter()
            .filter_map(|op| match op {
                Op::Publish { run, .. } => Some(run.count),
                Op::Remove { .. } | Op::Return { .. } | Op::Out { .. } | Op::Gone { .. } => None,
            })
            .collect();
        assert_eq!(counts, [RUN_MESSAGES, 2, 1]);
        assert_eq!(Ops::read(&bytes[HEAD_LEN..]).unwrap(), ops);
    }

    #[test]
    fn a_cut_body_is_an_error_at_every_length() {
        let mut batch = Batch::new();
        batch.publish(&[QueueId(1)], &[b"content"]);
        let (bytes, ..) = batch.into_parts();
        let body = &bytes[HEAD_LEN..];
        for len in 1..body.len() {
            assert!(Ops::read(&body[..len]).is_err(), "{len} bytes");
        }
    }
}
