//! The durable message log of a node.
//!
//! Owns every byte in the data directory: one write-ahead log for all queues, per-queue segment files for messages that
//! stay, and a manifest that ties them. Knows queues and messages only as numbers and opaque bytes. Does not know
//! vhosts, consumers or protocols. Synchronous: nothing here depends on an async runtime.
//!
//! Invariant: what [`Store::wait`] or a [`Waiter`] reported durable is there after any crash or power cut.

mod batch;
mod definitions;
pub mod disk;
mod doubt;
mod error;
mod frames;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod hash;
mod holes;
mod ids;
mod keeper;
mod ledger;
mod log;
mod manifest;
#[cfg(test)]
pub(crate) mod mutation;
mod ops;
mod position;
mod reader;
mod record;
mod recovery;
mod recovery_segments;
mod roll;
mod room;
mod run;
mod segment;
mod sparse;
mod state;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_crashes;
#[cfg(test)]
mod tests_damage;
#[cfg(test)]
mod tests_faults;
#[cfg(test)]
mod tests_formats;
#[cfg(test)]
mod tests_room;
#[cfg(test)]
mod tests_threads;
#[cfg(test)]
mod tests_torn;
mod wire;
mod writer;

use std::{
    ops::RangeInclusive,
    sync::Arc,
    thread::{self, JoinHandle},
};

use bytes::Bytes;
use parking_lot::Mutex;

pub use self::{
    batch::Batch,
    error::Error,
    ids::{Lane, MessageId, QueueId},
    position::{Durability, Point, Position, Progress},
};
use self::{
    disk::Disk,
    log::{Entry, Log, Meaning},
    record::BodyCrc,
};

/// The version of all files together: the highest of their own.
pub const FORMAT: u32 = manifest::VERSION;
const _: () = assert!(record::VERSION <= FORMAT && segment::VERSION <= FORMAT);

/// Who does the writing and keeping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Drive {
    /// Threads of the store.
    #[default]
    Threads,
    /// The caller, through [`Store::write`] and [`Store::keep`], or whoever has to wait: the same history every time.
    Manual,
}

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// What makes definitions durable, and messages where nobody says otherwise.
    pub durability: Durability,
    /// Who does the writing and keeping.
    pub drive: Drive,
    /// The size of a log file. A larger entry gets a larger file.
    pub file_bytes: u64,
    /// The log is rolled when the files before the current one take more than this.
    pub roll_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            durability: Durability::Sync,
            drive: Drive::Threads,
            file_bytes: 16 << 20,
            roll_bytes: 64 << 20,
        }
    }
}

/// Is told when a position is durable. Called from the writer's thread, or that of anybody who waits: must be short
/// and must not call the store.
pub trait Waiter: Send + Sync {
    /// The log got so far, or it failed and will not get any further.
    fn reached(&self, result: Result<Progress, Error>);
}

/// What an append promised: nothing yet, until `position` is durable.
#[derive(Clone, Debug)]
pub struct Appended {
    /// Durable when the store says so, by the store's level unless it is asked for another one.
    pub position: Position,
    /// The id of the entry's first message; the others follow by one.
    pub first: MessageId,
    /// The entry, which message contents are slices of.
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
    /// What a power cut tore before it was synced.
    pub torn: Vec<Damage>,
}

/// The messages of a queue, in order.
#[derive(Clone, Debug)]
pub struct RecoveredQueue {
    /// The queue.
    pub id: QueueId,
    /// No message above this was handed out.
    pub handed_out: MessageId,
    /// Its messages, oldest first.
    pub runs: Vec<RecoveredRun>,
}

/// Messages that were not acknowledged, of consecutive ids and with one delivery count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoveredRun {
    /// The oldest.
    pub first: MessageId,
    /// How many there are.
    pub count: u32,
    /// About how many bytes their contents are together; exact while nothing next to them is gone.
    pub bytes: u64,
    /// How often they were handed out and came back, up to 255.
    pub returns: u8,
}

impl RecoveredRun {
    /// The ids, from the first to the last.
    pub fn ids(&self) -> RangeInclusive<MessageId> {
        let last = self.first.0 + u64::from(self.count.max(1)) - 1;
        self.first..=MessageId(last)
    }

    /// The messages up to `last`, and those above.
    pub fn split_behind(self, last: MessageId) -> [Option<Self>; 2] {
        let below = last.0.saturating_add(1).saturating_sub(self.first.0);
        let count = below.min(u64::from(self.count)) as u32;
        let bytes = self.bytes * u64::from(count) / u64::from(self.count.max(1));
        let low = Self {
            count,
            bytes,
            ..self
        };
        let high = Self {
            first: MessageId(self.first.0 + u64::from(count)),
            count: self.count - count,
            bytes: self.bytes - bytes,
            ..self
        };
        [low, high].map(|run| (run.count > 0).then_some(run))
    }
}

/// A message read back from the log.
#[derive(Clone, Debug)]
pub struct StoredMessage {
    /// Its id.
    pub id: MessageId,
    /// Its content, unless that is damaged.
    pub content: Result<Bytes, Error>,
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
    log: Arc<Log>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Store {
    /// Opens the log on a disk, creating it on an empty one, and reports what it holds.
    pub fn open(disk: Arc<dyn Disk>, options: Options) -> Result<(Self, Recovery), Error> {
        let drive = options.drive;
        let (log, recovery) = recovery::open(disk, options)?;
        let log = Arc::new(log);
        let mut threads = Vec::new();
        if drive == Drive::Threads {
            threads.push(spawn("log-writer", &log, Log::run_writer)?);
            threads.push(spawn("log-keeper", &log, Log::run_keeper)?);
        }
        Ok((
            Self {
                log,
                threads: Mutex::new(threads),
            },
            recovery,
        ))
    }

    /// Appends an entry of messages and what became of them, and applies it. It is durable when
    /// [`Appended::position`] is.
    pub fn append(&self, batch: Batch) -> Result<Appended, Error> {
        let is_growing = batch.is_growing();
        let (bytes, ops, crc) = batch.into_parts();
        self.log.append(Entry {
            bytes,
            crc,
            meaning: Meaning::Messages(ops),
            is_growing,
        })
    }

    /// Sets (or with `None` removes) definitions, all or none.
    pub fn define(&self, changes: &[(Vec<u8>, Option<Vec<u8>>)]) -> Result<Position, Error> {
        let mut bytes = vec![0; record::HEAD_LEN];
        definitions::encode(changes, &mut bytes);
        let entry = Entry {
            crc: BodyCrc::Whole(crc32c::crc32c(&bytes[record::HEAD_LEN..])),
            bytes,
            meaning: Meaning::Definitions(changes),
            // Removals may use the last of the room, as acknowledgements may.
            is_growing: changes.iter().any(|(_, value)| value.is_some()),
        };
        Ok(self.log.append(entry)?.position)
    }

    /// Reads the content of a message that the queue holds, and its whole run with it: [`Store::read_run`] is for more
    /// than one. Blocks while it is not written yet.
    pub fn read(&self, queue: QueueId, id: MessageId) -> Result<Bytes, Error> {
        self.log.read(queue, id)
    }

    /// Reads the messages of a queue in a range of ids, oldest first, until they are about `bytes_max` bytes: at least
    /// one if there is any. The contents are slices of few shared buffers. Blocks while they are not written yet.
    pub fn read_run(
        &self,
        queue: QueueId,
        ids: RangeInclusive<MessageId>,
        bytes_max: usize,
    ) -> Result<Vec<StoredMessage>, Error> {
        self.log.read_run(queue, &ids, bytes_max.max(1))
    }

    /// The id of the latest message, or one above it.
    pub fn last_message(&self) -> MessageId {
        self.log.last_message()
    }

    /// How far the log got.
    pub fn progress(&self) -> Progress {
        self.log.progress()
    }

    /// What makes definitions durable, and messages where nobody says otherwise.
    pub fn durability(&self) -> Durability {
        self.log.options.durability
    }

    /// From now on what nobody waits for is synced soon, even if the store's level does not ask for it.
    pub fn sync_soon(&self) {
        self.log.sync_soon();
    }

    /// Tells `waiter` when `position` is durable, at once if it is.
    pub fn when_durable(&self, position: Position, waiter: Arc<dyn Waiter>) {
        self.log.when_durable(position, waiter);
    }

    /// Blocks until `position` is durable.
    pub fn wait(&self, position: Position) -> Result<(), Error> {
        self.log.wait(position)
    }

    /// Says that the volume is short of room: soon, what can be let go of is.
    pub fn make_room(&self) {
        self.log.make_room_soon();
    }

    /// Why the log failed, if it did.
    pub fn failed(&self) -> Option<Error> {
        self.log.failed()
    }

    /// Writes what is pending, and syncs it if somebody waits: one turn of the writer. For [`Drive::Manual`].
    pub fn write(&self) {
        self.log.write(false);
    }

    /// Prepares the next file and rolls the log if that is due: one turn of the keeper. For [`Drive::Manual`].
    pub fn keep(&self) {
        self.log.keep();
    }

    /// Writes and syncs everything, and refuses what follows.
    pub fn close(&self) -> Result<(), Error> {
        let closed = self.log.close();
        for thread in self.threads.lock().drain(..) {
            // A thread that panicked has logged it.
            let _ = thread.join();
        }
        closed
    }
}

fn spawn(name: &str, log: &Arc<Log>, run: fn(&Log)) -> Result<JoinHandle<()>, Error> {
    let log = Arc::clone(log);
    let thread = thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || run(&log));
    thread.map_err(Error::io("starting a thread"))
}

impl Drop for Store {
    /// Ends the threads. Whoever cares whether the last entries are durable calls [`Store::close`] before.
    fn drop(&mut self) {
        let _ = self.close();
    }
}
