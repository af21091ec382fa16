//! The store's promises, over memory that loses power and over a real directory.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;

use super::{
    Batch, Drive, Durability, Error, MessageId, Options, Point, Position, Progress, QueueId,
    RecoveredQueue, Recovery, Store, Waiter,
    disk::{Disk, DiskFile, Fault, FaultyDisk, RealDisk},
    mutation::Mutation,
    recovery::comparable,
};

pub(super) const QUEUE: QueueId = QueueId(1);

pub(super) fn manual() -> Options {
    Options {
        drive: Drive::Manual,
        file_bytes: 4096,
        roll_bytes: 8192,
        ..Options::default()
    }
}

pub(super) fn open(disk: &FaultyDisk, options: Options) -> (Store, Recovery) {
    Store::open(Arc::new(disk.clone()), options).unwrap()
}

pub(super) fn publish(
    store: &Store,
    queues: &[QueueId],
    content: &[u8],
) -> Result<(MessageId, Position), Error> {
    let mut batch = Batch::new();
    batch.publish(queues, &[content]);
    let appended = store.append(batch)?;
    Ok((appended.first, appended.position))
}

pub(super) fn ack(store: &Store, queue: QueueId, ids: &[MessageId]) -> Position {
    let mut batch = Batch::new();
    batch.ack(queue, ids);
    store.append(batch).unwrap().position
}

/// Id and delivery count of each message.
pub(super) fn messages_of(queue: &RecoveredQueue) -> impl Iterator<Item = (MessageId, u8)> {
    queue.runs.iter().flat_map(|run| {
        let ids = run.ids().start().0..=run.ids().end().0;
        ids.map(|id| (MessageId(id), run.returns))
    })
}

pub(super) fn ids_of(recovery: &Recovery, queue: QueueId) -> Vec<MessageId> {
    let found = recovery.queues.iter().find(|other| other.id == queue);
    found
        .map(|queue| messages_of(queue).map(|(id, _)| id).collect())
        .unwrap_or_default()
}

/// What every disk must make the store do.
fn conforms(disk: &Arc<dyn Disk>, options: &Options) {
    let reopen = || Store::open(Arc::clone(disk), options.clone()).unwrap();
    let (store, recovery) = reopen();
    assert!(recovery.definitions.is_empty() && recovery.queues.is_empty());
    assert!(matches!(
        Store::open(Arc::clone(disk), options.clone()),
        Err(Error::Locked)
    ));
    let other = QueueId(2);
    store
        .define(&[
            (b"a".to_vec(), Some(b"1".to_vec())),
            (b"b".to_vec(), Some(b"2".to_vec())),
        ])
        .unwrap();
    store.define(&[(b"a".to_vec(), None)]).unwrap();
    let mut expected = BTreeMap::new();
    for n in 0..300u32 {
        let content = vec![n as u8; 10 + n as usize];
        let (id, _) = publish(&store, &[QUEUE, other], &content).unwrap();
        assert_eq!(
            store.read(QUEUE, id).unwrap(),
            content,
            "read before it is written"
        );
        expected.insert(id, content);
    }
    let ids: Vec<_> = expected.keys().copied().collect();
    ack(&store, QUEUE, &ids[10..290]);
    let mut batch = Batch::new();
    batch.returned(QUEUE, &ids[295..297]);
    batch.handed_out(QUEUE, ids[297]);
    batch.gone(other);
    let position = store.append(batch).unwrap().position;
    store.wait(position).unwrap();
    assert!(store.progress().covers(position));
    assert!(matches!(store.read(QUEUE, ids[20]), Err(Error::NoMessage)));
    store.close().unwrap();
    assert!(matches!(
        publish(&store, &[QUEUE], b"late"),
        Err(Error::Closed)
    ));
    drop(store);

    for _ in 0..3 {
        let (store, recovery) = reopen();
        assert_eq!(recovery.damage, []);
        assert_eq!(recovery.definitions, [(b"b".to_vec(), b"2".to_vec())]);
        assert_eq!(recovery.queues.len(), 1);
        assert_eq!(recovery.queues[0].handed_out, ids[297]);
        assert_eq!(ids_of(&recovery, QUEUE), [&ids[..10], &ids[290..]].concat());
        let returned: Vec<_> = messages_of(&recovery.queues[0])
            .filter(|(_, returns)| *returns == 1)
            .map(|(id, _)| id)
            .collect();
        assert_eq!(returned, ids[295..297]);
        for id in ids_of(&recovery, QUEUE) {
            assert_eq!(store.read(QUEUE, id).unwrap(), expected[&id]);
        }
        store.close().unwrap();
    }
}

#[test]
fn conforms_in_memory() {
    conforms(&(Arc::new(FaultyDisk::new()) as Arc<dyn Disk>), &manual());
}

#[test]
fn conforms_on_a_real_directory_with_threads() {
    let directory = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(directory.path()).unwrap());
    conforms(
        &disk,
        &Options {
            drive: Drive::Threads,
            ..manual()
        },
    );
}

/// What a waiter was told.
#[derive(Default)]
struct Told(Mutex<Vec<Result<Progress, Error>>>);

impl Waiter for Told {
    fn reached(&self, result: Result<Progress, Error>) {
        self.0.lock().push(result);
    }
}

#[test]
fn waiters_are_told_once_their_position_is_durable() {
    let disk = FaultyDisk::new();
    let (store, _) = open(&disk, manual());
    let told = Arc::new(Told::default());
    let (_, position) = publish(&store, &[QUEUE], b"x").unwrap();
    store.when_durable(position, Arc::clone(&told) as Arc<dyn Waiter>);
    assert!(told.0.lock().is_empty());
    store.write();
    assert!(matches!(told.0.lock()[..], [Ok(reached)] if reached.covers(position)));
    disk.inject(Fault::SyncFails);
    let (_, position) = publish(&store, &[QUEUE], b"y").unwrap();
    store.when_durable(position, Arc::clone(&told) as Arc<dyn Waiter>);
    store.write();
    assert!(
        matches!(told.0.lock()[..], [Ok(_), Err(Error::Failed(_))]),
        "a failed sync is told to who waits"
    );
    assert!(
        matches!(publish(&store, &[QUEUE], b"z"), Err(Error::Failed(_))),
        "and refuses what follows"
    );
    assert!(store.failed().is_some());
}

/// A history with what was promised on the way.
pub(super) struct History {
    random: fastrand::Rng,
    next: u64,
    /// What each queue holds, by the order of publishing.
    live: [BTreeMap<MessageId, u64>; 3],
    /// Appended and not known durable: what to note when it is.
    unsettled: Vec<(Position, Fact)>,
    published: BTreeMap<(QueueId, MessageId), u64>,
    must_be_there: BTreeSet<(QueueId, MessageId)>,
    must_be_gone: BTreeSet<(QueueId, MessageId)>,
    /// Acked, durably or not: may be there or not.
    may_be_gone: BTreeSet<(QueueId, MessageId)>,
}

#[derive(Clone)]
enum Fact {
    Published(Vec<(QueueId, MessageId)>),
    Acked(QueueId, Vec<MessageId>),
}

impl History {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            next: 0,
            live: Default::default(),
            unsettled: Vec::new(),
            published: BTreeMap::new(),
            must_be_there: BTreeSet::new(),
            must_be_gone: BTreeSet::new(),
            may_be_gone: BTreeSet::new(),
        }
    }

    /// The next thing that happens. An error means the store refused it.
    pub(super) fn step(&mut self, store: &Store) -> Result<(), Error> {
        match self.random.u32(..10) {
            0..5 => {
                let queues: Vec<_> = (0..3).filter(|_| self.random.bool()).map(QueueId).collect();
                let mut batch = Batch::new();
                let numbers: Vec<_> = (0..self.random.u64(1..4)).map(|n| self.next + n).collect();
                self.next += numbers.len() as u64;
                for number in &numbers {
                    batch.publish(&queues, &[&content(*number)]);
                }
                let appended = store.append(batch)?;
                let mut facts = Vec::new();
                for (place, number) in numbers.iter().enumerate() {
                    let id = MessageId(appended.first.0 + place as u64);
                    for queue in &queues {
                        self.live[queue.0 as usize].insert(id, *number);
                        self.published.insert((*queue, id), *number);
                        facts.push((*queue, id));
                    }
                }
                self.unsettled
                    .push((appended.position, Fact::Published(facts)));
            }
            5..8 => {
                let queue = self.random.usize(..3);
                let count = self.random.usize(..8);
                let mut ids: Vec<_> = self.live[queue].keys().copied().take(count).collect();
                ids.retain(|_| self.random.u8(..) > 20);
                let mut batch = Batch::new();
                let queue = QueueId(queue as u32);
                batch.ack(queue, &ids);
                self.may_be_gone.extend(ids.iter().map(|id| (queue, *id)));
                let position = store.append(batch)?.position;
                for id in &ids {
                    self.live[queue.0 as usize].remove(id);
                }
                self.unsettled.push((position, Fact::Acked(queue, ids)));
            }
            8 => {
                if let Some((position, _)) = self.unsettled.last() {
                    store.wait(*position)?;
                }
            }
            _ => {
                store.write();
                store.keep();
            }
        }
        self.note(store.progress());
        Ok(())
    }

    fn note(&mut self, reached: Progress) {
        for (_, fact) in self
            .unsettled
            .extract_if(.., |(position, _)| reached.covers(*position))
        {
            match fact {
                Fact::Published(keys) => self.must_be_there.extend(keys),
                Fact::Acked(queue, ids) => self
                    .must_be_gone
                    .extend(ids.into_iter().map(|id| (queue, id))),
            }
        }
    }

    /// Whether a disk after a crash keeps the promises.
    pub(super) fn check(&self, disk: &FaultyDisk) -> Result<(), String> {
        let (store, recovery) =
            Store::open(Arc::new(disk.clone()), manual()).map_err(|error| error.to_string())?;
        let mut found = BTreeSet::new();
        for queue in &recovery.queues {
            if !messages_of(queue).is_sorted() {
                return Err("out of order".to_owned());
            }
            for (id, _) in messages_of(queue) {
                let key = (queue.id, id);
                // An id that was never promised may be used again after the crash, so the content decides.
                let number = self
                    .published
                    .get(&key)
                    .ok_or_else(|| format!("a phantom {key:?}"))?;
                let read = store
                    .read(queue.id, id)
                    .map_err(|error| error.to_string())?;
                if read != content(*number) {
                    return Err(format!("another content of {key:?}"));
                }
                found.insert(key);
            }
        }
        for key in &self.must_be_there {
            if !found.contains(key) && !self.may_be_gone.contains(key) {
                return Err(format!(
                    "a durable message is lost: {key:?}; damage {:?}",
                    recovery.damage
                ));
            }
        }
        match self.must_be_gone.intersection(&found).next() {
            Some(key) => Err(format!("a durably acknowledged message is back: {key:?}")),
            None => Ok(()),
        }
    }
}

pub(super) fn content(number: u64) -> Vec<u8> {
    let len = 8 + (number * 37 % 200) as usize;
    number.to_le_bytes().into_iter().cycle().take(len).collect()
}

/// Runs a history, cutting the power again and again, and returns what was broken.
fn simulate(seed: u64) -> Result<(), String> {
    let disk = FaultyDisk::new();
    let (store, _) = open(&disk, manual());
    let mut history = History::new(seed);
    let steps = history.random.usize(20..400);
    for step in 0..steps {
        history.step(&store).map_err(|error| error.to_string())?;
        if step % 23 == 0 {
            history.check(&disk.power_cut(seed ^ step as u64))?;
        }
    }
    history.check(&disk.power_cut(seed))?;
    history.check(&disk.kill())
}

#[test]
fn a_power_cut_loses_nothing_that_was_durable() {
    for seed in 0..300 {
        if let Err(broken) = simulate(seed) {
            panic!("seed {seed}: {broken}");
        }
    }
}

#[test]
fn the_simulation_notices_a_confirm_before_the_sync() {
    let _wrong = Mutation::ConfirmBeforeSync.turn_on();
    let caught = (0..20).filter(|seed| simulate(*seed).is_err()).count();
    assert!(caught >= 15, "only {caught} of 20 seeds notice");
}

#[test]
fn a_crash_at_any_disk_operation_loses_nothing_that_was_durable() {
    for seed in 0..4 {
        let mut total = u64::MAX;
        let mut dies_at = 0;
        while dies_at < total {
            let disk = FaultyDisk::new();
            let (store, _) = open(&disk, manual());
            let before = disk.operations();
            disk.inject(Fault::DiesAt(dies_at));
            let mut history = History::new(seed);
            let mut is_dead = false;
            for _ in 0..250 {
                if history.step(&store).is_err() {
                    is_dead = true;
                    break;
                }
            }
            if !is_dead {
                total = disk.operations() - before;
            }
            for cut in 0..5 {
                let result = history.check(&disk.power_cut(dies_at * 5 + cut));
                assert_eq!(result, Ok(()), "seed {seed}, died at {dies_at}, cut {cut}");
            }
            assert_eq!(
                history.check(&disk.kill()),
                Ok(()),
                "seed {seed}, died at {dies_at}"
            );
            dies_at += 1;
        }
    }
}

#[test]
fn crashes_in_a_row_recover_to_what_runs() {
    for seed in 0..40 {
        let mut disk = FaultyDisk::new();
        let mut random = fastrand::Rng::with_seed(seed);
        let mut next = 0u64;
        for life in 0..6 {
            let (store, recovery) = open(&disk, manual());
            assert_eq!(recovery.damage, [], "seed {seed}, life {life}");
            let mut position = Position::new(Point(0), Durability::Sync);
            for _ in 0..random.usize(..60) {
                let queue = QueueId(random.u32(..2));
                let ids: Vec<_> = {
                    let inner = store.log.inner.lock();
                    inner
                        .state
                        .queues
                        .get(&queue)
                        .into_iter()
                        .flat_map(|ledger| ledger.iter())
                        .collect()
                };
                if random.bool() || ids.is_empty() {
                    next += 1;
                    position = publish(&store, &[queue], &content(next)).unwrap().1;
                } else {
                    let id = ids[random.usize(..ids.len())];
                    let mut batch = Batch::new();
                    if random.bool() {
                        batch.ack(queue, &[id])
                    } else {
                        batch.returned(queue, &[id])
                    }
                    position = store.append(batch).unwrap().position;
                }
                store.keep();
            }
            store.wait(position).unwrap();
            let running = comparable(&store.log.inner.lock().state);
            disk = disk.power_cut(seed);
            let (store, _) = open(&disk.kill(), manual());
            assert_eq!(
                comparable(&store.log.inner.lock().state),
                running,
                "seed {seed}, life {life}"
            );
        }
    }
}

#[test]
fn a_roll_keeps_what_lives_and_lets_go_of_the_rest() {
    let disk = FaultyDisk::new();
    let (store, _) = open(&disk, manual());
    let (kept, _) = publish(&store, &[QUEUE], b"kept").unwrap();
    for n in 0..2000 {
        let (id, position) = publish(&store, &[QUEUE], &content(n)).unwrap();
        ack(&store, QUEUE, &[id]);
        store.wait(position).unwrap();
        store.keep();
    }
    let names = disk.list().unwrap();
    assert!(
        names.iter().filter(|name| name.starts_with("wal-")).count() <= 5,
        "{names:?}"
    );
    assert_eq!(
        names.iter().filter(|name| name.starts_with("seg-")).count(),
        1,
        "{names:?}"
    );
    assert_eq!(store.read(QUEUE, kept).unwrap(), &b"kept"[..]);
    ack(&store, QUEUE, &[kept]);
    for n in 0..200 {
        let (id, _) = publish(&store, &[QUEUE], &content(n)).unwrap();
        ack(&store, QUEUE, &[id]);
        store.keep();
    }
    assert!(
        !disk
            .list()
            .unwrap()
            .iter()
            .any(|name| name.starts_with("seg-")),
        "an empty queue has no file"
    );
}

/// A store with three durable messages, each in a record of its own, closed.
fn three_messages() -> (FaultyDisk, Vec<MessageId>, String) {
    let disk = FaultyDisk::new();
    let (store, _) = open(&disk, manual());
    let ids = (0..3)
        .map(|n| publish(&store, &[QUEUE], &[n; 100]).unwrap().0)
        .collect();
    store.close().unwrap();
    drop(store);
    let wal = disk
        .list()
        .unwrap()
        .into_iter()
        .find(|name| name.starts_with("wal-"))
        .unwrap();
    (disk, ids, wal)
}

fn position_of(disk: &FaultyDisk, file: &str, needle: &[u8]) -> u64 {
    let bytes = disk.bytes(file).unwrap();
    bytes
        .windows(needle.len())
        .position(|window| window == needle)
        .unwrap() as u64
}

#[test]
fn damage_in_the_middle_is_named_and_the_rest_serves() {
    let (disk, ids, wal) = three_messages();
    let at = position_of(&disk, &wal, &[1; 100]);
    disk.damage(&wal, at + 50, |bytes| bytes[0] ^= 4);
    for _ in 0..2 {
        let (store, recovery) = open(&disk, manual());
        assert_eq!(ids_of(&recovery, QUEUE), [ids[0], ids[2]]);
        let damage = recovery
            .damage
            .iter()
            .find(|damage| damage.bytes.contains(&at))
            .expect("named");
        assert_eq!(damage.file, wal);
        assert_eq!(store.read(QUEUE, ids[2]).unwrap(), &[2; 100][..]);
        store.close().unwrap();
    }
}

#[test]
fn a_torn_end_is_cut_off_without_a_word() {
    let (disk, ids, wal) = three_messages();
    let at = position_of(&disk, &wal, &[2; 100]);
    disk.damage(&wal, at + 40, |bytes| bytes.fill(0));
    for _ in 0..3 {
        let (store, recovery) = open(&disk, manual());
        assert_eq!(
            (ids_of(&recovery, QUEUE), recovery.damage),
            (ids[..2].to_vec(), Vec::new())
        );
        store.close().unwrap();
    }
}

#[test]
fn a_damaged_manifest_is_replaced_by_its_copy() {
    let (disk, ids, _) = three_messages();
    disk.damage("manifest", 9, |bytes| bytes[0] ^= 1);
    let (_, recovery) = open(&disk, manual());
    assert_eq!(ids_of(&recovery, QUEUE), ids);
    assert_eq!(recovery.damage.len(), 1);
    assert_eq!(recovery.damage[0].file, "manifest");
}

#[test]
fn a_damaged_message_in_a_segment_is_an_error_of_that_message_alone() {
    let disk = FaultyDisk::new();
    let (store, _) = open(&disk, manual());
    let (first, _) = publish(&store, &[QUEUE], &[7; 100]).unwrap();
    let (second, _) = publish(&store, &[QUEUE], &[9; 100]).unwrap();
    for n in 0..200 {
        let (id, _) = publish(&store, &[QUEUE], &content(n)).unwrap();
        ack(&store, QUEUE, &[id]);
        store.keep();
    }
    let segment = disk
        .list()
        .unwrap()
        .into_iter()
        .find(|name| name.starts_with("seg-"))
        .unwrap();
    let at = position_of(&disk, &segment, &[7; 100]);
    disk.damage(&segment, at + 3, |bytes| bytes[0] = 0);
    assert!(matches!(store.read(QUEUE, first), Err(Error::Damaged(_))));
    assert_eq!(store.read(QUEUE, second).unwrap(), &[9; 100][..]);
}

#[test]
fn a_full_volume_refuses_messages_before_anything_is_promised_and_recovers() {
    for options in [
        manual(),
        Options {
            drive: Drive::Threads,
            ..manual()
        },
    ] {
        let disk = FaultyDisk::new();
        let (store, _) = open(
            &disk,
            Options {
                roll_bytes: 1 << 20,
                ..options
            },
        );
        disk.set_capacity_bytes(Some(20 * 1024));
        let mut promised = Vec::new();
        let refused = loop {
            match publish(&store, &[QUEUE], &[3; 500]) {
                Ok((id, position)) => {
                    store.wait(position).unwrap();
                    promised.push(id);
                }
                Err(error) => break error,
            }
            assert!(promised.len() < 100, "the volume never filled up");
        };
        assert!(matches!(refused, Error::NoSpace), "{refused}");
        assert!(store.failed().is_none());
        let position = ack(&store, QUEUE, &promised[..1]);
        store.wait(position).unwrap();
        let (_, recovery) = open(&disk.kill(), manual());
        assert_eq!(ids_of(&recovery, QUEUE), promised[1..]);
        disk.set_capacity_bytes(None);
        while publish(&store, &[QUEUE], b"again").is_err() {
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_start_on_a_full_volume_serves_what_is_there_and_takes_more_once_that_is_gone() {
    let options = Options {
        drive: Drive::Manual,
        file_bytes: 64 * 1024,
        roll_bytes: 1 << 20,
        ..Options::default()
    };
    let disk = FaultyDisk::new();
    disk.set_capacity_bytes(Some(220 * 1024));
    let (store, _) = open(&disk, options.clone());
    let mut promised = Vec::new();
    while let Ok((id, position)) = publish(&store, &[QUEUE], &[3; 5000]) {
        store.wait(position).unwrap();
        promised.push(id);
        assert!(promised.len() < 100, "the volume never filled up");
    }

    let disk = disk.kill();
    disk.set_capacity_bytes(Some(220 * 1024));
    let (store, recovery) = open(&disk, options.clone());
    assert_eq!(ids_of(&recovery, QUEUE), promised);
    for id in &promised {
        let position = ack(&store, QUEUE, &[*id]);
        store.wait(position).unwrap();
    }
    let (id, position) = publish(&store, &[QUEUE], &[4; 5000]).unwrap();
    store.wait(position).unwrap();

    let (_, recovery) = open(&disk.power_cut(1), options);
    assert_eq!(ids_of(&recovery, QUEUE), [id]);
}

#[test]
fn a_volume_that_is_short_of_room_gets_back_what_consumers_made_free() {
    let options = Options {
        roll_bytes: 1 << 20,
        ..manual()
    };
    let disk = FaultyDisk::new();
    let (store, _) = open(&disk, options.clone());
    let ids: Vec<_> = (0..40)
        .map(|_| publish(&store, &[QUEUE], &[3; 1000]).unwrap().0)
        .collect();
    ack(&store, QUEUE, &ids[..39]);
    store.write();
    store.keep();
    let before = disk.list().unwrap().len();
    assert!(before > 10, "much is dead, but the log is short");
    store.make_room();
    store.keep();
    let names = disk.list().unwrap();
    assert!(names.len() <= 5, "{names:?}");
    let (_, recovery) = open(&disk.power_cut(1), options);
    assert_eq!(recovery.damage, []);
    assert_eq!(ids_of(&recovery, QUEUE), ids[39..]);
}

#[test]
fn a_small_log_file_from_a_start_on_a_full_volume_is_given_back_too() {
    let options = Options {
        file_bytes: 64 << 10,
        roll_bytes: 1 << 20,
        ..manual()
    };
    let disk = FaultyDisk::new();
    let (store, _) = open(&disk, options.clone());
    let (id, _) = publish(&store, &[QUEUE], &[3; 5000]).unwrap();
    store.write();
    let disk = disk.kill();
    let used = |disk: &FaultyDisk| -> u64 {
        let names = disk.list().unwrap();
        let len = |name: &String| disk.bytes(name).unwrap().len() as u64;
        names.iter().map(len).sum()
    };
    disk.set_capacity_bytes(Some(used(&disk) + (20 << 10)));
    let (store, _) = open(&disk, options.clone());
    disk.set_capacity_bytes(None);
    store.keep();
    let mut ids = vec![id];
    for _ in 0..10 {
        ids.push(publish(&store, &[QUEUE], &[3; 5000]).unwrap().0);
        store.write();
    }
    ack(&store, QUEUE, &ids);
    for _ in 0..2 {
        // The current file and the next one stay.
        store.make_room();
        store.keep();
    }
    assert!(used(&disk) <= 130 << 10, "{} bytes", used(&disk));
}

#[test]
fn a_full_volume_lets_go_of_dead_segments_although_a_roll_has_no_room() {
    let options = Options {
        file_bytes: 16 << 10,
        roll_bytes: 32 << 10,
        ..manual()
    };
    let disk = FaultyDisk::new();
    let (store, _) = open(&disk, options.clone());
    let mut ids = Vec::new();
    for _ in 0..100 {
        ids.push(publish(&store, &[QUEUE], &[3; 1000]).unwrap().0);
        store.write();
        store.keep();
    }
    store.close().unwrap();
    drop(store);
    let segments = |disk: &FaultyDisk| {
        let mut names = disk.list().unwrap();
        names.retain(|name| name.starts_with("seg-"));
        names
    };
    let dead = segments(&disk);
    let len = |name: &String| disk.bytes(name).unwrap().len() as u64;
    let dead_bytes: u64 = dead.iter().map(len).sum();
    assert!(dead_bytes > 50_000, "{dead:?}");
    let used: u64 = disk.list().unwrap().iter().map(len).sum();
    disk.set_capacity_bytes(Some(used + (16 << 10) + 12_000));
    let options = Options {
        roll_bytes: 1 << 20,
        ..options
    };
    let (store, _) = open(&disk, options.clone());
    ack(&store, QUEUE, &ids);
    let mut promised = Vec::new();
    while let Ok((id, position)) = publish(&store, &[QUEUE], &[4; 1000]) {
        store.wait(position).unwrap();
        promised.push(id);
    }
    assert!(store.failed().is_none());
    let left = segments(&disk);
    assert!(dead.iter().all(|name| !left.contains(name)), "{left:?}");
    for seed in 0..20 {
        let (_, recovery) = open(&disk.power_cut(seed), options.clone());
        assert_eq!(recovery.damage, []);
        assert_eq!(ids_of(&recovery, QUEUE), promised);
    }
}

#[test]
fn an_entry_larger_than_a_file_gets_a_larger_file() {
    let disk = FaultyDisk::new();
    let (store, _) = open(&disk, manual());
    let large = vec![5; 50_000];
    let (id, position) = publish(&store, &[QUEUE], &large).unwrap();
    store.wait(position).unwrap();
    let (small, position) = publish(&store, &[QUEUE], b"small").unwrap();
    store.wait(position).unwrap();
    let (store, recovery) = open(&disk.power_cut(1), manual());
    assert_eq!(ids_of(&recovery, QUEUE), [id, small]);
    assert_eq!(store.read(QUEUE, id).unwrap(), large);
}

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
fn no_damage_makes_recovery_panic() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let disk = FaultyDisk::new();
        let (store, _) = open(&disk, manual());
        let mut history = History::new(seed);
        for _ in 0..120 {
            history.step(&store).unwrap();
        }
        store.close().unwrap();
        drop(store);
        for name in disk.list().unwrap() {
            let len = disk.bytes(&name).unwrap().len();
            for _ in 0..random.usize(..4) {
                let at = random.usize(..len) as u64;
                disk.damage(&name, at, |bytes| bytes[0] = random.u8(..));
            }
        }
        let Ok((store, recovery)) = Store::open(Arc::new(disk.clone()), manual()) else {
            continue;
        };
        for queue in &recovery.queues {
            for (id, _) in messages_of(queue) {
                if let (Ok(read), Some(number)) = (
                    store.read(queue.id, id),
                    history.published.get(&(queue.id, id)),
                ) {
                    assert_eq!(
                        read,
                        content(*number),
                        "seed {seed}: damage passed for a message"
                    );
                }
            }
        }
    }
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
