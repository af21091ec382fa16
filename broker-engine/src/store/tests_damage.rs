//! Bytes that are not what was written: what is damaged is named, and the rest serves.

use std::sync::Arc;

use super::{
    Batch, Error, MessageId, Store,
    disk::{Disk, FaultyDisk},
    tests::{QUEUE, ack, ids_of, manual, messages_of, open, publish},
    tests_crashes::{History, content},
};

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
fn what_a_bad_page_took_may_have_said_that_all_was_handed_out() {
    let disk = FaultyDisk::new();
    let (store, _) = open(&disk, manual());
    let (first, _) = publish(&store, &[QUEUE], &[1; 100]).unwrap();
    let mut statement = Batch::new();
    statement.handed_out(QUEUE, first);
    store.append(statement).unwrap();
    let (last, _) = publish(&store, &[QUEUE], &[2; 100]).unwrap();
    store.close().unwrap();
    drop(store);
    let names = disk.list().unwrap();
    let wal = names.iter().find(|name| name.starts_with("wal-")).unwrap();
    let behind_first = position_of(&disk, wal, &[1; 100]) + 100;
    for (damaged, expected) in [(false, first), (true, last)] {
        let disk = disk.kill();
        if damaged {
            disk.damage(wal, behind_first + 20, |bytes| bytes[0] ^= 4);
        }
        let (_, recovery) = open(&disk, manual());
        let queue = recovery.queues.iter().find(|queue| queue.id == QUEUE);
        assert_eq!(queue.unwrap().handed_out, expected);
        assert_eq!(recovery.damage.is_empty(), !damaged);
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
