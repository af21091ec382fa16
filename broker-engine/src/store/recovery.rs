//! Opening a data directory: the manifest, the segments it names, then the log after it.
//!
//! What was confirmed comes back wherever its bytes are there. The unfinished end of the last log file is cut off; what
//! is unreadable before that is named, its file set aside, and the rest serves.

use std::{collections::VecDeque, sync::Arc};

use super::{
    Damage, Options, RecoveredMessage, RecoveredQueue, Recovery,
    disk::{Disk, DiskFile},
    error::Error,
    ids::Lane,
    keeper::{is_live, prepare_first, wal_name},
    log::{Log, OpenFile, Segment, Start},
    manifest::{self, Manifest},
    record::{self, FILE_HEAD_LEN, FileHead, Found},
    segment,
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

struct Opening<'a> {
    disk: &'a dyn Disk,
    names: Vec<String>,
    manifest: Manifest,
    /// Whether the segments are known from the manifest, not only by their names.
    has_manifest: bool,
    state: State,
    segments: std::collections::BTreeMap<u32, Segment>,
    files: std::collections::HashMap<u32, Arc<OpenFile>>,
    wals: VecDeque<Arc<OpenFile>>,
    spares: Vec<Arc<OpenFile>>,
    next_index: [u64; Lane::COUNT],
    /// The last log file with records, and where they end.
    previous: (u32, u64),
    damage: Vec<Damage>,
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
        ..
    } = opening;
    let recovery = Recovery {
        damage,
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
            messages: ledger
                .iter()
                .map(|stored| RecoveredMessage {
                    id: stored.id,
                    len: stored.len,
                    returns: stored.returns,
                })
                .collect(),
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
            next_index: [1; Lane::COUNT],
            previous: (0, 0),
            damage: Vec::new(),
        };
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

    fn read_segments(&mut self) -> Result<(), Error> {
        let mut found = Vec::new();
        for name in self.names.clone() {
            let Some(number) = name.strip_prefix("seg-").and_then(parse_number) else {
                continue;
            };
            let listed = self
                .manifest
                .segments
                .iter()
                .find(|(other, _)| *other == number);
            if self.has_manifest && listed.is_none() {
                // Left over from a roll that did not get to its manifest, or from after the next one.
                self.disk.remove(&name).map_err(Error::io(name))?;
                continue;
            }
            let live = listed.map_or(manifest::Live::All, |(_, live)| live.clone());
            let file = self.disk.open(&name).map_err(Error::io(name.as_str()))?;
            let contents = segment::read(&*file, number).map_err(Error::io(name.as_str()))?;
            let len = file.len().map_err(Error::io(name.as_str()))?;
            if let Some(reason) = contents.rebuilt {
                self.damaged(
                    &name,
                    0..len,
                    &format!("{reason}; {} messages were found", contents.entries.len()),
                );
            }
            let open = Arc::new(OpenFile::new(number, name, file, len));
            self.segments.insert(
                number,
                Segment::of(contents.entries.iter().map(|entry| &entry.stored)),
            );
            self.files.insert(number, open);
            found.extend(
                contents
                    .entries
                    .into_iter()
                    .filter(|entry| is_live(&live, entry.stored.offset)),
            );
        }
        for (number, _) in std::mem::take(&mut self.manifest.segments) {
            if !self.segments.contains_key(&number) {
                self.damaged(&segment::name(number), 0..0, "the file is missing");
            }
        }
        found.sort_unstable_by_key(|entry| (entry.queue, entry.stored.id));
        for entry in found {
            let ends_in = entry.stored.id.entry() + 1;
            let messages = usize::from(Lane::Messages.number());
            self.next_index[messages] = self.next_index[messages].max(ends_in);
            self.state.insert(entry.queue, entry.stored);
        }
        for (queue, id, returns) in std::mem::take(&mut self.manifest.returns) {
            if let Some(stored) = self
                .state
                .queues
                .get_mut(&queue)
                .and_then(|ledger| ledger.get_mut(id))
            {
                stored.returns = returns;
            }
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
        while at < bytes.len() {
            match record::scan(bytes, at, wal.number) {
                Found::Record(record) => {
                    at = record.end;
                    records += 1;
                    is_needed |=
                        self.apply(&record, &name, wal.number, &bytes[record.body.clone()]);
                }
                Found::Gap(range) => {
                    at = range.end;
                    self.damaged(
                        &name,
                        range.start as u64..range.end as u64,
                        "not a record; sound records follow",
                    );
                    open.set_aside();
                }
                Found::End(start) => {
                    if !is_last && end.is_some_and(|end| start < end) {
                        self.damaged(
                            &name,
                            start as u64..limit as u64,
                            "not a record; other log files follow",
                        );
                        open.set_aside();
                    }
                    break;
                }
            }
        }
        if wal.head.is_none() && records > 0 {
            self.damaged(&name, 0..FILE_HEAD_LEN as u64, "its head is damaged");
            open.set_aside();
        }
        if wal.head.is_some() || records > 0 {
            self.previous = (wal.number, at as u64);
        }
        if is_needed || open.is_set_aside() {
            // From here on it counts as durable, whether or not it was before the crash.
            wal.file.sync_data().map_err(Error::io(name))?;
            self.files.insert(wal.number, Arc::clone(&open));
            self.wals.push_back(open);
        } else if wal.len == options.file_bytes {
            self.spares.push(open);
        } else {
            self.disk.remove(&name).map_err(Error::io(name))?;
        }
        Ok(())
    }

    /// Applies a record unless the manifest accounts for it. True when it does not.
    fn apply(&mut self, record: &record::Record, name: &str, number: u32, body: &[u8]) -> bool {
        let lane = usize::from(record.lane.number());
        if record.index <= self.manifest.applied[lane] {
            return false;
        }
        let expected = self.next_index[lane];
        if record.index > expected {
            let reason = format!(
                "entries {expected} to {} of lane {lane} are missing before it",
                record.index - 1
            );
            self.damaged(
                name,
                record.body.start as u64..record.body.start as u64,
                &reason,
            );
        }
        self.next_index[lane] = expected.max(record.index + 1);
        let location = Location {
            file: number,
            offset: record.body.start as u64,
        };
        if let Err(Malformed(reason)) = self.state.apply(record.lane, record.index, location, body)
        {
            self.damaged(
                name,
                record.body.start as u64..record.body.end as u64,
                reason,
            );
        }
        true
    }

    fn damaged(&mut self, file: &str, bytes: std::ops::Range<u64>, reason: &str) {
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

fn read_all(file: &dyn DiskFile) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; file.len()? as usize];
    file.read_at(&mut bytes, 0)?;
    Ok(bytes)
}

fn parse_number(text: &str) -> Option<u32> {
    u32::from_str_radix(text, 16).ok()
}

/// The number in the name of a file that holds data.
fn number_of(name: &str) -> Option<u32> {
    name.strip_prefix("wal-")
        .or_else(|| name.strip_prefix("seg-"))
        .and_then(parse_number)
}

/// Queues of a state in a comparable form.
#[cfg(test)]
pub(super) fn comparable(state: &State) -> Vec<(super::QueueId, Vec<RecoveredMessage>)> {
    recovered(state)
        .queues
        .into_iter()
        .filter(|queue| !queue.messages.is_empty())
        .map(|queue| (queue.id, queue.messages))
        .collect()
}
