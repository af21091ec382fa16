//! The log: entries are appended under one short lock, written and synced by one writer for all who wait.
//!
//! Invariants: an entry has its index, and its messages their ids, from the moment of the append; files are written in
//! the order of appends; `durable <= written <= position`; after a failure nothing becomes durable any more.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex, MutexGuard};

use super::{
    Appended, Drive, Durability, Options, Waiter,
    batch::FRAME_HEAD_LEN,
    disk::{Disk, DiskFile},
    error::Error,
    ids::{Lane, MessageId, Position, QueueId},
    ledger::Stored,
    record::{self, FILE_HEAD_LEN, FileHead, HEAD_LEN},
    state::{Location, State, frame_bytes},
};

/// Appends of messages wait while this much is not written yet.
const PENDING_BYTES_MAX: usize = 64 << 20;
/// What is written at once.
const WRITE_BYTES_MAX: usize = 4 << 20;
/// The largest entry body.
const BODY_BYTES_MAX: usize = 1 << 30;
/// How long something written may stay unsynced although nobody waits for it.
const UNSYNCED_MAX: Duration = Duration::from_millis(100);

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
    pub(super) messages: usize,
    pub(super) frame_bytes: u64,
}

impl Segment {
    pub(super) fn of<'a>(messages: impl Iterator<Item = &'a Stored>) -> Self {
        messages.fold(Self::default(), |sum, stored| Self {
            messages: sum.messages + 1,
            frame_bytes: sum.frame_bytes + frame_bytes(stored),
        })
    }
}

/// Bytes on their way to a file.
struct Chunk {
    file: Arc<OpenFile>,
    offset: u64,
    head: Option<[u8; HEAD_LEN]>,
    body: Bytes,
}

pub(super) struct Inner {
    pub(super) state: State,
    pub(super) next_index: [u64; Lane::COUNT],
    pub(super) position: Position,
    written: Position,
    durable: Position,
    /// Somebody waits for this to be durable.
    wanted: Position,
    /// The file that is appended to, and where its records end.
    pub(super) current: Arc<OpenFile>,
    end: u64,
    /// Up to where files are written.
    written_end: (u32, u64),
    /// The file after the current one, ready for use.
    pub(super) next: Option<Arc<OpenFile>>,
    /// How long the next file must be.
    pub(super) next_len: u64,
    /// There was no room for a next file.
    pub(super) is_full: bool,
    pending: Vec<Chunk>,
    pending_bytes: usize,
    /// Every file that holds something, by number.
    pub(super) files: HashMap<u32, Arc<OpenFile>>,
    /// The log files that are needed, oldest first; the last is the current one.
    pub(super) wals: VecDeque<Arc<OpenFile>>,
    pub(super) segments: BTreeMap<u32, Segment>,
    pub(super) spares: Vec<Arc<OpenFile>>,
    pub(super) next_file: u32,
    /// The last message entry that the previous roll accounted for.
    pub(super) last_cut: u64,
    /// Retained bytes below which a roll is not tried again.
    pub(super) roll_above: u64,
    waiters: Vec<(Position, Arc<dyn Waiter>)>,
    failed: Option<Error>,
    is_closed: bool,
    /// Lock of the data directory.
    _directory: Box<dyn Send + Sync>,
}

/// What recovery hands to the log: the state, and a prepared file to go on with.
pub(super) struct Start {
    pub(super) state: State,
    pub(super) next_index: [u64; Lane::COUNT],
    pub(super) first: Arc<OpenFile>,
    pub(super) previous: (u32, u64),
    pub(super) files: HashMap<u32, Arc<OpenFile>>,
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
    /// Files written and not synced. Held by whoever writes.
    unsynced: Mutex<Vec<Arc<OpenFile>>>,
    /// Held by whoever prepares files or rolls.
    pub(super) keeping: Mutex<()>,
    /// For the writer: something to write, or somebody waits.
    work: Condvar,
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
            position: Position(0),
            written: Position(0),
            durable: Position(0),
            wanted: Position(0),
            written_end: (start.first.number, 0),
            current: start.first,
            end: FILE_HEAD_LEN as u64,
            next: None,
            next_len: options.file_bytes,
            is_full: false,
            pending: vec![chunk],
            pending_bytes: FILE_HEAD_LEN,
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
            disk,
            options,
            node,
            inner: Mutex::new(inner),
            unsynced: Mutex::default(),
            keeping: Mutex::default(),
            work: Condvar::new(),
            chores: Condvar::new(),
            progress: Condvar::new(),
        }
    }

    /// Appends an entry and applies it. Entries that add messages are refused first when the volume is full; others may
    /// use up what is left of the current file.
    pub(super) fn append(
        &self,
        lane: Lane,
        body: Vec<u8>,
        is_growing: bool,
    ) -> Result<Appended, Error> {
        if body.len() > BODY_BYTES_MAX {
            return Err(Error::TooLarge(format!("{} bytes", body.len()).into()));
        }
        let body = Bytes::from(body);
        let body_crc = crc32c::crc32c(&body);
        let need = record::record_len(body.len());
        let mut inner = self.inner.lock();
        self.make_room(&mut inner, need as u64, is_growing)?;
        let index = inner.next_index[usize::from(lane.number())];
        let file = Arc::clone(&inner.current);
        let location = Location {
            file: file.number,
            offset: inner.end + HEAD_LEN as u64,
        };
        let refused =
            |reason| Error::Format(format!("an entry was not understood: {reason}").into());
        inner
            .state
            .apply(lane, index, location, &body)
            .map_err(refused)?;
        let head = record::head(lane, index, file.number, body.len(), body_crc);
        let chunk = Chunk {
            file,
            offset: inner.end,
            head: Some(head),
            body: body.clone(),
        };
        if inner.pending.is_empty() {
            self.work.notify_one();
        }
        inner.pending.push(chunk);
        inner.pending_bytes += need;
        inner.end += need as u64;
        inner.next_index[usize::from(lane.number())] += 1;
        inner.position.0 += 1;
        Ok(Appended {
            position: inner.position,
            first: MessageId::new(index, 0),
            bytes: body,
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
    fn advance(&self, inner: &mut MutexGuard<'_, Inner>) {
        match self.options.drive {
            Drive::Threads => {
                self.work.notify_one();
                self.progress.wait(inner);
            }
            Drive::Manual => MutexGuard::unlocked(inner, || {
                self.write(false);
                self.keep();
            }),
        }
    }

    /// Writes everything appended so far, syncs it if somebody waits (or `must_sync`), and tells who waited.
    pub(super) fn write(&self, must_sync: bool) {
        let mut unsynced = self.unsynced.lock();
        let mut inner = self.inner.lock();
        if inner.failed.is_some() {
            return;
        }
        let chunks = std::mem::take(&mut inner.pending);
        let bytes = std::mem::take(&mut inner.pending_bytes);
        let target = inner.position;
        let end = (inner.current.number, inner.end);
        let wants_sync = must_sync || inner.wanted > inner.durable;
        drop(inner);

        let syncs = self.options.durability == Durability::Sync && wants_sync;
        let result = write_chunks(&chunks, &mut unsynced).and_then(|()| {
            if syncs || must_sync {
                self.sync(&mut unsynced)?;
            }
            Ok(())
        });
        drop(chunks);
        if let Err(error) = result {
            self.fail(Error::Failed(
                format!("writing {bytes} bytes: {error}").into(),
            ));
            return;
        }
        let mut inner = self.inner.lock();
        inner.written = target;
        inner.written_end = end;
        if syncs || must_sync || self.options.durability == Durability::Write {
            inner.durable = target;
        }
        let durable = inner.durable;
        let reached = inner
            .waiters
            .extract_if(.., |(position, _)| *position <= durable)
            .collect::<Vec<_>>();
        self.progress.notify_all();
        drop(inner);
        drop(unsynced);
        for (_, waiter) in reached {
            waiter.reached(Ok(durable));
        }
    }

    fn sync(&self, unsynced: &mut Vec<Arc<OpenFile>>) -> std::io::Result<()> {
        #[cfg(test)]
        if self.options.mutation == super::Mutation::ConfirmBeforeSync {
            return Ok(());
        }
        for file in unsynced.iter() {
            file.file.sync_data()?;
        }
        unsynced.clear();
        Ok(())
    }

    /// The writer's thread.
    pub(super) fn run_writer(&self) {
        loop {
            let mut must_sync = false;
            let mut inner = self.inner.lock();
            while inner.pending.is_empty() && inner.wanted <= inner.durable {
                if inner.is_closed || inner.failed.is_some() {
                    return;
                }
                if inner.durable == inner.position {
                    self.work.wait(&mut inner);
                } else if self.work.wait_for(&mut inner, UNSYNCED_MAX).timed_out() {
                    must_sync = true;
                    break;
                }
            }
            if inner.failed.is_some() {
                return;
            }
            drop(inner);
            self.write(must_sync);
        }
    }

    /// Ends the log: every waiter, now or later, gets the error.
    pub(super) fn fail(&self, error: Error) {
        tracing::error!(%error, "the message log failed; nothing after this is durable");
        let mut inner = self.inner.lock();
        if inner.failed.is_none() {
            inner.failed = Some(error.clone());
        }
        let waiters = std::mem::take(&mut inner.waiters);
        self.work.notify_all();
        self.chores.notify_all();
        self.progress.notify_all();
        drop(inner);
        for (_, waiter) in waiters {
            waiter.reached(Err(error.clone()));
        }
    }

    pub(super) fn failed(&self) -> Option<Error> {
        self.inner.lock().failed.clone()
    }

    pub(super) fn durable(&self) -> Position {
        self.inner.lock().durable
    }

    pub(super) fn last_message(&self) -> MessageId {
        let next = self.inner.lock().next_index[usize::from(Lane::Messages.number())];
        MessageId::new(next.saturating_sub(1), u16::MAX)
    }

    pub(super) fn when_durable(&self, position: Position, waiter: Arc<dyn Waiter>) {
        let mut inner = self.inner.lock();
        let result = if inner.durable >= position {
            Ok(inner.durable)
        } else if let Some(error) = inner.failed.clone() {
            Err(error)
        } else {
            inner.wanted = inner.wanted.max(position);
            inner.waiters.push((position, waiter));
            self.work.notify_one();
            return;
        };
        drop(inner);
        waiter.reached(result);
    }

    pub(super) fn wait(&self, position: Position) -> Result<(), Error> {
        let mut inner = self.inner.lock();
        while inner.durable < position {
            if let Some(error) = inner.failed.clone() {
                return Err(error);
            }
            inner.wanted = inner.wanted.max(position);
            self.advance(&mut inner);
        }
        Ok(())
    }

    pub(super) fn read(&self, queue: QueueId, id: MessageId) -> Result<Bytes, Error> {
        let mut inner = self.inner.lock();
        let (stored, file) = loop {
            let stored = *inner
                .state
                .queues
                .get(&queue)
                .and_then(|ledger| ledger.get(id))
                .ok_or(Error::NoMessage)?;
            let file = Arc::clone(inner.files.get(&stored.file).ok_or(Error::NoMessage)?);
            let is_written = inner.segments.contains_key(&stored.file)
                || (stored.file, u64::from(stored.offset)) < inner.written_end;
            if is_written {
                break (stored, file);
            }
            if let Some(error) = inner.failed.clone() {
                return Err(error);
            }
            self.advance(&mut inner);
        };
        drop(inner);
        // The open file keeps its bytes: it is not recycled while somebody holds it.
        let mut frame = vec![0; FRAME_HEAD_LEN + stored.len as usize];
        file.file
            .read_at(&mut frame, u64::from(stored.offset))
            .map_err(Error::io(format!("reading {}", file.name)))?;
        let frame = Bytes::from(frame);
        let content = frame.slice(FRAME_HEAD_LEN..);
        let is_sound = frame[..4] == stored.len.to_le_bytes()
            && frame[4..8] == crc32c::crc32c(&content).to_le_bytes();
        if !is_sound {
            let place = format!(
                "{} at byte {}: its checksum does not match",
                file.name, stored.offset
            );
            return Err(Error::Damaged(place.into()));
        }
        Ok(content)
    }

    /// Refuses what follows and writes out the rest.
    pub(super) fn close(&self) -> Result<(), Error> {
        self.inner.lock().is_closed = true;
        self.write(true);
        self.work.notify_all();
        self.chores.notify_all();
        self.progress.notify_all();
        self.failed().map_or(Ok(()), Err)
    }
}

impl Inner {
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
        head: None,
        body: head.encode().into(),
    }
}

/// Writes chunks in order, joining what lies together.
fn write_chunks(chunks: &[Chunk], unsynced: &mut Vec<Arc<OpenFile>>) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    let mut rest = chunks;
    while let Some(first) = rest.first() {
        buffer.clear();
        let mut taken = 0;
        for chunk in rest {
            let at = first.offset + buffer.len() as u64;
            if !Arc::ptr_eq(&chunk.file, &first.file)
                || chunk.offset != at
                || buffer.len() >= WRITE_BYTES_MAX
            {
                break;
            }
            if let Some(head) = &chunk.head {
                buffer.extend_from_slice(head);
            }
            buffer.extend_from_slice(&chunk.body);
            buffer.resize(buffer.len().next_multiple_of(8), 0);
            taken += 1;
        }
        first.file.file.write_at(&buffer, first.offset)?;
        if !unsynced.iter().any(|file| Arc::ptr_eq(file, &first.file)) {
            unsynced.push(Arc::clone(&first.file));
        }
        rest = &rest[taken..];
    }
    Ok(())
}
