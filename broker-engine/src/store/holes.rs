//! What recovery could not read of the log, and what that means.
//!
//! A power cut may leave what no sync had covered in pieces: a later write is whole, an earlier one is torn. Nothing was
//! promised for it at the level `sync`, and nobody can be at fault: the pieces that are sound serve, and what is torn
//! gives way to padding, so that it is not met again. Everything else that cannot be read is damage. Every record says
//! how far the log was synced when it was appended; a hole that begins before that was readable once.

use std::{io, ops::Range, sync::Arc};

use super::{
    Damage,
    ids::Lane,
    log::OpenFile,
    record::{self, FileHead, HEAD_LEN, Padding, Record, SyncedEnd},
};

/// Something in a log file that cannot be read, or entries that are missing in front of a place.
pub(super) struct Hole {
    pub(super) file: Arc<OpenFile>,
    pub(super) bytes: Range<u64>,
    pub(super) kind: HoleKind,
}

pub(super) enum HoleKind {
    /// Bytes that are not a record, and why that is remarkable.
    Bytes(&'static str),
    /// The head of a file, as it was, and the file before it.
    Head(FileHead, Option<Arc<OpenFile>>),
    /// Entries, in words, and from where on they may have been; none where nothing can have been lost.
    Missing(String, Option<SyncedEnd>),
}

/// All holes of a log, in its order, and what its records say about syncs.
#[derive(Default)]
pub(super) struct Holes {
    list: Vec<Hole>,
    synced: SyncedEnd,
    /// The last file with records that tell nothing.
    untold: u32,
    /// Where the last record ended.
    last: SyncedEnd,
    /// Where the entries of a lane may be that are missing next.
    since: [Since; Lane::COUNT],
}

/// What came since the last entry of a lane.
#[derive(Clone, Copy, Default)]
enum Since {
    /// Records, one behind the other.
    #[default]
    Records,
    /// Something that does not follow on what came before, which ended here.
    Break(SyncedEnd),
    /// Padding where something was torn.
    Padding,
}

/// What became of a hole.
pub(super) enum Verdict {
    Damage,
    /// It was never synced.
    Torn,
}

impl Holes {
    /// A record of file `number` was read.
    pub(super) fn heed(&mut self, record: &Record, number: u32) {
        match record.synced {
            Some(synced) => self.synced = self.synced.max(synced),
            None => self.untold = self.untold.max(number),
        }
        if record.is_filling() {
            self.since = [Since::Padding; Lane::COUNT];
        }
        self.last = SyncedEnd::new(number, record.end as u64);
    }

    /// What comes next does not follow on the last record, nor on `from`: what is missing was behind both.
    pub(super) fn note_break(&mut self, from: SyncedEnd) {
        self.since = [Since::Break(self.last.max(from)); Lane::COUNT];
    }

    /// Notes bytes or a head that cannot be read.
    pub(super) fn note(&mut self, hole: Hole) {
        if matches!(hole.kind, HoleKind::Bytes(_)) {
            self.note_break(SyncedEnd::new(hole.file.number, hole.bytes.start));
        }
        self.list.push(hole);
    }

    /// An entry of a lane was read, and `missing` says which before it were not, if any.
    pub(super) fn entry(
        &mut self,
        lane: Lane,
        missing: Option<String>,
        (file, at): (&Arc<OpenFile>, u64),
    ) {
        let since = std::mem::take(&mut self.since[usize::from(lane.number())]);
        let from = match since {
            Since::Padding => return,
            Since::Records => None,
            Since::Break(from) => Some(from),
        };
        if let Some(missing) = missing {
            self.list.push(Hole {
                file: Arc::clone(file),
                bytes: at..at,
                kind: HoleKind::Missing(missing, from),
            });
        }
    }

    /// Tells of each hole what it is, once all of the log was read.
    pub(super) fn judge(self) -> Vec<(Hole, Verdict)> {
        let (untold, synced) = (self.untold, self.synced);
        let verdict = |hole: &Hole| {
            let from = match &hole.kind {
                HoleKind::Bytes(_) | HoleKind::Head(..) => {
                    Some(SyncedEnd::new(hole.file.number, hole.bytes.start))
                }
                HoleKind::Missing(_, from) => *from,
            };
            match from {
                Some(from) if hole.file.number > untold && from >= synced => Verdict::Torn,
                Some(_) | None => Verdict::Damage,
            }
        };
        let judged = self.list.into_iter().map(|hole| {
            let verdict = verdict(&hole);
            (hole, verdict)
        });
        judged.collect()
    }
}

impl Hole {
    /// As it is told.
    pub(super) fn describe(&self) -> Damage {
        let reason = match &self.kind {
            HoleKind::Bytes(reason) => (*reason).to_owned(),
            HoleKind::Head(..) => "its head is damaged".to_owned(),
            HoleKind::Missing(missing, _) => missing.clone(),
        };
        Damage {
            file: self.file.name.clone(),
            bytes: self.bytes.clone(),
            reason,
        }
    }

    /// Fills what was torn, so that it is not met again. Returns the files that this wrote to, and that must be synced.
    pub(super) fn fill(&self) -> io::Result<Vec<Arc<OpenFile>>> {
        let file = &self.file;
        match &self.kind {
            HoleKind::Missing(..) => Ok(Vec::new()),
            HoleKind::Head(head, before) => {
                let (mut head, mut files) = (*head, vec![Arc::clone(file)]);
                // The end of the file before may be lost with it, and leaves no hole.
                if let Some(before) = before
                    && head.previous_end + HEAD_LEN as u64 <= before.len
                {
                    fill_place(before, head.previous_end, &[])?;
                    head.previous_end += HEAD_LEN as u64;
                    files.push(Arc::clone(before));
                }
                file.file.write_at(&head.encode(), 0)?;
                Ok(files)
            }
            HoleKind::Bytes(_) => {
                let len = usize::try_from(self.bytes.end - self.bytes.start).unwrap_or(0);
                if len < HEAD_LEN {
                    return Ok(Vec::new());
                }
                let mut place = vec![0; len];
                file.file.read_at(&mut place, self.bytes.start)?;
                fill_place(file, self.bytes.start, &place)?;
                Ok(vec![Arc::clone(file)])
            }
        }
    }
}

fn fill_place(file: &OpenFile, at: u64, place: &[u8]) -> io::Result<()> {
    // Recovery has synced all files before.
    let synced = SyncedEnd::new(file.number, 0);
    let head = record::padding(Padding::Fills, place, file.number, synced);
    file.file.write_at(&head, at)
}
