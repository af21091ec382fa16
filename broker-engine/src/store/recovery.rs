//! Opening a data directory: the manifest, the segments it names, then the log after it.
//!
//! What was confirmed comes back wherever its bytes are there. The unfinished end of the last log file is cut off; what
//! is unreadable before that is damage, or what a power cut tore before it was synced (see `holes`). Damage is named, its
//! file set aside; the rest serves.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use super::{
    Damage, Options, RecoveredQueue, RecoveredRun, Recovery, definitions,
    disk::{Disk, DiskFile},
    doubt,
    error::Error,
    hash::IntMap,
    holes::{Hole, HoleKind, Holes, Verdict},
    ids::{Lane, MessageId},
    keeper::{prepare_first, wal_name},
    ledger::Ledger,
    log::{Log, OpenFile, Segment, Start},
    manifest::{self, Manifest},
    ops::Ops,
    record::{self, FILE_HEAD_LEN, FileHead, Found, SyncedEnd},
    state::{Location, State},
    wire::Malformed,
};

/// A log file as found.
struct Wal {
    number: u32,
    file: Arc<dyn DiskFile>,
    head: Option<FileHead>,
    len: u64,
}

pub(super) struct Opening<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) names: Vec<String>,
    pub(super) manifest: Manifest,
    /// Whether the segments are known from the manifest, not only by their names.
    pub(super) has_manifest: bool,
    pub(super) state: State,
    pub(super) segments: BTreeMap<u32, Segment>,
    pub(super) files: IntMap<u32, Arc<OpenFile>>,
    wals: VecDeque<Arc<OpenFile>>,
    spares: Vec<Arc<OpenFile>>,
    /// Whether what the log files seem to hold may be in memory only.
    is_doubtful: bool,
    pub(super) next_index: [u64; Lane::COUNT],
    /// The last log file with records, and where they end.
    previous: (u32, u64),
    holes: Holes,
    damage: Vec<Damage>,
    torn: Vec<Damage>,
    /// The first entry with messages that is missing before others.
    first_missing: Option<u64>,
}

/// Opens the log of a data directory and tells what it holds.
pub(super) fn open(disk: Arc<dyn Disk>, options: Options) -> Result<(Log, Recovery), Error> {
    let directory = disk
        .lock()
        .map_err(Error::io("locking the data directory"))?
        .ok_or(Error::Locked)?;
    let mut opening = Opening::new(&*disk)?;
    opening.read_segments()?;
    opening.read_wals(&options)?;
    opening.judge_holes()?;
    if let Some(first) = opening.first_missing {
        opening.state.doubt_marks(MessageId::new(first, 0));
    }
    if opening.is_doubtful {
        doubt::settle(&*disk).map_err(Error::io(doubt::NAME))?;
    }
    let number = opening.manifest.next_file;
    let spare = opening.spares.pop();
    let first = prepare_first(&*disk, number, options.file_bytes, spare)
        .map_err(Error::io("preparing a log file"))?;
    let Opening {
        manifest,
        state,
        segments,
        files,
        wals,
        spares,
        next_index,
        previous,
        damage,
        torn,
        ..
    } = opening;
    let recovery = Recovery {
        damage,
        torn,
        ..recovered(&state)
    };
    let next_file = number + 1;
    let start = Start {
        state,
        next_index,
        first,
        previous,
        files,
        wals,
        segments,
        spares,
        next_file,
        directory,
    };
    Ok((Log::start(disk, options, manifest.node, start), recovery))
}

fn recovered(state: &State) -> Recovery {
    let mut queues: Vec<_> = state
        .queues
        .iter()
        .map(|(id, ledger)| RecoveredQueue {
            id: *id,
            handed_out: ledger.handed_out,
            runs: runs(ledger),
        })
        .collect();
    queues.sort_unstable_by_key(|queue| queue.id);
    let definitions = state
        .definitions
        .iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    Recovery {
        definitions,
        queues,
        damage: Vec::new(),
        torn: Vec::new(),
    }
}

/// The messages of a queue, those of consecutive ids together.
fn runs(ledger: &Ledger) -> Vec<RecoveredRun> {
    let mut runs: Vec<RecoveredRun> = Vec::new();
    let any_returned = ledger.returns().next().is_some();
    for run in ledger.runs() {
        // What divides unevenly goes to the first ones, so that the sum is right.
        let (mut bytes, mut left) = (run.live_content(), u64::from(run.live()));
        for (first, count) in run.groups() {
            let of_group = bytes * u64::from(count) / left;
            (bytes, left) = (bytes - of_group, left - u64::from(count));
            let group = RecoveredRun {
                first,
                count,
                bytes: of_group,
                returns: 0,
            };
            if any_returned {
                split_by_returns(ledger, group, &mut runs);
            } else {
                join(&mut runs, group);
            }
        }
    }
    runs
}

/// Adds a run, as one with the last if it follows that.
fn join(runs: &mut Vec<RecoveredRun>, next: RecoveredRun) {
    match runs.last_mut() {
        Some(last)
            if last.ids().end().0 + 1 == next.first.0
                && last.first.entry() == next.first.entry()
                && last.returns == next.returns =>
        {
            last.count += next.count;
            last.bytes += next.bytes;
        }
        _ => runs.push(next),
    }
}

fn split_by_returns(ledger: &Ledger, group: RecoveredRun, runs: &mut Vec<RecoveredRun>) {
    let mut rest = Some(group);
    while let Some(run) = rest.take() {
        let [one, more] = run.split_behind(run.first);
        if let Some(mut one) = one {
            one.returns = ledger.returns_of(one.first);
            join(runs, one);
        }
        rest = more;
    }
}

impl<'a> Opening<'a> {
    fn new(disk: &'a dyn Disk) -> Result<Self, Error> {
        let mut names = disk
            .list()
            .map_err(Error::io("listing the data directory"))?;
        names.sort_unstable();
        let mut opening = Self {
            disk,
            names,
            manifest: Manifest::default(),
            has_manifest: false,
            state: State::default(),
            segments: Default::default(),
            files: Default::default(),
            wals: VecDeque::new(),
            spares: Vec::new(),
            is_doubtful: false,
            next_index: [1; Lane::COUNT],
            previous: (0, 0),
            holes: Holes::default(),
            damage: Vec::new(),
            torn: Vec::new(),
            first_missing: None,
        };
        opening.is_doubtful = opening.names.iter().any(|name| name == doubt::NAME);
        opening.read_manifest()?;
        // Numbers are never used twice, so that nothing left over passes for something new.
        let highest = opening
            .names
            .iter()
            .filter_map(|name| number_of(name))
            .max()
            .unwrap_or(0);
        opening.manifest.next_file = opening.manifest.next_file.max(highest + 1);
        opening.next_index = opening.manifest.applied.map(|applied| applied + 1);
        opening.state.definitions = std::mem::take(&mut opening.manifest.definitions);
        opening.state.gone = std::mem::take(&mut opening.manifest.gone);
        for (queue, handed_out) in std::mem::take(&mut opening.manifest.queues) {
            opening.state.queues.entry(queue).or_default().handed_out = handed_out;
        }
        Ok(opening)
    }

    fn read_manifest(&mut self) -> Result<(), Error> {
        let mut is_any_there = false;
        for name in manifest::NAMES {
            if !self.names.iter().any(|other| other == name) {
                continue;
            }
            is_any_there = true;
            let file = self.disk.open(name).map_err(Error::io(name))?;
            match Manifest::decode(&read_all(&*file).map_err(Error::io(name))?) {
                Ok(manifest) if !self.has_manifest => {
                    self.manifest = manifest;
                    self.has_manifest = true;
                }
                Ok(_) => {}
                Err(reason) if reason == manifest::LATER => {
                    return Err(Error::Format(format!("{name}: {reason}").into()));
                }
                Err(reason) => self.damaged(name, 0..file.len().unwrap_or(0), &reason.to_string()),
            }
        }
        if self.has_manifest {
            return Ok(());
        }
        let has_data = self.names.iter().any(|name| number_of(name).is_some());
        if is_any_there || has_data {
            // A crash during the very first start leaves files and no manifest; then nothing was lost.
            if self.names.iter().any(|name| name.starts_with("seg-")) {
                self.damaged(
                    manifest::NAMES[0],
                    0..0,
                    "there is no sound manifest; acknowledged messages may return",
                );
            }
        } else {
            self.manifest.node = fastrand::u64(1..);
            self.manifest.next_file = 1;
            self.manifest
                .write(self.disk)
                .map_err(Error::io("writing the first manifest"))?;
            self.has_manifest = true;
        }
        Ok(())
    }

    fn read_wals(&mut self, options: &Options) -> Result<(), Error> {
        let mut found = Vec::new();
        for name in self.names.clone() {
            if let Some(number) = name.strip_prefix("wal-").and_then(parse_number) {
                found.extend(self.read_wal(number, &name)?);
            } else if name.starts_with("spare-") || name == manifest::TEMPORARY {
                // A spare of another size than is used now is of no use.
                let file = self.disk.open(&name).map_err(Error::io(name.as_str()))?;
                let len = file.len().map_err(Error::io(name.as_str()))?;
                if name != manifest::TEMPORARY && len == options.file_bytes {
                    self.spares
                        .push(Arc::new(OpenFile::new(0, name, file, len)));
                } else {
                    self.disk.remove(&name).map_err(Error::io(name))?;
                }
            }
        }
        let heads: Vec<Option<FileHead>> = found.iter().map(|wal| wal.head).collect();
        for (at, wal) in found.into_iter().enumerate() {
            // A later file says where the records of this one ended; what lies beyond never counted.
            let followed = heads[at + 1..]
                .iter()
                .flatten()
                .find(|head| head.previous == wal.number);
            let is_last = followed.is_none() && heads[at + 1..].iter().all(Option::is_none);
            let end = followed.map(|head| head.previous_end as usize);
            self.replay(wal, end, is_last, options)?;
        }
        Ok(())
    }

    fn read_wal(&mut self, number: u32, name: &str) -> Result<Option<Wal>, Error> {
        let file = self.disk.open(name).map_err(Error::io(name))?;
        let len = file.len().map_err(Error::io(name))?;
        let mut bytes = vec![0; FILE_HEAD_LEN.min(len as usize)];
        file.read_at(&mut bytes, 0).map_err(Error::io(name))?;
        let later =
            |Malformed(reason): Malformed| Error::Format(format!("{name}: {reason}").into());
        let head = FileHead::decode(&bytes, number).map_err(later)?;
        if let Some(head) = head
            && self.manifest.node == 0
        {
            self.manifest.node = head.node;
        }
        Ok(Some(Wal {
            number,
            file,
            head,
            len,
        }))
    }

    /// Applies the records of a log file that the manifest does not account for.
    fn replay(
        &mut self,
        wal: Wal,
        end: Option<usize>,
        is_last: bool,
        options: &Options,
    ) -> Result<(), Error> {
        let name = wal_name(wal.number);
        if wal.number < self.manifest.wal_first {
            // The crash came before it was let go of.
            self.previous = (wal.number, end.unwrap_or(0) as u64);
            let open = OpenFile::new(wal.number, name, wal.file, wal.len);
            return self.let_go(Arc::new(open), options);
        }
        let bytes = read_all(&*wal.file).map_err(Error::io(name.as_str()))?;
        let limit = end.unwrap_or(bytes.len()).min(bytes.len());
        let bytes = &bytes[..limit];
        let open = Arc::new(OpenFile::new(
            wal.number,
            name.clone(),
            Arc::clone(&wal.file),
            wal.len,
        ));
        let (mut at, mut is_needed, mut records) = (FILE_HEAD_LEN, false, 0);
        let hole = |start: usize, end: usize, kind: HoleKind| Hole {
            file: Arc::clone(&open),
            bytes: start as u64..end as u64,
            kind,
        };
        let mut is_whole = true;
        let follows = |head: FileHead| (head.previous, head.previous_end) == self.previous;
        if !wal.head.is_some_and(follows) {
            // What the file before ended with may be lost; what comes before the first file is accounted for.
            let first = SyncedEnd::new(self.manifest.wal_first, 0);
            self.holes.note_break(first);
        }
        while at < bytes.len() {
            match record::scan(bytes, at, wal.number) {
                Found::Record(record) => {
                    at = record.end;
                    records += 1;
                    self.holes.heed(&record, wal.number);
                    is_needed |= self.apply(&record, &open, &bytes[record.body.clone()]);
                }
                Found::Gap(range) => {
                    at = range.end;
                    let kind = HoleKind::Bytes("not a record; sound records follow");
                    self.holes.note(hole(range.start, range.end, kind));
                    is_whole = false;
                }
                Found::End(start) => {
                    if !is_last && end.is_some_and(|end| start < end) {
                        let kind = HoleKind::Bytes("not a record; other log files follow");
                        self.holes.note(hole(start, limit, kind));
                        is_whole = false;
                    }
                    break;
                }
            }
        }
        if wal.head.is_none() && (records > 0 || !is_whole) {
            let head = FileHead {
                number: wal.number,
                node: self.manifest.node,
                previous: self.previous.0,
                previous_end: self.previous.1,
            };
            let before = self.wals.back();
            let before = before.filter(|before| before.number == head.previous);
            let kind = HoleKind::Head(head, before.cloned());
            self.holes.note(hole(0, FILE_HEAD_LEN, kind));
            is_whole = false;
        }
        if wal.head.is_some() || records > 0 {
            self.previous = (wal.number, at as u64);
        }
        if is_needed || !is_whole {
            // From here on it counts as durable, whether or not it was before the crash.
            if self.is_doubtful {
                wal.file
                    .write_at(&bytes[..at], 0)
                    .map_err(Error::io(name.as_str()))?;
            }
            if let Err(error) = wal.file.sync_data() {
                doubt::raise(self.disk);
                return Err(Error::io(name)(error));
            }
            self.files.insert(wal.number, Arc::clone(&open));
            self.wals.push_back(open);
            Ok(())
        } else {
            self.let_go(open, options)
        }
    }

    /// Keeps a log file that is not needed to be written again, if it has the right size.
    fn let_go(&mut self, wal: Arc<OpenFile>, options: &Options) -> Result<(), Error> {
        if wal.len == options.file_bytes {
            self.spares.push(wal);
        } else {
            let name = wal.name.as_str();
            self.disk.remove(name).map_err(Error::io(name))?;
        }
        Ok(())
    }

    /// Applies a record unless the manifest accounts for it. True when it does not.
    fn apply(&mut self, record: &record::Record, file: &Arc<OpenFile>, body: &[u8]) -> bool {
        let lane = usize::from(record.lane.number());
        if record.index <= self.manifest.applied[lane] {
            return false;
        }
        let expected = self.next_index[lane];
        let missing = (record.index > expected).then(|| {
            let last = record.index - 1;
            format!("entries {expected} to {last} of lane {lane} are missing before it")
        });
        if missing.is_some() && record.lane == Lane::Messages {
            self.first_missing.get_or_insert(expected);
        }
        let at = record.body.start as u64;
        self.holes.entry(record.lane, missing, (file, at));
        self.next_index[lane] = expected.max(record.index + 1);
        let location = Location {
            file: file.number,
            offset: record.body.start as u64,
        };
        let applied = match record.lane {
            Lane::Definitions => definitions::read(body).map(|changes| self.state.define(&changes)),
            Lane::Messages => {
                Ops::read(body).map(|ops| self.state.apply(record.index, location, &ops))
            }
        };
        if let Err(Malformed(reason)) = applied {
            self.damaged(
                &file.name,
                record.body.start as u64..record.body.end as u64,
                reason,
            );
        }
        true
    }

    /// Names what is damage, and has its file set aside; fills what was torn.
    fn judge_holes(&mut self) -> Result<(), Error> {
        let mut filled: Vec<Arc<OpenFile>> = Vec::new();
        for (hole, verdict) in std::mem::take(&mut self.holes).judge() {
            let described = hole.describe();
            match verdict {
                Verdict::Damage => {
                    self.damaged(&described.file, described.bytes, &described.reason);
                    hole.file.set_aside();
                    // What was durable once, deliveries of messages before it may rest on as well.
                    self.first_missing = self.first_missing.map(|_| 0);
                }
                Verdict::Torn => {
                    let name = hole.file.name.as_str();
                    tracing::warn!(
                        file = name,
                        start = described.bytes.start,
                        end = described.bytes.end,
                        reason = described.reason,
                        "what was never synced was torn; nothing durable is lost"
                    );
                    filled.extend(hole.fill().map_err(Error::io(name))?);
                    self.torn.push(described);
                }
            }
        }
        for file in filled {
            let synced = file.file.sync_data();
            synced.map_err(Error::io(file.name.as_str()))?;
        }
        Ok(())
    }

    pub(super) fn damaged(&mut self, file: &str, bytes: std::ops::Range<u64>, reason: &str) {
        tracing::error!(
            file,
            start = bytes.start,
            end = bytes.end,
            reason,
            "stored data was set aside"
        );
        self.damage.push(Damage {
            file: file.to_owned(),
            bytes,
            reason: reason.to_owned(),
        });
    }
}

pub(super) fn read_all(file: &dyn DiskFile) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; file.len()? as usize];
    file.read_at(&mut bytes, 0)?;
    Ok(bytes)
}

pub(super) fn parse_number(text: &str) -> Option<u32> {
    let number = u32::from_str_radix(text, 16).ok();
    number.filter(|number| *number < manifest::FILE_MAX)
}

/// The number in the name of a file that holds data.
fn number_of(name: &str) -> Option<u32> {
    name.strip_prefix("wal-")
        .or_else(|| name.strip_prefix("seg-"))
        .and_then(parse_number)
}

/// Queues of a state in a comparable form.
#[cfg(test)]
pub(super) fn comparable(state: &State) -> Vec<(super::QueueId, Vec<(MessageId, u8)>)> {
    let messages = |ledger: &Ledger| {
        let ids = ledger.iter();
        ids.map(|id| (id, ledger.returns_of(id))).collect()
    };
    let mut queues: Vec<(super::QueueId, Vec<_>)> = state
        .queues
        .iter()
        .map(|(id, ledger)| (*id, messages(ledger)))
        .filter(|(_, messages): &(_, Vec<_>)| !messages.is_empty())
        .collect();
    queues.sort_unstable_by_key(|(id, _)| *id);
    queues
}
