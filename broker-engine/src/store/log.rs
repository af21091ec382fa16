//! The log: entries are appended under one short lock, and applied in the same moment.
//!
//! Invariants: an entry has its index, and its messages their ids, from the moment of the append; files are written in
//! the order of appends; `synced <= written <= position`; after a failure nothing becomes durable any more.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex, MutexGuard};

use super::{
    Appended, Drive, Durability, Options, Point, Position, Progress, Waiter,
    definitions::Change,
    disk::{Disk, DiskFile},
    error::Error,
    hash::IntMap,
    ids::{Lane, MessageId},
    ops::Ops,
    reader::Recent,
    record::{self, BodyCrc, FILE_HEAD_LEN, FileHead, HEAD_LEN, Padding, SyncedEnd},
    segment::QueueRun,
    state::{Location, State},
};

/// Appends of messages wait while this much is not written yet.
const PENDING_BYTES_MAX: usize = 64 << 20;
/// What nobody waits for is written at once when it is this much.
pub(super) const PENDING_BYTES_SOON: usize = 1 << 20;
/// The largest entry body.
const BODY_BYTES_MAX: usize = 1 << 30;

/// An entry to append.
pub(super) struct Entry<'a> {
    /// Room for the record's head, then the body.
    pub(super) bytes: Vec<u8>,
    pub(super) crc: BodyCrc,
    /// What the body says.
    pub(super) meaning: Meaning<'a>,
    /// Entries that add something are refused first when the volume is full; others may use up what is left of the
    /// current file.
    pub(super) is_growing: bool,
}

pub(super) enum Meaning<'a> {
    Definitions(&'a [Change]),
    Messages(Ops),
}

/// A log file or segment that is open.
pub(super) struct OpenFile {
    pub(super) number: u32,
    pub(super) name: String,
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) len: u64,
    is_set_aside: AtomicBool,
}

impl OpenFile {
    pub(super) fn new(number: u32, name: String, file: Arc<dyn DiskFile>, len: u64) -> Self {
        Self {
            number,
            name,
            file,
            len,
            is_set_aside: AtomicBool::new(false),
        }
    }

    /// Notes that something in it cannot be read: it is kept under another name instead of being reused.
    pub(super) fn set_aside(&self) {
        self.is_set_aside.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_set_aside(&self) -> bool {
        self.is_set_aside.load(Ordering::Relaxed)
    }
}

/// A segment in use, as it was written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Segment {
    pub(super) runs: usize,
    /// What its messages take.
    pub(super) bytes: u64,
}

impl Segment {
    pub(super) fn of(runs: &[QueueRun]) -> Self {
        Self {
            runs: runs.len(),
            bytes: runs.iter().map(|(_, run)| u64::from(run.len)).sum(),
        }
    }
}

/// Bytes on their way to a file.
pub(super) struct Chunk {
    pub(super) file: Arc<OpenFile>,
    pub(super) offset: u64,
    pub(super) bytes: Bytes,
}

pub(super) struct Inner {
    pub(super) state: State,
    pub(super) next_index: [u64; Lane::COUNT],
    /// The last entry.
    pub(super) appended: Point,
    /// How far they are written and synced.
    pub(super) progress: Progress,
    /// What somebody waits for.
    pub(super) wanted: Progress,
    /// A sync is under way: who waits for a write need not wait for that.
    pub(super) is_syncing: bool,
    /// The file that is appended to, and where its records end.
    pub(super) current: Arc<OpenFile>,
    pub(super) end: u64,
    /// Up to where files are written.
    pub(super) written_end: (u32, u64),
    /// Up to where they are synced, and how much of that the last record tells.
    pub(super) synced_end: SyncedEnd,
    pub(super) told_end: SyncedEnd,
    /// The file after the current one, ready for use.
    pub(super) next: Option<Arc<OpenFile>>,
    /// How long the next file must be.
    pub(super) next_len: u64,
    /// There was no room for a next file.
    pub(super) is_full: bool,
    /// Somebody says that the volume is short of room.
    pub(super) wants_room: bool,
    pub(super) pending: Vec<Chunk>,
    pub(super) pending_bytes: usize,
    /// The writer looks at what is pending soon, without being told.
    pub(super) is_dozing: bool,
    /// Every file that holds something, by number.
    pub(super) files: IntMap<u32, Arc<OpenFile>>,
    /// The log files that are needed, oldest first; the last is the current one.
    pub(super) wals: VecDeque<Arc<OpenFile>>,
    pub(super) segments: BTreeMap<u32, Segment>,
    pub(super) spares: Vec<Arc<OpenFile>>,
    pub(super) next_file: u32,
    /// The last message entry that the previous roll accounted for.
    pub(super) last_cut: u64,
    /// Retained bytes below which a roll is not tried again.
    pub(super) roll_above: u64,
    pub(super) waiters: Vec<(Position, Arc<dyn Waiter>)>,
    pub(super) failed: Option<Error>,
    pub(super) is_closed: bool,
    /// Lock of the data directory.
    _directory: Box<dyn Send + Sync>,
}

/// What recovery hands to the log: the state, and a prepared file to go on with.
pub(super) struct Start {
    pub(super) state: State,
    pub(super) next_index: [u64; Lane::COUNT],
    pub(super) first: Arc<OpenFile>,
    pub(super) previous: (u32, u64),
    pub(super) files: IntMap<u32, Arc<OpenFile>>,
    pub(super) wals: VecDeque<Arc<OpenFile>>,
    pub(super) segments: BTreeMap<u32, Segment>,
    pub(super) spares: Vec<Arc<OpenFile>>,
    pub(super) next_file: u32,
    pub(super) directory: Box<dyn Send + Sync>,
}

pub(super) struct Log {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) options: Options,
    pub(super) node: u64,
    pub(super) inner: Mutex<Inner>,
    /// Held by whoever syncs, before `unsynced`.
    pub(super) syncing: Mutex<()>,
    /// Files written and not synced. Held by whoever writes, before `inner`.
    pub(super) unsynced: Mutex<Vec<Arc<OpenFile>>>,
    /// Held by whoever prepares files or rolls.
    pub(super) keeping: Mutex<()>,
    pub(super) recent: Mutex<Recent>,
    /// Whether what nobody waits for is synced soon.
    pub(super) syncs_soon: AtomicBool,
    /// For the writer: something to write, or somebody waits.
    pub(super) work: Condvar,
    /// For the keeper: a file to prepare, or enough to roll.
    pub(super) chores: Condvar,
    /// For everyone who waits for the writer or the keeper.
    pub(super) progress: Condvar,
}

impl Log {
    pub(super) fn start(disk: Arc<dyn Disk>, options: Options, node: u64, start: Start) -> Self {
        let head = FileHead {
            number: start.first.number,
            node,
            previous: start.previous.0,
            previous_end: start.previous.1,
        };
        let chunk = head_chunk(&start.first, &head);
        let mut wals = start.wals;
        let mut files = start.files;
        wals.push_back(Arc::clone(&start.first));
        files.insert(start.first.number, Arc::clone(&start.first));
        let inner = Inner {
            state: start.state,
            next_index: start.next_index,
            appended: Point::default(),
            progress: Progress::default(),
            wanted: Progress::default(),
            is_syncing: false,
            written_end: (start.first.number, 0),
            // Recovery synced what it read.
            synced_end: SyncedEnd::new(start.first.number, 0),
            told_end: SyncedEnd::default(),
            current: start.first,
            end: FILE_HEAD_LEN as u64,
            next: None,
            next_len: options.file_bytes,
            is_full: false,
            wants_room: false,
            pending: vec![chunk],
            pending_bytes: FILE_HEAD_LEN,
            is_dozing: false,
            files,
            wals,
            segments: start.segments,
            spares: start.spares,
            next_file: start.next_file,
            last_cut: 0,
            roll_above: 0,
            waiters: Vec::new(),
            failed: None,
            is_closed: false,
            _directory: start.directory,
        };
        Self {
            syncs_soon: AtomicBool::new(options.durability == Durability::Sync),
            disk,
            options,
            node,
            inner: Mutex::new(inner),
            syncing: Mutex::default(),
            unsynced: Mutex::default(),
            keeping: Mutex::default(),
            recent: Mutex::default(),
            work: Condvar::new(),
            chores: Condvar::new(),
            progress: Condvar::new(),
        }
    }

    /// Appends an entry and applies it.
    pub(super) fn append(&self, entry: Entry<'_>) -> Result<Appended, Error> {
        let Entry {
            mut bytes,
            crc,
            meaning,
            is_growing,
        } = entry;
        let body_len = bytes.len() - HEAD_LEN;
        if body_len > BODY_BYTES_MAX {
            return Err(Error::TooLarge(format!("{body_len} bytes").into()));
        }
        let need = record::record_len(body_len);
        bytes.resize(need, 0);
        let lane = match meaning {
            Meaning::Definitions(_) => Lane::Definitions,
            Meaning::Messages(_) => Lane::Messages,
        };
        let mut inner = self.inner.lock();
        self.make_room(&mut inner, need as u64, is_growing)?;
        let index = inner.next_index[usize::from(lane.number())];
        let (file, offset) = (Arc::clone(&inner.current), inner.end);
        match &meaning {
            Meaning::Definitions(changes) => inner.state.define(changes),
            Meaning::Messages(ops) => {
                let location = Location {
                    file: file.number,
                    offset: offset + HEAD_LEN as u64,
                };
                inner.state.apply(index, location, ops);
            }
        }
        let synced = inner.synced_end;
        let head = record::head(lane, index, file.number, body_len, crc, synced);
        bytes[..HEAD_LEN].copy_from_slice(&head);
        let bytes = Bytes::from(bytes);
        let was_empty = inner.pending.is_empty();
        inner.pending.push(Chunk {
            file,
            offset,
            bytes: bytes.clone(),
        });
        inner.pending_bytes += need;
        inner.end += need as u64;
        inner.told_end = synced;
        inner.next_index[usize::from(lane.number())] += 1;
        inner.appended.0 += 1;
        #[cfg(test)]
        if super::mutation::Mutation::ConfirmBeforeWrite.is_on() {
            inner.progress.written = inner.appended;
        }
        if (was_empty && !inner.is_dozing) || inner.pending_bytes > PENDING_BYTES_SOON {
            self.work.notify_one();
        }
        Ok(Appended {
            position: Position::new(inner.appended, self.options.durability),
            first: MessageId::new(index, 0),
            bytes,
        })
    }

    fn make_room(
        &self,
        inner: &mut MutexGuard<'_, Inner>,
        need: u64,
        is_growing: bool,
    ) -> Result<(), Error> {
        loop {
            if let Some(error) = inner.refusal() {
                return Err(error);
            }
            if is_growing && inner.is_full {
                self.chores.notify_one();
                if self.options.drive == Drive::Threads {
                    return Err(Error::NoSpace);
                }
                self.advance(inner);
                if inner.is_full {
                    return Err(Error::NoSpace);
                }
                continue;
            }
            if is_growing && inner.pending_bytes > PENDING_BYTES_MAX {
                self.advance(inner);
                continue;
            }
            if inner.end + need <= inner.current.len {
                return Ok(());
            }
            let file_need = FILE_HEAD_LEN as u64 + need;
            if inner
                .next
                .as_ref()
                .is_some_and(|next| next.len >= file_need)
            {
                self.rotate(inner);
                continue;
            }
            inner.next_len = inner.next_len.max(file_need);
            self.chores.notify_one();
            self.advance(inner);
            if inner.is_full {
                return Err(Error::NoSpace);
            }
        }
    }

    /// Ends the current file and goes on in the next, which must be there. False when it is not.
    pub(super) fn rotate(&self, inner: &mut Inner) -> bool {
        let Some(next) = inner.next.take() else {
            return false;
        };
        let head = FileHead {
            number: next.number,
            node: self.node,
            previous: inner.current.number,
            previous_end: inner.end,
        };
        let chunk = head_chunk(&next, &head);
        inner.pending.push(chunk);
        inner.pending_bytes += FILE_HEAD_LEN;
        inner.files.insert(next.number, Arc::clone(&next));
        inner.wals.push_back(Arc::clone(&next));
        inner.current = next;
        inner.end = FILE_HEAD_LEN as u64;
        inner.next_len = self.options.file_bytes;
        self.chores.notify_one();
        true
    }

    /// Lets the writer and the keeper get on: waits for their threads, or does their work.
    pub(super) fn advance(&self, inner: &mut MutexGuard<'_, Inner>) {
        match self.options.drive {
            Drive::Threads => {
                inner.wanted.written = inner.appended;
                self.work.notify_one();
                self.progress.wait(inner);
            }
            Drive::Manual => MutexGuard::unlocked(inner, || {
                self.write(false);
                self.keep();
            }),
        }
    }

    pub(super) fn failed(&self) -> Option<Error> {
        self.inner.lock().failed.clone()
    }

    pub(super) fn progress(&self) -> Progress {
        self.inner.lock().progress
    }

    pub(super) fn last_message(&self) -> MessageId {
        let next = self.inner.lock().next_index[usize::from(Lane::Messages.number())];
        MessageId::new(next.saturating_sub(1), u16::MAX)
    }

    /// Refuses what follows and writes out the rest.
    pub(super) fn close(&self) -> Result<(), Error> {
        self.inner.lock().is_closed = true;
        self.write(true);
        // Once more for the record that tells of that sync.
        if self.inner.lock().is_sync_untold() {
            self.write_told(true);
        }
        self.work.notify_all();
        self.chores.notify_all();
        self.progress.notify_all();
        self.failed().map_or(Ok(()), Err)
    }
}

impl Inner {
    /// Whether more is synced than any record tells, and a record that tells it has room.
    pub(super) fn is_sync_untold(&self) -> bool {
        self.told_end < self.synced_end && self.end + HEAD_LEN as u64 <= self.current.len
    }

    /// Adds a record that tells how far the log is synced.
    pub(super) fn tell_sync(&mut self) {
        let head = record::padding(Padding::Tells, &[], self.current.number, self.synced_end);
        self.pending.push(Chunk {
            file: Arc::clone(&self.current),
            offset: self.end,
            bytes: Bytes::copy_from_slice(&head),
        });
        self.pending_bytes += head.len();
        self.end += head.len() as u64;
        self.told_end = self.synced_end;
    }

    /// Why nothing can be appended any more, if so.
    pub(super) fn refusal(&self) -> Option<Error> {
        self.failed
            .clone()
            .or_else(|| self.is_closed.then_some(Error::Closed))
    }
}

fn head_chunk(file: &Arc<OpenFile>, head: &FileHead) -> Chunk {
    Chunk {
        file: Arc::clone(file),
        offset: 0,
        bytes: head.encode().into(),
    }
}
