//! The store's promises, over memory and over a real directory.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;

use super::{
    Batch, Drive, Error, MessageId, Options, Position, Progress, QueueId, RecoveredQueue, Recovery,
    Store, Waiter,
    disk::{Disk, Fault, FaultyDisk, RealDisk},
    tests_crashes::content,
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
pub(super) struct Told(pub(super) Mutex<Vec<Result<Progress, Error>>>);

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
