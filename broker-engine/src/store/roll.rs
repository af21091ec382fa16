//! Rolling the log: what still lives moves out of the older log files, and they go.
//!
//! A roll copies the messages that are still live into segments, writes a manifest that stands for everything up to its
//! cut, and only then lets go of log files and dead segments. A crash at any point leaves the old manifest with all it
//! needs, or the new one with all it needs.

use std::{collections::BTreeMap, io, mem, sync::Arc};

use super::{
    Drive,
    error::Error,
    frames::Layout,
    hash::IntMap,
    ids::{Lane, MessageId, QueueId},
    keeper::retained_bytes,
    log::{Inner, Log, OpenFile, Segment},
    manifest::{Live, LiveRun, Manifest},
    reader::read_frames,
    run::Run,
    segment::{self, QueueRun, Writer},
};

/// A queue with this much to copy gets segments of its own.
const OWN_SEGMENT_BYTES_MIN: u64 = 1 << 20;
/// A segment is ended when it is this long.
const SEGMENT_BYTES_MAX: u64 = 64 << 20;
/// How many used log files are kept for reuse: a roll frees about six, and a new file costs its blocks and its first
/// pages.
const SPARES_MAX: usize = 8;
/// What must stay free on a full volume beyond a roll's messages and manifests, in bytes.
pub(super) const ROLL_BYTES_SPARE: u64 = 4096;

/// What a roll works on, as of its cut.
struct Cut {
    manifest: Manifest,
    /// Messages to copy, by queue.
    copies: BTreeMap<QueueId, Vec<Copied>>,
    /// How often messages came back, of those that did.
    returns: BTreeMap<(QueueId, MessageId), u8>,
    files: IntMap<u32, Arc<OpenFile>>,
    /// The files among them that are segments.
    segments: Vec<u32>,
    retained_bytes: u64,
}

/// A run that is copied.
struct Copied {
    run: Run,
    /// Messages of the queue that stay where they are lie between it and the one before.
    is_apart: bool,
}

/// A segment that a roll writes.
struct Written {
    file: OpenFile,
    runs: Vec<QueueRun>,
}

impl Log {
    /// Moves what is live out of the older log files, and lets go of them. To be called by the keeper.
    pub(super) fn roll(&self) {
        let (cut, is_full) = {
            let mut inner = self.inner.lock();
            if inner.refusal().is_some() {
                return;
            }
            // A full volume has no next file: then the current one goes on, and the manifest accounts for its records.
            if !self.rotate(&mut inner) && !inner.is_full {
                return;
            }
            let cut = self.cut(&inner);
            if inner.is_full && !self.fits(&cut) {
                return;
            }
            (cut, inner.is_full)
        };
        // What the manifest says needs no sync in the log any more, except in a file that goes on behind the cut: a gap
        // there would pass for damage.
        if is_full {
            self.write(true);
        } else {
            self.write_only();
        }
        if self.failed().is_some() {
            return;
        }
        let mut written = Vec::new();
        match self.copy(&cut, &mut written) {
            Ok(()) => self.switch(cut, written),
            Err(error) => {
                tracing::error!(%error, "the log was not rolled; it is tried again when it has grown");
                for Written { file, .. } in &written {
                    let _ = self.disk.remove(&file.name);
                }
                let mut inner = self.inner.lock();
                inner.roll_above = retained_bytes(&inner) + self.options.file_bytes;
            }
        }
    }

    /// Whether what a roll writes has room on a full volume. A manifest that could not be written would be fatal.
    fn fits(&self, cut: &Cut) -> bool {
        let runs = cut.copies.values().flatten();
        let copied: u64 = runs.map(|copied| u64::from(copied.run.len)).sum();
        // Both copies of the manifest, and one while it is replaced.
        let manifests = 3 * cut.manifest.encode().len() as u64;
        let needed = copied + copied / 4 + manifests + ROLL_BYTES_SPARE;
        self.disk
            .available_bytes()
            .is_ok_and(|available| needed <= available)
    }

    /// Everything the log says so far. The messages in the log files, and in segments less than half live, are to be
    /// copied.
    fn cut(&self, inner: &Inner) -> Cut {
        let hollow = |number: &u32, segment: &Segment| {
            let live = inner.state.live_bytes.get(number).copied().unwrap_or(0);
            is_hollow(live, segment)
        };
        let mut kept: BTreeMap<u32, Vec<LiveRun>> = inner
            .segments
            .iter()
            .filter(|(number, segment)| !hollow(number, segment))
            .map(|(number, _)| (*number, Vec::new()))
            .collect();
        let mut manifest = Manifest {
            node: self.node,
            next_file: inner.next_file,
            wal_first: inner.current.number,
            applied: inner.next_index.map(|next| next - 1),
            definitions: inner.state.definitions.clone(),
            gone: inner.state.gone.clone(),
            ..Manifest::default()
        };
        let mut copies = BTreeMap::new();
        for (queue, ledger) in &inner.state.queues {
            manifest.queues.push((*queue, ledger.handed_out));
            let returns = ledger.returns();
            manifest
                .returns
                .extend(returns.map(|(id, returns)| (*queue, id, returns)));
            let (mut to_copy, mut is_apart) = (Vec::new(), false);
            for run in ledger.runs() {
                if let Some(runs) = kept.get_mut(&run.file) {
                    runs.push(live_run(run));
                    is_apart = true;
                } else {
                    to_copy.push(Copied {
                        run: run.clone(),
                        is_apart: mem::take(&mut is_apart),
                    });
                }
            }
            if !to_copy.is_empty() {
                copies.insert(*queue, to_copy);
            }
        }
        manifest.segments = kept
            .into_iter()
            .map(|(number, runs)| {
                let segment = inner.segments.get(&number).copied().unwrap_or_default();
                (number, live(runs, segment))
            })
            .collect();
        let returns = manifest.returns.iter();
        Cut {
            returns: returns
                .map(|(queue, id, returns)| ((*queue, *id), *returns))
                .collect(),
            manifest,
            copies,
            files: inner.files.clone(),
            segments: inner.segments.keys().copied().collect(),
            retained_bytes: retained_bytes(inner),
        }
    }

    /// Copies the cut's messages into new segments, durably.
    fn copy(&self, cut: &Cut, written: &mut Vec<Written>) -> io::Result<()> {
        let (large, small): (Vec<_>, Vec<_>) = cut.copies.iter().partition(|(_, copies)| {
            copies
                .iter()
                .map(|copied| copied.run.live_len())
                .sum::<u64>()
                >= OWN_SEGMENT_BYTES_MIN
        });
        self.copy_queues(cut, &small, written)?;
        for queue in large {
            self.copy_queues(cut, &[queue], written)?;
        }
        if !written.is_empty() {
            self.disk.sync_dir()?;
        }
        Ok(())
    }

    fn copy_queues(
        &self,
        cut: &Cut,
        queues: &[(&QueueId, &Vec<Copied>)],
        written: &mut Vec<Written>,
    ) -> io::Result<()> {
        let mut writer = None;
        for (queue, copied) in queues
            .iter()
            .flat_map(|(queue, copies)| copies.iter().map(move |copied| (**queue, copied)))
        {
            let open = match &mut writer {
                Some(open) => open,
                None => writer.insert(self.create_segment(written)?),
            };
            if copied.is_apart {
                open.break_run();
            }
            copy_run(cut, queue, &copied.run, open)?;
            if open.len() >= SEGMENT_BYTES_MAX
                && let Some(full) = writer.take()
            {
                finish_segment(full, written)?;
            }
        }
        writer.map_or(Ok(()), |last| finish_segment(last, written))
    }

    fn create_segment(&self, written: &mut Vec<Written>) -> io::Result<Writer> {
        let number = {
            let mut inner = self.inner.lock();
            inner.next_file += 1;
            inner.next_file - 1
        };
        let writer = Writer::create(&*self.disk, number, self.node)?;
        let name = segment::name(number);
        let file = self.disk.open(&name)?;
        // Listed before it is whole, so that a failure removes it.
        written.push(Written {
            file: OpenFile::new(number, name, file, 0),
            runs: Vec::new(),
        });
        Ok(writer)
    }

    /// Makes the new segments count and lets go of the old files.
    fn switch(&self, cut: Cut, written: Vec<Written>) {
        let Cut {
            mut manifest,
            files,
            retained_bytes,
            copies,
            ..
        } = cut;
        drop(files);
        let new = written
            .iter()
            .map(|written| (written.file.number, Live::All));
        manifest.segments.extend(new);
        manifest.next_file = self.inner.lock().next_file;
        if let Err(error) = manifest.write(&*self.disk) {
            self.fail_manifest(&error);
            return;
        }
        let kept: Vec<u32> = manifest
            .segments
            .iter()
            .map(|(number, _)| *number)
            .collect();
        let mut runs: BTreeMap<QueueId, Vec<Run>> = BTreeMap::new();
        // What nobody syncs any more.
        let mut unsynced = self.unsynced.lock();
        unsynced.retain(|file| file.number >= manifest.wal_first);
        let mut inner = self.inner.lock();
        for Written {
            file,
            runs: of_queues,
        } in written
        {
            inner.segments.insert(file.number, Segment::of(&of_queues));
            inner.files.insert(file.number, Arc::new(file));
            for (queue, run) in of_queues {
                runs.entry(queue).or_default().push(run);
            }
        }
        for (queue, copies) in copies {
            let old: Vec<Run> = copies.into_iter().map(|copied| copied.run).collect();
            let new = runs.remove(&queue).unwrap_or_default();
            inner.state.relocate(queue, &old, new);
        }
        let mut retired = Vec::new();
        while inner
            .wals
            .front()
            .is_some_and(|wal| wal.number < manifest.wal_first)
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
        drop(unsynced);
        tracing::debug!(retained_bytes, "the log was rolled");
        self.retire(retired, &removed);
    }

    /// Which manifest is on the disk is unknown now. Both are good, but no file may be let go of any more.
    pub(super) fn fail_manifest(&self, error: &io::Error) {
        self.fail(Error::Failed(
            format!("writing the manifest: {error}").into(),
        ));
    }

    /// Recycles log files and removes segments. What fails here only leaves a file for the next start to find.
    pub(super) fn retire(&self, wals: Vec<Arc<OpenFile>>, segments: &[Arc<OpenFile>]) {
        let mut spares = Vec::new();
        let kept = self.inner.lock().spares.len();
        let keep_aside = |file: &OpenFile| {
            let _ = self
                .disk
                .rename(&file.name, &format!("damaged-{}", file.name));
        };
        for wal in wals {
            if wal.is_set_aside() {
                keep_aside(&wal);
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
            if segment.is_set_aside() {
                keep_aside(segment);
            } else {
                let _ = self.disk.remove(&segment.name);
            }
        }
        self.inner.lock().spares.extend(spares);
        if self.options.drive == Drive::Threads {
            self.progress.notify_all();
        }
    }
}

/// Whether a roll copies what is live in a segment and lets go of it.
pub(super) fn is_hollow(live_bytes: u64, segment: &Segment) -> bool {
    live_bytes == 0 || live_bytes < segment.bytes.div_ceil(2)
}

/// Copies a run's messages that are there.
fn copy_run(cut: &Cut, queue: QueueId, run: &Run, open: &mut Writer) -> io::Result<()> {
    let Some(file) = cut.files.get(&run.file) else {
        return Ok(());
    };
    let layout = if cut.segments.contains(&run.file) {
        Layout::Segment
    } else {
        Layout::Log
    };
    let (bytes, frames) = match read_frames(run, file, layout) {
        Ok(found) => found,
        Err(error) => {
            // One bad spot must not keep the log from ever shrinking. The file is kept aside with what it holds.
            tracing::error!(file = file.name, offset = run.offset, %error, "messages cannot be read");
            file.set_aside();
            return Ok(());
        }
    };
    for (number, id) in run.iter() {
        let frame = frames.get(number as usize).and_then(Option::as_ref);
        if frame.is_none_or(|frame| !frame.is_sound) {
            tracing::error!(
                file = file.name,
                offset = run.offset,
                message = id.0,
                "a message is damaged"
            );
            file.set_aside();
        }
        if let Some(frame) = frame {
            let returns = cut.returns_of(queue, id);
            open.add(queue, (id, returns), &bytes[frame.bytes()])?;
        }
    }
    Ok(())
}

impl Cut {
    fn returns_of(&self, queue: QueueId, id: MessageId) -> u8 {
        self.returns.get(&(queue, id)).copied().unwrap_or(0)
    }
}

fn finish_segment(writer: Writer, written: &mut [Written]) -> io::Result<()> {
    let (runs, len) = writer.finish()?;
    if let Some(last) = written.last_mut() {
        (last.runs, last.file.len) = (runs, len);
    }
    Ok(())
}

fn live_run(run: &Run) -> LiveRun {
    let (skip, gone) = run.marks();
    LiveRun {
        offset: run.offset,
        skip,
        gone: gone.to_vec(),
    }
}

/// What is live of a segment.
fn live(mut runs: Vec<LiveRun>, segment: Segment) -> Live {
    let is_whole = runs.iter().all(|run| run.skip == 0 && run.gone.is_empty());
    if is_whole && runs.len() == segment.runs {
        return Live::All;
    }
    runs.sort_unstable_by_key(|run| run.offset);
    Live::Runs(runs)
}
