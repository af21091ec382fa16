//! The numbers the log hands out. They are plain integers so that records and other nodes agree on them.

/// A queue as the log knows it. Assigned by the broker core, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueId(pub u32);

/// A message as the log knows it: the index of its entry and its place within the entry.
///
/// The same message has the same id in every queue that holds it, ids grow in log order, and every replica of the log
/// derives the same ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub u64);

impl MessageId {
    /// How many messages one entry may carry.
    pub const PER_ENTRY_MAX: usize = 1 << 16;

    /// The highest index of an entry whose messages, and those of the next entry, have ids.
    pub(crate) const ENTRY_MAX: u64 = (1 << 48) - 2;

    /// The id of message number `place` of the entry `index`.
    pub fn new(index: u64, place: u16) -> Self {
        Self(index << 16 | u64::from(place))
    }

    /// The number of the message in its entry.
    pub fn place(self) -> u16 {
        self.0 as u16
    }

    /// The index of the entry that carries the message.
    pub fn entry(self) -> u64 {
        self.0 >> 16
    }
}

/// The streams of entries that share the log, each with its own consecutive indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Keys and values that describe the broker: users, exchanges, queues.
    Definitions,
    /// Messages and what became of them.
    Messages,
}

impl Lane {
    /// How many lanes there are.
    pub const COUNT: usize = 2;

    /// The number written in records.
    pub fn number(self) -> u16 {
        match self {
            Lane::Definitions => 0,
            Lane::Messages => 1,
        }
    }

    /// The lane of a number read from a record.
    pub fn from_number(number: u16) -> Option<Self> {
        match number {
            0 => Some(Lane::Definitions),
            1 => Some(Lane::Messages),
            _ => None,
        }
    }
}
