//! A disk in memory that loses power, breaks and fills up when a test says so.
//!
//! It keeps, beside what a running process sees, what a power cut may leave: for each file the bytes as of its last
//! completed sync plus every write since, and for the directory the names as of its last completed sync plus every
//! change since. [`FaultyDisk::power_cut`] picks, by a seed, which of the uncovered changes reached the platter: each
//! sector of each write on its own, each change of a name on its own, in any order.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;

use super::{Disk, DiskFile};

/// The unit in which a write may be torn, in bytes. Real sectors are larger; smaller ones only find more.
const SECTOR: usize = 64;

/// What a test makes go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Syncs of files and of the directory answer EIO from now on.
    SyncFails,
    /// Writes answer EIO from now on.
    WriteFails,
    /// File sync number `n` from now (0 is the next) answers EIO and drops what it should have covered, as operating
    /// systems do: processes go on seeing those bytes, and later syncs succeed without them.
    SyncFailsAt(u64),
    /// Operation number `n` from now (0 is the next) answers ENOSPC if it may need room; those after it go on.
    FullAt(u64),
    /// Operation number `n` from now (0 is the next) and all that follow answer EIO: the process lost its disk there.
    DiesAt(u64),
}

/// A disk in memory. Clones share it.
#[derive(Clone)]
pub struct FaultyDisk {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    is_locked: AtomicBool,
}

#[derive(Default)]
struct State {
    /// What a running process sees.
    names: BTreeMap<String, Arc<Mutex<Content>>>,
    /// The names as of the last completed directory sync.
    durable_names: BTreeMap<String, Arc<Mutex<Content>>>,
    /// Changes of names since, in order.
    name_changes: Vec<NameChange>,
    /// How many bytes all files may take together.
    capacity_bytes: Option<u64>,
    operations: u64,
    dies_at: Option<u64>,
    full_at: Option<u64>,
    syncs: u64,
    sync_fails_at: Option<u64>,
    sync_fails: bool,
    write_fails: bool,
}

#[derive(Clone)]
enum NameChange {
    Link(String, Arc<Mutex<Content>>),
    Rename(String, String, Arc<Mutex<Content>>),
    Unlink(String),
}

#[derive(Default)]
struct Content {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    /// Writes and changes of length since the last completed sync.
    pending: Vec<Pending>,
    /// A sync failed: what it should have covered is seen, and is neither on the platter nor on its way there.
    is_stale: bool,
}

#[derive(Clone)]
enum Pending {
    Write { offset: usize, bytes: Vec<u8> },
    Length(usize),
}

impl Default for FaultyDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl FaultyDisk {
    /// An empty disk without limits or faults.
    pub fn new() -> Self {
        Self::from_state(State::default())
    }

    fn from_state(state: State) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                is_locked: AtomicBool::new(false),
            }),
        }
    }

    /// Lets something go wrong from now on.
    pub fn inject(&self, fault: Fault) {
        let mut state = self.shared.state.lock();
        match fault {
            Fault::SyncFails => state.sync_fails = true,
            Fault::SyncFailsAt(n) => state.sync_fails_at = Some(state.syncs + n),
            Fault::WriteFails => state.write_fails = true,
            Fault::FullAt(n) => state.full_at = Some(state.operations + n),
            Fault::DiesAt(n) => state.dies_at = Some(state.operations + n),
        }
    }

    /// Limits what all files may take together; `None` lifts the limit.
    pub fn set_capacity_bytes(&self, capacity_bytes: Option<u64>) {
        self.shared.state.lock().capacity_bytes = capacity_bytes;
    }

    /// How many operations that change something were tried so far.
    pub fn operations(&self) -> u64 {
        self.shared.state.lock().operations
    }

    /// How many syncs of files were tried so far.
    pub fn syncs(&self) -> u64 {
        self.shared.state.lock().syncs
    }

    /// The disk after the process was killed: everything written is there, synced or not. What a failed sync dropped is
    /// still seen and still not on the platter.
    pub fn kill(&self) -> FaultyDisk {
        let state = self.shared.state.lock();
        let mut copy = State::default();
        for (name, content) in &state.names {
            let content = content.lock();
            copy.add(name, content.bytes.clone());
            if let Some(copied) = copy.names.get(name).filter(|_| content.is_stale) {
                let mut copied = copied.lock();
                copied.durable = content.durable.clone();
                copied.pending = content.pending.clone();
                copied.is_stale = true;
            }
        }
        Self::from_state(copy)
    }

    /// The disk after a power cut now. The same seed on the same history gives the same disk. This disk goes on
    /// unharmed, so that one history can be cut in many ways.
    pub fn power_cut(&self, seed: u64) -> FaultyDisk {
        let mut random = fastrand::Rng::with_seed(seed);
        let state = self.shared.state.lock();
        // Mostly some of the changes survive; often enough none or all do.
        let survival = [0.0, 0.2, 0.5, 0.8, 1.0][random.usize(..5)];
        let survives = |random: &mut fastrand::Rng| random.f64() < survival;
        let mut names = state.durable_names.clone();
        for change in &state.name_changes {
            if !survives(&mut random) {
                continue;
            }
            match change.clone() {
                NameChange::Link(name, content) => {
                    names.insert(name, content);
                }
                NameChange::Rename(from, to, content) => {
                    names.retain(|name, other| *name != from || !Arc::ptr_eq(other, &content));
                    names.insert(to, content);
                }
                NameChange::Unlink(name) => {
                    names.remove(&name);
                }
            }
        }
        let mut copy = State::default();
        for (name, content) in names {
            let content = content.lock();
            let mut bytes = content.durable.clone();
            for pending in &content.pending {
                match pending {
                    Pending::Length(len) if survives(&mut random) => bytes.resize(*len, 0),
                    Pending::Length(_) => {}
                    Pending::Write {
                        offset,
                        bytes: written,
                    } => {
                        let mut at = *offset;
                        for piece in sectors(*offset, written) {
                            if survives(&mut random) {
                                // A sector may be torn at any byte.
                                let len = if random.u8(..) < 16 {
                                    random.usize(..=piece.len())
                                } else {
                                    piece.len()
                                };
                                write_into(&mut bytes, at, &piece[..len]);
                            }
                            at += piece.len();
                        }
                    }
                }
            }
            copy.add(&name, bytes);
        }
        Self::from_state(copy)
    }

    /// Changes stored bytes behind the process's back, durably: a damaged medium.
    pub fn damage(&self, name: &str, offset: u64, change: impl FnOnce(&mut [u8])) {
        let state = self.shared.state.lock();
        if let Some(content) = state.names.get(name) {
            let mut content = content.lock();
            let at = offset as usize;
            change(&mut content.bytes[at..]);
            let bytes = content.bytes.clone();
            content.durable = bytes;
            content.pending.clear();
        }
    }

    /// The bytes of a file as a running process sees them.
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        self.shared
            .state
            .lock()
            .names
            .get(name)
            .map(|content| content.lock().bytes.clone())
    }
}

/// A write in pieces that do not cross a sector's border.
fn sectors(offset: usize, mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut at = offset;
    std::iter::from_fn(move || {
        let len = (SECTOR - at % SECTOR).min(bytes.len());
        let (piece, rest) = bytes.split_at(len);
        (bytes, at) = (rest, at + len);
        (!piece.is_empty()).then_some(piece)
    })
}

fn write_into(target: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    if target.len() < offset + bytes.len() {
        target.resize(offset + bytes.len(), 0);
    }
    target[offset..offset + bytes.len()].copy_from_slice(bytes);
}

impl State {
    fn add(&mut self, name: &str, bytes: Vec<u8>) {
        let content = Content {
            durable: bytes.clone(),
            bytes,
            ..Content::default()
        };
        let content = Arc::new(Mutex::new(content));
        self.names.insert(name.to_owned(), Arc::clone(&content));
        self.durable_names.insert(name.to_owned(), content);
    }

    /// Counts an operation that changes something, and fails it when its turn has come.
    fn step(&mut self) -> io::Result<()> {
        let number = self.operations;
        self.operations += 1;
        if self.dies_at.is_some_and(|dies_at| number >= dies_at) {
            return Err(io::Error::other("the disk is gone"));
        }
        Ok(())
    }

    /// As [`State::step`], of an operation that may need room.
    fn step_with_room(&mut self) -> io::Result<()> {
        let number = self.operations;
        self.step()?;
        if self.full_at == Some(number) {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        Ok(())
    }

    fn used_bytes(&self) -> u64 {
        self.names
            .values()
            .map(|content| content.lock().bytes.len() as u64)
            .sum()
    }

    fn reserve(&self, growth: u64) -> io::Result<()> {
        match self.capacity_bytes {
            Some(capacity) if growth > 0 && self.used_bytes() + growth > capacity => {
                Err(io::Error::from(io::ErrorKind::StorageFull))
            }
            _ => Ok(()),
        }
    }
}

fn missing() -> io::Error {
    io::Error::from(io::ErrorKind::NotFound)
}

impl Disk for FaultyDisk {
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.shared.state.lock();
        state.step_with_room()?;
        if state.names.contains_key(name) {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        let content = Arc::new(Mutex::new(Content::default()));
        state.names.insert(name.to_owned(), Arc::clone(&content));
        state
            .name_changes
            .push(NameChange::Link(name.to_owned(), Arc::clone(&content)));
        Ok(Arc::new(FaultyFile {
            shared: Arc::clone(&self.shared),
            content,
        }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let state = self.shared.state.lock();
        let content = Arc::clone(state.names.get(name).ok_or_else(missing)?);
        Ok(Arc::new(FaultyFile {
            shared: Arc::clone(&self.shared),
            content,
        }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.shared.state.lock();
        state.step_with_room()?;
        let content = state.names.remove(from).ok_or_else(missing)?;
        state.names.insert(to.to_owned(), Arc::clone(&content));
        state
            .name_changes
            .push(NameChange::Rename(from.to_owned(), to.to_owned(), content));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.shared.state.lock();
        state.step()?;
        state.names.remove(name).ok_or_else(missing)?;
        state.name_changes.push(NameChange::Unlink(name.to_owned()));
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.shared.state.lock().names.keys().cloned().collect())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.shared.state.lock();
        state.step()?;
        if state.sync_fails {
            return Err(io::Error::other("the directory sync failed"));
        }
        state.durable_names = state.names.clone();
        state.name_changes.clear();
        Ok(())
    }

    fn available_bytes(&self) -> io::Result<u64> {
        let state = self.shared.state.lock();
        Ok(state.capacity_bytes.map_or(u64::MAX, |capacity| {
            capacity.saturating_sub(state.used_bytes())
        }))
    }

    fn lock(&self) -> io::Result<Option<Box<dyn Send + Sync>>> {
        if self.shared.is_locked.swap(true, Ordering::AcqRel) {
            return Ok(None);
        }
        Ok(Some(Box::new(Locked(Arc::clone(&self.shared)))))
    }
}

struct Locked(Arc<Shared>);

impl Drop for Locked {
    fn drop(&mut self) {
        self.0.is_locked.store(false, Ordering::Release);
    }
}

struct FaultyFile {
    shared: Arc<Shared>,
    content: Arc<Mutex<Content>>,
}

impl FaultyFile {
    fn resize(&self, len: u64, may_shrink: bool) -> io::Result<()> {
        let mut state = self.shared.state.lock();
        state.step_with_room()?;
        let current = self.content.lock().bytes.len() as u64;
        if len < current && !may_shrink {
            return Ok(());
        }
        state.reserve(len.saturating_sub(current))?;
        let mut content = self.content.lock();
        content.bytes.resize(len as usize, 0);
        content.pending.push(Pending::Length(len as usize));
        Ok(())
    }
}

impl DiskFile for FaultyFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let content = self.content.lock();
        let bytes = usize::try_from(offset)
            .ok()
            .and_then(|at| content.bytes.get(at..at.checked_add(buffer.len())?));
        buffer.copy_from_slice(bytes.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.shared.state.lock();
        state.step_with_room()?;
        if state.write_fails {
            return Err(io::Error::other("the write failed"));
        }
        let current = self.content.lock().bytes.len() as u64;
        state.reserve((offset + bytes.len() as u64).saturating_sub(current))?;
        let mut content = self.content.lock();
        write_into(&mut content.bytes, offset as usize, bytes);
        content.pending.push(Pending::Write {
            offset: offset as usize,
            bytes: bytes.to_vec(),
        });
        Ok(())
    }

    fn preallocate(&self, len: u64) -> io::Result<()> {
        self.resize(len, false)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.resize(len, true)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.content.lock().bytes.len() as u64)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.shared.state.lock();
        state.step()?;
        let number = state.syncs;
        state.syncs += 1;
        let mut content = self.content.lock();
        if state.sync_fails || state.sync_fails_at == Some(number) {
            content.pending.clear();
            content.is_stale = true;
            return Err(io::Error::other("the sync failed"));
        }
        // Replayed rather than copied: a sync costs what was written, not what the file holds.
        let pending = std::mem::take(&mut content.pending);
        for change in pending {
            match change {
                Pending::Length(len) => content.durable.resize(len, 0),
                Pending::Write { offset, bytes } => {
                    write_into(&mut content.durable, offset, &bytes)
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Disk, Fault, FaultyDisk};

    #[test]
    fn what_was_synced_survives_every_cut_and_the_rest_only_some() {
        let disk = FaultyDisk::new();
        let file = disk.create("a").unwrap();
        file.write_at(b"kept", 0).unwrap();
        file.sync_data().unwrap();
        disk.sync_dir().unwrap();
        file.write_at(b"lost", 4).unwrap();
        disk.create("b").unwrap();
        let (mut kept_tail, mut kept_name) = (0, 0);
        for seed in 0..200 {
            let cut = disk.power_cut(seed);
            let bytes = cut.bytes("a").unwrap();
            assert_eq!(&bytes[..4], b"kept", "seed {seed}");
            kept_tail += u32::from(bytes.len() == 8);
            kept_name += u32::from(cut.bytes("b").is_some());
        }
        assert!((1..200).contains(&kept_tail), "{kept_tail}");
        assert!((1..200).contains(&kept_name), "{kept_name}");
    }

    #[test]
    fn an_unsynced_rename_may_leave_either_file() {
        let disk = FaultyDisk::new();
        for (name, content) in [("target", b"old"), ("new", b"new")] {
            let file = disk.create(name).unwrap();
            file.write_at(content, 0).unwrap();
            file.sync_data().unwrap();
        }
        disk.sync_dir().unwrap();
        disk.rename("new", "target").unwrap();
        let seen: std::collections::BTreeSet<_> = (0..50)
            .map(|seed| disk.power_cut(seed).bytes("target").unwrap())
            .collect();
        assert_eq!(seen, [b"old".to_vec(), b"new".to_vec()].into());
    }

    #[test]
    fn faults_start_when_injected() {
        let disk = FaultyDisk::new();
        let file = disk.create("a").unwrap();
        disk.inject(Fault::DiesAt(1));
        file.write_at(b"x", 0).unwrap();
        assert!(file.write_at(b"y", 1).is_err());
        assert!(file.sync_data().is_err());
        let other = FaultyDisk::new();
        other.set_capacity_bytes(Some(10));
        let file = other.create("a").unwrap();
        let error = file.preallocate(11).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
        other.set_capacity_bytes(None);
        file.preallocate(11).unwrap();
    }
}
