//! The keeper: has the next log file ready before it is needed, and rolls the log when it has grown.
//!
//! A roll copies the messages that are still live into segments, writes a manifest that stands for everything up to its
//! cut, and only then lets go of log files and dead segments. A crash at any point leaves the old manifest with all it
//! needs, or the new one with all it needs.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    sync::Arc,
    time::Duration,
};

use super::{
    Drive,
    batch::FRAME_HEAD_LEN,
    disk::Disk,
    error::{Error, is_full},
    ids::{Lane, QueueId},
    ledger::Stored,
    log::{Inner, Log, OpenFile, Segment},
    manifest::{Live, Manifest},
    segment,
};

/// A queue with this much to copy gets segments of its own.
const OWN_SEGMENT_BYTES_MIN: u64 = 1 << 20;
/// A segment is ended when it is this long.
const SEGMENT_BYTES_MAX: u64 = 64 << 20;
/// How many used log files are kept for reuse.
const SPARES_MAX: usize = 4;
/// How often a full volume is tried again.
const RETRY: Duration = Duration::from_millis(100);
/// The shortest log file worth having, in bytes.
const FILE_BYTES_MIN: u64 = 4096;
/// What must stay free on a full volume beyond a roll's messages and manifests, in bytes.
const ROLL_BYTES_SPARE: u64 = 4096;

/// The name of a log file.
pub(super) fn wal_name(number: u32) -> String {
    format!("wal-{number:08x}")
}

/// Makes a log file ready: the space is taken and the name is durable. A used file is renamed, its old bytes stay.
pub(super) fn prepare(
    disk: &dyn Disk,
    number: u32,
    len: u64,
    spare: Option<Arc<OpenFile>>,
) -> io::Result<Arc<OpenFile>> {
    let name = wal_name(number);
    if let Some(spare) = spare {
        disk.rename(&spare.name, &name)?;
        disk.sync_dir()?;
        return Ok(Arc::new(OpenFile::new(
            number,
            name,
            Arc::clone(&spare.file),
            spare.len,
        )));
    }
    let file = disk.create(&name)?;
    let made = file
        .preallocate(len)
        .and_then(|()| file.sync_data())
        .and_then(|()| disk.sync_dir());
    if let Err(error) = made {
        // What was taken of a full volume is given back; if that fails too, recovery finds an unused file.
        let _ = disk.remove(&name);
        return Err(error);
    }
    Ok(Arc::new(OpenFile::new(number, name, file, len)))
}

/// The file a start goes on in. On a full volume a smaller one will do: what is there can be handed out and acknowledged,
/// and room comes back.
pub(super) fn prepare_first(
    disk: &dyn Disk,
    number: u32,
    len: u64,
    spare: Option<Arc<OpenFile>>,
) -> io::Result<Arc<OpenFile>> {
    let mut len = len;
    loop {
        match prepare(disk, number, len, spare.clone()) {
            Err(error) if is_full(&error) && len / 2 >= FILE_BYTES_MIN => len /= 2,
            made => return made,
        }
    }
}

/// What a roll works on, as of its cut.
struct Cut {
    manifest: Manifest,
    /// Messages to copy, by queue.
    copies: BTreeMap<QueueId, Vec<Stored>>,
    files: HashMap<u32, Arc<OpenFile>>,
    /// The first log file that stays.
    wal_first: u32,
    retained_bytes: u64,
}

/// Where a copied message lies now.
struct Moved {
    queue: QueueId,
    old: Stored,
    file: u32,
    offset: u32,
}

impl Log {
    /// The keeper's thread.
    pub(super) fn run_keeper(&self) {
        loop {
            self.keep();
            let mut inner = self.inner.lock();
            if inner.refusal().is_some() {
                return;
            }
            if inner.is_full {
                self.chores.wait_for(&mut inner, RETRY);
            } else if inner
                .next
                .as_ref()
                .is_some_and(|next| next.len >= inner.next_len)
                && !self.is_roll_due(&inner)
            {
                self.chores.wait(&mut inner);
            }
        }
    }

    /// Does what is due.
    pub(super) fn keep(&self) {
        let Some(_keeping) = self.keeping.try_lock() else {
            return;
        };
        self.prepare_next();
        let is_due = {
            let inner = self.inner.lock();
            inner.refusal().is_none() && self.is_roll_due(&inner)
        };
        if is_due {
            self.roll();
        }
    }

    fn prepare_next(&self) {
        let mut inner = self.inner.lock();
        if inner.refusal().is_some() {
            return;
        }
        let len = inner.next_len;
        if inner.next.as_ref().is_some_and(|next| next.len >= len) {
            inner.is_full = false;
            return;
        }
        let number = inner.next_file;
        inner.next_file += 1;
        // The latest one, whose pages the system still has in memory.
        let fitting = inner.spares.iter().rposition(|spare| spare.len >= len);
        let spare = fitting.map(|at| inner.spares.swap_remove(at));
        drop(inner);
        let made = prepare(&*self.disk, number, len, spare);
        let mut inner = self.inner.lock();
        match made {
            Ok(file) => {
                let too_short = inner.next.replace(file);
                inner.spares.extend(too_short);
                inner.is_full = false;
            }
            Err(error) if is_full(&error) => {
                if !inner.is_full {
                    tracing::error!(
                        bytes = len,
                        "the volume is full; messages are refused until there is room"
                    );
                }
                inner.is_full = true;
                inner.next_len = self.options.file_bytes;
            }
            Err(error) => {
                drop(inner);
                self.fail(Error::Failed(
                    format!("preparing a log file: {error}").into(),
                ));
                return;
            }
        }
        self.progress.notify_all();
    }

    fn is_roll_due(&self, inner: &Inner) -> bool {
        let retained = retained_bytes(inner);
        let stored: u64 = inner
            .segments
            .values()
            .map(|segment| segment.frame_bytes)
            .sum();
        let live: u64 = inner
            .segments
            .keys()
            .filter_map(|number| inner.state.live_bytes.get(number))
            .sum();
        let is_hollow = stored > self.options.roll_bytes && live < stored / 4;
        ((retained > self.options.roll_bytes || is_hollow) && retained >= inner.roll_above)
            || (inner.is_full && retained > 0 && self.is_room_to_roll(inner))
    }

    /// Whether a full volume has room for what a roll would copy before it gives the log files back.
    fn is_room_to_roll(&self, inner: &Inner) -> bool {
        let live: u64 = inner
            .wals
            .iter()
            .filter_map(|wal| inner.state.live_bytes.get(&wal.number))
            .sum();
        let available = self.disk.available_bytes().unwrap_or(0);
        live + ROLL_BYTES_SPARE <= available
    }

    /// Moves what is live out of the older log files, and lets go of them. To be called by the keeper.
    pub(super) fn roll(&self) {
        let cut = {
            let mut inner = self.inner.lock();
            if inner.refusal().is_some() {
                return;
            }
            // A full volume has no next file: then the current one goes on, and the manifest accounts for its records.
            if !self.rotate(&mut inner) && !inner.is_full {
                return;
            }
            let cut = self.cut(&mut inner);
            if inner.is_full && !self.fits(&cut) {
                return;
            }
            cut
        };
        // A manifest never speaks of what may still be lost.
        self.write(true);
        if self.failed().is_some() {
            return;
        }
        let mut written = Vec::new();
        match self.copy(&cut, &mut written) {
            Ok(moved) => self.switch(cut, written, &moved),
            Err(error) => {
                tracing::error!(%error, "the log was not rolled; it is tried again when it has grown");
                for (file, ..) in &written {
                    let _ = self.disk.remove(&file.name);
                }
                let mut inner = self.inner.lock();
                inner.roll_above = retained_bytes(&inner) + self.options.file_bytes;
            }
        }
    }

    /// Whether what a roll writes has room on a full volume. A manifest that could not be written would be fatal.
    fn fits(&self, cut: &Cut) -> bool {
        let copied: u64 = cut
            .copies
            .values()
            .flatten()
            .map(|stored| FRAME_HEAD_LEN as u64 + u64::from(stored.len))
            .sum();
        // Both copies of the manifest, and one while it is replaced.
        let manifests = 3 * cut.manifest.encode().len() as u64;
        let needed = copied + copied / 4 + manifests + ROLL_BYTES_SPARE;
        self.disk
            .available_bytes()
            .is_ok_and(|available| needed <= available)
    }

    /// Everything the log says so far. The messages in the log files, and in segments less than half live, are to be
    /// copied.
    fn cut(&self, inner: &mut Inner) -> Cut {
        let hollow = |number: &u32, segment: &Segment| {
            inner.state.live_bytes.get(number).copied().unwrap_or(0)
                < segment.frame_bytes.div_ceil(2)
        };
        let mut kept: BTreeMap<u32, Vec<u32>> = inner
            .segments
            .iter()
            .filter(|(number, segment)| !hollow(number, segment))
            .map(|(number, _)| (*number, Vec::new()))
            .collect();
        let mut manifest = Manifest {
            node: self.node,
            next_file: inner.next_file,
            applied: inner.next_index.map(|next| next - 1),
            definitions: inner.state.definitions.clone(),
            gone: inner.state.gone.clone(),
            ..Manifest::default()
        };
        let mut copies = BTreeMap::new();
        for (queue, ledger) in &inner.state.queues {
            manifest.queues.push((*queue, ledger.handed_out));
            let mut to_copy = Vec::new();
            for stored in ledger.iter() {
                match kept.get_mut(&stored.file) {
                    Some(offsets) => {
                        offsets.push(stored.offset);
                        if stored.returns > 0 {
                            manifest.returns.push((*queue, stored.id, stored.returns));
                        }
                    }
                    None => to_copy.push(*stored),
                }
            }
            if !to_copy.is_empty() {
                copies.insert(*queue, to_copy);
            }
        }
        manifest.segments = kept
            .into_iter()
            .map(|(number, mut offsets)| {
                let is_whole = inner
                    .segments
                    .get(&number)
                    .is_some_and(|segment| segment.messages == offsets.len());
                offsets.sort_unstable();
                (
                    number,
                    if is_whole {
                        Live::All
                    } else {
                        Live::At(offsets)
                    },
                )
            })
            .collect();
        Cut {
            manifest,
            copies,
            files: inner.files.clone(),
            wal_first: inner.current.number,
            retained_bytes: retained_bytes(inner),
        }
    }

    /// Copies the cut's messages into new segments, durably.
    fn copy(&self, cut: &Cut, written: &mut Vec<(OpenFile, Segment)>) -> io::Result<Vec<Moved>> {
        let mut moved = Vec::new();
        let (large, small): (Vec<_>, Vec<_>) = cut.copies.iter().partition(|(_, messages)| {
            messages
                .iter()
                .map(|stored| u64::from(stored.len))
                .sum::<u64>()
                >= OWN_SEGMENT_BYTES_MIN
        });
        self.copy_queues(cut, &small, written, &mut moved)?;
        for queue in large {
            self.copy_queues(cut, &[queue], written, &mut moved)?;
        }
        if !written.is_empty() {
            self.disk.sync_dir()?;
        }
        Ok(moved)
    }

    fn copy_queues(
        &self,
        cut: &Cut,
        queues: &[(&QueueId, &Vec<Stored>)],
        written: &mut Vec<(OpenFile, Segment)>,
        moved: &mut Vec<Moved>,
    ) -> io::Result<()> {
        let mut writer = None;
        let mut frame = Vec::new();
        for (queue, stored) in queues
            .iter()
            .flat_map(|(queue, list)| list.iter().map(move |stored| (**queue, stored)))
        {
            let Some(file) = cut.files.get(&stored.file) else {
                continue;
            };
            frame.resize(FRAME_HEAD_LEN + stored.len as usize, 0);
            if let Err(error) = file.file.read_at(&mut frame, u64::from(stored.offset)) {
                // One bad spot must not keep the log from ever shrinking. The file is kept aside with what it holds.
                tracing::error!(file = file.name, offset = stored.offset, %error, "a message cannot be read");
                file.set_aside();
                continue;
            }
            let open = match &mut writer {
                Some(open) => open,
                None => writer.insert(self.create_segment(written)?),
            };
            let offset = open.add(queue, stored, &frame)?;
            let file = written.last().map_or(0, |(file, _)| file.number);
            moved.push(Moved {
                queue,
                old: *stored,
                file,
                offset,
            });
            if open.len() >= SEGMENT_BYTES_MAX
                && let Some(full) = writer.take()
            {
                finish_segment(full, written)?;
            }
        }
        writer.map_or(Ok(()), |last| finish_segment(last, written))
    }

    fn create_segment(
        &self,
        written: &mut Vec<(OpenFile, Segment)>,
    ) -> io::Result<segment::Writer> {
        let number = {
            let mut inner = self.inner.lock();
            inner.next_file += 1;
            inner.next_file - 1
        };
        let writer = segment::Writer::create(&*self.disk, number, self.node)?;
        let name = segment::name(number);
        let file = self.disk.open(&name)?;
        // Listed before it is whole, so that a failure removes it.
        written.push((OpenFile::new(number, name, file, 0), Segment::default()));
        Ok(writer)
    }

    /// Makes the new segments count and lets go of the old files.
    fn switch(&self, cut: Cut, written: Vec<(OpenFile, Segment)>, moved: &[Moved]) {
        let Cut {
            mut manifest,
            files,
            wal_first,
            retained_bytes,
            copies,
        } = cut;
        drop((files, copies));
        manifest
            .segments
            .extend(written.iter().map(|(file, _)| (file.number, Live::All)));
        manifest.next_file = self.inner.lock().next_file;
        if let Err(error) = manifest.write(&*self.disk) {
            // Which manifest is on the disk is unknown now. Both are good, but no file may be let go of any more.
            self.fail(Error::Failed(
                format!("writing the manifest: {error}").into(),
            ));
            return;
        }
        let kept: Vec<u32> = manifest
            .segments
            .iter()
            .map(|(number, _)| *number)
            .collect();
        let mut inner = self.inner.lock();
        for (file, segment) in written {
            inner.segments.insert(file.number, segment);
            inner.files.insert(file.number, Arc::new(file));
        }
        for Moved {
            queue,
            old,
            file,
            offset,
        } in moved
        {
            inner.state.moved(*queue, old, *file, *offset);
        }
        let mut retired = Vec::new();
        while inner.wals.front().is_some_and(|wal| wal.number < wal_first)
            && let Some(wal) = inner.wals.pop_front()
        {
            inner.files.remove(&wal.number);
            retired.push(wal);
        }
        let dead: Vec<u32> = inner
            .segments
            .keys()
            .filter(|number| !kept.contains(number))
            .copied()
            .collect();
        let mut removed = Vec::new();
        for number in dead {
            inner.segments.remove(&number);
            removed.extend(inner.files.remove(&number));
        }
        // Every publisher that could still address a queue gone before the last roll has long seen that it is.
        let forgotten = inner.last_cut;
        inner.state.gone.retain(|_, index| *index > forgotten);
        inner.last_cut = manifest.applied[usize::from(Lane::Messages.number())];
        inner.roll_above = 0;
        drop(inner);
        tracing::debug!(retained_bytes, copied = moved.len(), "the log was rolled");
        self.retire(retired, &removed);
    }

    /// Recycles log files and removes segments. What fails here only leaves a file for the next start to find.
    fn retire(&self, wals: Vec<Arc<OpenFile>>, segments: &[Arc<OpenFile>]) {
        let mut spares = Vec::new();
        let kept = self.inner.lock().spares.len();
        for wal in wals {
            if wal.is_set_aside() {
                let _ = self
                    .disk
                    .rename(&wal.name, &format!("damaged-{}", wal.name));
                continue;
            }
            // Somebody may be reading from it; then it is removed, which leaves the bytes to the reader.
            let is_reusable = Arc::strong_count(&wal) == 1 && wal.len == self.options.file_bytes;
            if is_reusable && kept + spares.len() < SPARES_MAX {
                let name = format!("spare-{:08x}", wal.number);
                if self.disk.rename(&wal.name, &name).is_ok() {
                    spares.push(Arc::new(OpenFile::new(
                        0,
                        name,
                        Arc::clone(&wal.file),
                        wal.len,
                    )));
                }
            } else {
                let _ = self.disk.remove(&wal.name);
            }
        }
        for segment in segments {
            let _ = self.disk.remove(&segment.name);
        }
        self.inner.lock().spares.extend(spares);
        if self.options.drive == Drive::Threads {
            self.progress.notify_all();
        }
    }
}

fn finish_segment(writer: segment::Writer, written: &mut [(OpenFile, Segment)]) -> io::Result<()> {
    let (_, entries, len) = writer.finish()?;
    if let Some((file, segment)) = written.last_mut() {
        file.len = len;
        *segment = Segment::of(entries.iter().map(|entry| &entry.stored));
    }
    Ok(())
}

/// What the log files before the current one take.
fn retained_bytes(inner: &Inner) -> u64 {
    inner.wals.iter().map(|wal| wal.len).sum::<u64>() - inner.current.len
}

/// The live messages of a segment, by where their frames start.
pub(super) fn is_live(live: &Live, offset: u32) -> bool {
    match live {
        Live::All => true,
        Live::At(offsets) => offsets.binary_search(&offset).is_ok(),
    }
}
