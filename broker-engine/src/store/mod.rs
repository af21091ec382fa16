//! The durable message log of a node.
//!
//! Owns every byte in the data directory: one write-ahead log for all queues, per-queue segment files for messages that
//! stay, and a manifest that ties them. Knows queues and messages only as numbers and opaque bytes. Does not know
//! vhosts, consumers or protocols. Synchronous: nothing here depends on an async runtime.
//!
//! Invariant: what [`Store::wait`] or a [`Waiter`] reported durable is there after any crash or power cut.

mod batch;
pub mod disk;
mod error;
mod ids;
mod wire;

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;

use self::disk::Disk;
pub use self::{
    batch::Batch,
    error::Error,
    ids::{Lane, MessageId, Position, QueueId},
};

/// What a durable position promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Synced to the volume: survives a power cut.
    #[default]
    Sync,
    /// Written to the operating system: survives the process, not a power cut.
    Write,
}

/// How a store is opened.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What a durable position promises.
    pub durability: Durability,
}

/// Is told when a position is durable. Called from the writer's thread: must be short and must not call the store.
pub trait Waiter: Send + Sync {
    /// Everything up to the position is durable, or the log failed and nothing further ever will be.
    fn reached(&self, result: Result<Position, Error>);
}

/// What an append promised: nothing yet, until `position` is durable.
#[derive(Clone, Debug)]
pub struct Appended {
    /// Durable when the store says so.
    pub position: Position,
    /// The id of the entry's first message; the others follow by one.
    pub first: MessageId,
    /// The entry's body, which message contents are slices of.
    pub bytes: Bytes,
}

/// What a store held when it was opened.
#[derive(Clone, Debug, Default)]
pub struct Recovery {
    /// Every definition, by key.
    pub definitions: Vec<(Vec<u8>, Vec<u8>)>,
    /// Every queue that was ever used and is not gone.
    pub queues: Vec<RecoveredQueue>,
    /// What could not be read and was set aside.
    pub damage: Vec<Damage>,
}

/// The messages of a queue, in order.
#[derive(Clone, Debug)]
pub struct RecoveredQueue {
    /// The queue.
    pub id: QueueId,
    /// No message above this was handed out.
    pub handed_out: MessageId,
    /// Its messages, oldest first.
    pub messages: Vec<RecoveredMessage>,
}

/// A message that was not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoveredMessage {
    /// Its id.
    pub id: MessageId,
    /// The length of its content in bytes.
    pub len: u32,
    /// How often it was handed out and came back, up to 255.
    pub returns: u8,
}

/// Bytes that recovery could not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: String,
    /// Where the unreadable bytes start and end.
    pub bytes: std::ops::Range<u64>,
    /// What is wrong with them.
    pub reason: String,
}

/// The log of a node, open.
pub struct Store {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    position: u64,
    index: u64,
    contents: HashMap<MessageId, Bytes>,
}

impl Store {
    /// Opens the log on a disk, creating it on an empty one, and reports what it holds.
    pub fn open(_disk: Arc<dyn Disk>, _options: Options) -> Result<(Self, Recovery), Error> {
        Ok((
            Self {
                inner: Mutex::default(),
            },
            Recovery::default(),
        ))
    }

    /// Appends an entry and applies it. It is durable when [`Appended::position`] is.
    pub fn append(&self, batch: Batch) -> Result<Appended, Error> {
        let mut inner = self.inner.lock();
        inner.position += 1;
        inner.index += 1;
        Ok(Appended {
            position: Position(inner.position),
            first: MessageId::new(inner.index, 0),
            bytes: batch.into_bytes().into(),
        })
    }

    /// Sets (or with `None` removes) definitions, all or none.
    pub fn define(&self, changes: &[(Vec<u8>, Option<Vec<u8>>)]) -> Result<Position, Error> {
        let _ = changes;
        let mut inner = self.inner.lock();
        inner.position += 1;
        Ok(Position(inner.position))
    }

    /// Reads the content of a message that the queue holds.
    pub fn read(&self, _queue: QueueId, id: MessageId) -> Result<Bytes, Error> {
        self.inner
            .lock()
            .contents
            .get(&id)
            .cloned()
            .ok_or(Error::NoMessage)
    }

    /// The id of the latest message, or one above it.
    pub fn last_message(&self) -> MessageId {
        MessageId::new(self.inner.lock().index, u16::MAX)
    }

    /// Everything up to here is durable.
    pub fn durable(&self) -> Position {
        Position(self.inner.lock().position)
    }

    /// Tells `waiter` when `position` is durable, at once if it is.
    pub fn when_durable(&self, position: Position, waiter: Arc<dyn Waiter>) {
        waiter.reached(Ok(position));
    }

    /// Blocks until `position` is durable.
    pub fn wait(&self, _position: Position) -> Result<(), Error> {
        Ok(())
    }

    /// Why the log failed, if it did.
    pub fn failed(&self) -> Option<Error> {
        None
    }

    /// Writes and syncs everything, and refuses what follows.
    pub fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}
