//! Giving room back when the volume is short of it: sooner than the log would roll by itself, and in smaller steps where
//! a roll has no room for what it copies.
//!
//! Invariant: a file goes only when the manifest that does without it is durable, and so is what made it dead.

use std::{mem, sync::Arc};

use super::{
    disk::Disk,
    keeper::retained_bytes,
    log::{Inner, Log},
    manifest::{self, Manifest},
    recovery::read_all,
    roll::{ROLL_BYTES_SPARE, is_hollow},
};

impl Log {
    /// Asks the keeper to give back what room it can.
    pub(super) fn make_room_soon(&self) {
        self.inner.lock().wants_room = true;
        self.chores.notify_one();
    }

    /// Lets go of what nobody needs: files kept for reuse, and segments without messages.
    pub(super) fn give_back(&self) {
        let spares = mem::take(&mut self.inner.lock().spares);
        for spare in spares {
            let _ = self.disk.remove(&spare.name);
        }
        self.drop_dead_segments();
    }

    /// Removes the segments without messages, and copies nothing: the manifest is the last one without them.
    fn drop_dead_segments(&self) {
        let dead: Vec<u32> = {
            let inner = self.inner.lock();
            let all = inner.segments.keys().copied();
            all.filter(|number| !inner.state.live_bytes.contains_key(number))
                .collect()
        };
        if dead.is_empty() {
            return;
        }
        // What took their messages out of the queues must not be forgotten when they are gone.
        self.write(true);
        if self.failed().is_some() {
            return;
        }
        let Some(mut manifest) = self.last_manifest() else {
            return;
        };
        manifest
            .segments
            .retain(|(number, _)| !dead.contains(number));
        manifest.next_file = self.inner.lock().next_file;
        // Both copies, and one while it is replaced. One that could not be written would be fatal.
        let needed = 3 * manifest.encode().len() as u64 + ROLL_BYTES_SPARE;
        let has_room = self.disk.available_bytes().is_ok_and(|room| needed <= room);
        if !has_room {
            return;
        }
        if let Err(error) = manifest.write(&*self.disk) {
            self.fail_manifest(&error);
            return;
        }
        let mut removed = Vec::new();
        let mut inner = self.inner.lock();
        for number in dead {
            inner.segments.remove(&number);
            removed.extend(inner.files.remove(&number));
        }
        drop(inner);
        self.retire(Vec::new(), &removed);
    }

    /// The manifest as it was written last.
    fn last_manifest(&self) -> Option<Manifest> {
        manifest::NAMES.iter().find_map(|name| {
            let file = self.disk.open(name).ok()?;
            Manifest::decode(&read_all(&*file).ok()?).ok()
        })
    }
}

/// What a roll would free beyond what it copies, in bytes.
pub(super) fn reclaimable_bytes(inner: &Inner) -> u64 {
    let live = |number: &u32| inner.state.live_bytes.get(number).copied().unwrap_or(0);
    let hollow = inner
        .segments
        .iter()
        .filter(|(number, segment)| is_hollow(live(number), segment));
    let (freed, copied) = hollow.fold((0, 0), |(freed, copied), (number, segment)| {
        (freed + segment.bytes, copied + live(number))
    });
    let in_logs: u64 = inner.wals.iter().map(|wal| live(&wal.number)).sum();
    (retained_bytes(inner) + freed).saturating_sub(copied + in_logs)
}

/// Whether the volume has room for what a roll would copy before it gives anything back.
pub(super) fn is_room_to_roll(disk: &Arc<dyn Disk>, inner: &Inner) -> bool {
    let live: u64 = inner
        .wals
        .iter()
        .filter_map(|wal| inner.state.live_bytes.get(&wal.number))
        .sum();
    let available = disk.available_bytes().unwrap_or(0);
    live + ROLL_BYTES_SPARE <= available
}
