//! How messages lie in shared bytes, and how large they are.
//!
//! Knows the two layouts there are: that of the log's entries, and the publishers' own. Does not look at any bytes.

use crate::store::Batch;

/// How messages lie in the bytes of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Framing {
    /// From a message's length (32 bits, little-endian) to its content; 0: there is one message, and nothing else.
    pub(super) lead: u32,
    /// From the end of a message to the next one's length.
    pub(super) gap: u32,
    /// How much at the beginning of the bytes is what all messages start with; only their bodies follow. 0: each is
    /// complete.
    pub(super) head: u32,
}

impl Framing {
    /// The bytes are one message.
    pub(super) const WHOLE: Self = Self {
        lead: 0,
        gap: 0,
        head: 0,
    };

    /// Only lengths stand between messages.
    pub(crate) const PLAIN: Self = Self {
        lead: 4,
        gap: 0,
        head: 0,
    };

    /// The bytes begin with what all messages start with, and go on with their bodies, each behind its length.
    pub(crate) fn bodies_behind(head_len: usize) -> Self {
        Self {
            head: head_len as u32,
            ..Self::PLAIN
        }
    }

    /// As in an entry of the log: each published to `queues` queues.
    pub(crate) fn of_log(queues: usize) -> Self {
        Self {
            lead: Batch::LEN_TO_CONTENT as u32,
            gap: Batch::content_to_len(queues) as u32,
            head: 0,
        }
    }

    /// From a message's length to its content.
    pub(crate) fn lead(self) -> usize {
        self.lead as usize
    }
}

/// Sizes of some messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) messages: u32,
    /// Of the messages as they are stored.
    pub(crate) content_bytes: u64,
    pub(crate) body_bytes: u64,
}

impl Extent {
    pub(crate) fn add(&mut self, content_len: usize, body_len: usize) {
        self.messages += 1;
        self.content_bytes += content_len as u64;
        self.body_bytes += body_len as u64;
    }
}
