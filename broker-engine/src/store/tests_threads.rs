//! Writer, keeper and those who wait, each in a thread of its own.

use std::{io, sync::Arc, time::Duration};

use parking_lot::Mutex;

use super::{
    Drive, Durability, MessageId, Options, QueueId, Store, Waiter,
    disk::{Disk, DiskFile, FaultyDisk, RealDisk},
    tests::{QUEUE, Told, ack, ids_of, manual, open, publish},
    tests_crashes::content,
};

/// A disk whose syncs wait until the test lets them go on.
struct Gate {
    disk: FaultyDisk,
    lock: Arc<Mutex<()>>,
}

struct GatedFile {
    file: Arc<dyn DiskFile>,
    lock: Arc<Mutex<()>>,
}

impl Gate {
    fn gated(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        let lock = Arc::clone(&self.lock);
        Arc::new(GatedFile { file, lock })
    }
}

impl Disk for Gate {
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.gated(self.disk.create(name)?))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.gated(self.disk.open(name)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.disk.sync_dir()
    }

    fn available_bytes(&self) -> io::Result<u64> {
        self.disk.available_bytes()
    }

    fn lock(&self) -> io::Result<Option<Box<dyn Send + Sync>>> {
        self.disk.lock()
    }
}

impl DiskFile for GatedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)
    }

    fn preallocate(&self, len: u64) -> io::Result<()> {
        self.file.preallocate(len)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.file.truncate(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn sync_data(&self) -> io::Result<()> {
        let _turn = self.lock.lock();
        self.file.sync_data()
    }
}

fn with_threads(durability: Durability) -> Options {
    Options {
        drive: Drive::Threads,
        durability,
        file_bytes: 64 << 10,
        ..manual()
    }
}

/// Looks again and again until something is so.
fn await_that(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("it never came that {what}");
}

#[test]
fn who_waits_for_a_write_does_not_wait_for_a_sync_under_way() {
    let lock = Arc::new(Mutex::new(()));
    let disk = Gate {
        disk: FaultyDisk::new(),
        lock: Arc::clone(&lock),
    };
    let (store, _) = Store::open(Arc::new(disk), with_threads(Durability::Sync)).unwrap();
    let closed = lock.lock();
    let (_, synced) = publish(&store, &[QUEUE], b"synced").unwrap();
    let told = Arc::new(Told::default());
    store.when_durable(synced, Arc::clone(&told) as Arc<dyn Waiter>);
    await_that("the sync is under way", || {
        store.log.inner.lock().is_syncing
    });
    let (_, written) = publish(&store, &[QUEUE], b"written").unwrap();
    let written = written.at(Durability::Write);
    store.when_durable(written, Arc::clone(&told) as Arc<dyn Waiter>);
    {
        let told = told.0.lock();
        let [Ok(progress)] = told[..] else {
            panic!("{told:?}")
        };
        assert!(progress.covers(written) && !progress.covers(synced));
    }
    drop(closed);
    store.wait(synced).unwrap();
    await_that("both were told", || told.0.lock().len() == 2);
}

#[test]
fn what_nobody_waits_for_is_synced_soon_where_that_is_asked_for() {
    let (store, _) =
        Store::open(Arc::new(FaultyDisk::new()), with_threads(Durability::Write)).unwrap();
    let (_, position) = publish(&store, &[QUEUE], b"x").unwrap();
    store.wait(position).unwrap();
    assert!(!store.progress().covers(position.at(Durability::Sync)));
    store.sync_soon();
    await_that("it is synced", || {
        store.progress().covers(position.at(Durability::Sync))
    });
}

#[test]
fn traffic_does_not_put_off_the_sync_of_what_nobody_waits_for() {
    let (store, _) =
        Store::open(Arc::new(FaultyDisk::new()), with_threads(Durability::Sync)).unwrap();
    let (_, first) = publish(&store, &[QUEUE], b"first").unwrap();
    await_that("the first is synced", || {
        let (_, position) = publish(&store, &[QUEUE], b"more").unwrap();
        store.wait(position.at(Durability::Write)).unwrap();
        store.progress().covers(first)
    });
}

#[test]
fn what_is_written_but_not_synced_survives_the_process() {
    let disk = FaultyDisk::new();
    let options = Options {
        durability: Durability::Write,
        ..manual()
    };
    let (store, _) = open(&disk, options.clone());
    let (id, position) = publish(&store, &[QUEUE], b"written").unwrap();
    store.wait(position).unwrap();
    let (_, recovery) = open(&disk.kill(), options);
    assert_eq!(ids_of(&recovery, QUEUE), [id]);
}

#[test]
fn many_threads_share_one_log_while_it_rolls() {
    let directory = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(directory.path()).unwrap());
    let options = Options {
        drive: Drive::Threads,
        file_bytes: 16384,
        roll_bytes: 32768,
        ..Options::default()
    };
    let (store, _) = Store::open(Arc::clone(&disk), options.clone()).unwrap();
    let kept: Vec<Vec<(MessageId, u64)>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4u32)
            .map(|worker| {
                let store = &store;
                scope.spawn(move || {
                    let queue = QueueId(worker);
                    let mut kept = Vec::new();
                    for n in 0..400 {
                        let (id, position) = publish(store, &[queue], &content(n)).unwrap();
                        if n % 5 == 0 {
                            kept.push((id, n));
                        } else {
                            ack(store, queue, &[id]);
                        }
                        if n % 50 == 0 {
                            store.wait(position).unwrap();
                        }
                        let (id, n) = kept[n as usize % kept.len()];
                        assert_eq!(store.read(queue, id).unwrap(), content(n));
                    }
                    kept
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .collect()
    });
    store.close().unwrap();
    drop(store);
    let (store, recovery) = Store::open(disk, options).unwrap();
    assert_eq!(recovery.damage, []);
    for (worker, kept) in kept.iter().enumerate() {
        let queue = QueueId(worker as u32);
        assert_eq!(
            ids_of(&recovery, queue),
            kept.iter().map(|(id, _)| *id).collect::<Vec<_>>()
        );
        for (id, n) in kept {
            assert_eq!(store.read(queue, *id).unwrap(), content(*n));
        }
    }
}
