//! The keeper: has the next log file ready before it is needed, and knows when the log is to be rolled.

use std::{io, mem, sync::Arc, time::Duration};

use super::{
    disk::Disk,
    error::{Error, is_full},
    log::{Inner, Log, OpenFile},
    room::{is_room_to_roll, reclaimable_bytes},
};

/// How often a full volume is tried again.
const RETRY: Duration = Duration::from_millis(100);
/// The shortest log file worth having, in bytes.
const FILE_BYTES_MIN: u64 = 4096;

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
            Err(error) if is_full(&error) && len / 2 >= FILE_BYTES_MIN => {
                // As much is left: without room for a manifest nothing could ever be given back.
                let room = disk.available_bytes().unwrap_or(0);
                len /= 2;
                while len > room / 2 && len / 2 >= FILE_BYTES_MIN {
                    len /= 2;
                }
            }
            made => return made,
        }
    }
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
                && !inner.wants_room
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
        let (is_short, is_asked) = {
            let mut inner = self.inner.lock();
            if inner.refusal().is_some() {
                return;
            }
            let is_asked = mem::take(&mut inner.wants_room);
            (inner.is_full || is_asked, is_asked)
        };
        if is_short {
            self.give_back();
        }
        let is_due = {
            let inner = self.inner.lock();
            inner.refusal().is_none()
                && (self.is_roll_due(&inner) || (is_asked && self.is_roll_worthwhile(&inner)))
        };
        if is_due {
            self.roll();
            if is_asked {
                // The log files that it let go of are of more use as room.
                self.give_back();
            }
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
        let stored: u64 = inner.segments.values().map(|segment| segment.bytes).sum();
        let live: u64 = inner
            .segments
            .keys()
            .filter_map(|number| inner.state.live_bytes.get(number))
            .sum();
        let is_hollow = stored > self.options.roll_bytes && live < stored / 4;
        ((retained > self.options.roll_bytes || is_hollow) && retained >= inner.roll_above)
            || (inner.is_full && retained > 0 && is_room_to_roll(&self.disk, inner))
    }

    /// Whether a roll gives back something worth the name to a volume that is short of room: log files that were started
    /// on a full volume are small.
    fn is_roll_worthwhile(&self, inner: &Inner) -> bool {
        reclaimable_bytes(inner) >= self.options.file_bytes / 16
            && is_room_to_roll(&self.disk, inner)
    }
}

/// What the log files before the current one take.
pub(super) fn retained_bytes(inner: &Inner) -> u64 {
    inner.wals.iter().map(|wal| wal.len).sum::<u64>() - inner.current.len
}
