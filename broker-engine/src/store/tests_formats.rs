//! Data directories of every format version that was released stay readable.
//!
//! `tests/formats/vN` was written by the release that introduced version N:
//! `WARREN_FORMAT=vN cargo test -p broker-engine --lib what_is_written_now_is_read`. It is never written again.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Batch, Drive, MessageId, Options, QueueId, Recovery, Store,
    disk::{Disk, RealDisk},
    tests::messages_of,
};

fn options() -> Options {
    Options {
        drive: Drive::Manual,
        file_bytes: 4096,
        roll_bytes: 8192,
        ..Options::default()
    }
}

fn content(queue: u32, number: u64) -> Vec<u8> {
    format!("message {number} of queue {queue}; ")
        .repeat(1 + number as usize % 3)
        .into_bytes()
}

/// What a queue holds: id, content and delivery count, oldest first.
type Held = Vec<(MessageId, Vec<u8>, u8)>;

/// The history behind every directory: queue 1 has messages in a segment, in part acknowledged, and in the log; queue 2
/// has single ones; queue 3 shares messages with queue 1 and ended; queue 4 was emptied. Returns what 1 and 2 hold.
fn write_history(store: &Store) -> [Held; 2] {
    let (one, two, three, four) = (QueueId(1), QueueId(2), QueueId(3), QueueId(4));
    let (mut of_one, mut of_two): (Held, Held) = Default::default();
    let keys = |name: &str, value: &str| (name.as_bytes().to_vec(), Some(value.into()));
    let defined = [keys("queue/1", "durable"), keys("queue/3", "durable")];
    store.define(&defined).unwrap();
    for number in 0..130 {
        let mut batch = Batch::new();
        let shared = content(1, number);
        batch.publish(&[one, three], &[&shared]);
        batch.publish(&[one], &[b"again: ", &shared]);
        if number % 10 == 0 {
            batch.publish(&[two], &[&content(2, number)]);
        }
        batch.publish(&[four], &[b"short-lived"]);
        let first = store.append(batch).unwrap().first;
        let id = |place: u64| MessageId(first.0 + place);
        of_one.push((id(0), shared.clone(), 0));
        of_one.push((id(1), [b"again: ", shared.as_slice()].concat(), 0));
        let last = if number % 10 == 0 {
            of_two.push((id(2), content(2, number), 0));
            id(3)
        } else {
            id(2)
        };
        let mut batch = Batch::new();
        batch.ack(four, &[last]);
        if number == 40 {
            batch.handed_out(one, of_one[20].0);
            batch.returned(one, &[of_one[3].0, of_one[9].0]);
            batch.gone(three);
            (of_one[3].2, of_one[9].2) = (1, 1);
        }
        if number == 50 {
            // In what is a segment by now: the front, and one here and there.
            let acked = [0, 1, 2, 5, 8, 12].map(|at: usize| of_one[at].0);
            batch.ack(one, &acked);
            batch.returned(one, &[of_one[9].0]);
            of_one[9].2 = 2;
            of_one.retain(|(id, ..)| !acked.contains(id));
        }
        store.append(batch).unwrap();
        store.write();
        store.keep();
    }
    let removed = [(b"queue/3".to_vec(), None)];
    store.define(&removed).unwrap();
    store.close().unwrap();
    [of_one, of_two]
}

fn open(path: &Path) -> (Store, Recovery) {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(path).unwrap());
    Store::open(disk, options()).unwrap()
}

fn check(path: &Path) {
    let model = tempfile::tempdir().unwrap();
    let expected = write_history(&open(model.path()).0);
    let (store, recovery) = open(path);
    assert_eq!(recovery.damage, []);
    assert_eq!(
        recovery.definitions,
        [(b"queue/1".to_vec(), b"durable".to_vec())]
    );
    for (queue, expected) in [1, 2].into_iter().zip(expected) {
        let queue = QueueId(queue);
        let found = recovery
            .queues
            .iter()
            .find(|found| found.id == queue)
            .unwrap();
        let held: Held = messages_of(found)
            .map(|(id, returns)| (id, store.read(queue, id).unwrap().to_vec(), returns))
            .collect();
        assert_eq!(held, expected, "{queue:?}");
        // The mark is at the first message of entry 21.
        let handed_out = if queue == QueueId(1) { 21 << 16 } else { 0 };
        assert_eq!(found.handed_out, MessageId(handed_out));
    }
    let others = recovery.queues.iter().filter(|queue| queue.id.0 > 2);
    assert!(others.into_iter().all(|queue| queue.runs.is_empty()));
    store.close().unwrap();
}

fn formats() -> PathBuf {
    test_support::directory::repository().join("broker-engine/tests/formats")
}

/// Checks a copy: a directory changes when it is opened.
fn check_copy(path: &Path) {
    let copy = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(path).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    for _ in 0..3 {
        check(copy.path());
    }
}

#[test]
fn every_released_format_is_read() {
    let versions: Vec<_> = std::fs::read_dir(formats()).unwrap().collect();
    assert!(versions.len() >= 2);
    for version in versions {
        check_copy(&version.unwrap().path());
    }
}

#[test]
fn what_is_written_now_is_read() {
    let scratch = tempfile::tempdir().unwrap();
    let path = match std::env::var("WARREN_FORMAT") {
        Ok(version) => formats().join(version),
        Err(_) => scratch.path().join("now"),
    };
    std::fs::create_dir(&path).unwrap();
    write_history(&open(&path).0);
    std::fs::remove_file(path.join("lock")).unwrap();
    check_copy(&path);
}
