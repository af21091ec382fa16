//! What the store makes of volumes that fail, fill up, lose files or forget bytes: what was promised is there where its
//! bytes are, what is damaged is named, and the rest serves.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    Damage, Error, MessageId, Options, QueueId, Recovery, Store,
    disk::{Disk, Fault, FaultyDisk},
    doubt, manifest,
    tests::{QUEUE, ack, ids_of, manual, open, publish},
    tests_crashes::{History, content},
};

const OTHER: QueueId = QueueId(2);

/// Goes on with a history for so many steps, or until the store ends. True when it ended.
fn run(history: &mut History, store: &Store, steps: usize) -> bool {
    for _ in 0..steps {
        match history.step(store) {
            Ok(()) => {}
            // Nothing was promised, and there will be room again.
            Err(Error::NoSpace) => store.keep(),
            Err(_) => return true,
        }
    }
    store.failed().is_some()
}

fn check(history: &History, disk: &FaultyDisk, what: &str) {
    for seed in 0..4 {
        let result = history.check(&disk.power_cut(seed));
        assert_eq!(result, Ok(()), "{what}, power cut {seed}");
    }
    assert_eq!(history.check(&disk.kill()), Ok(()), "{what}, killed");
}

#[test]
fn a_failed_sync_ends_the_log_and_nothing_after_it_is_promised() {
    for seed in 0..4 {
        let (mut number, mut ends) = (0, 0);
        loop {
            let disk = FaultyDisk::new();
            let (store, _) = open(&disk, manual());
            let before = disk.syncs();
            disk.inject(Fault::SyncFailsAt(number));
            let mut history = History::new(seed);
            run(&mut history, &store, 150);
            let what = format!("seed {seed}, sync {number}");
            if let Some(error) = store.failed() {
                ends += 1;
                let progress = store.progress();
                assert!(matches!(error, Error::Failed(_)), "{what}: {error}");
                let late = publish(&store, &[QUEUE], b"late");
                assert!(matches!(late, Err(Error::Failed(_))), "{what}");
                store.write();
                assert!(store.close().is_err(), "{what}");
                assert_eq!(store.progress(), progress, "{what}: no later sync cures it");
            }
            check(&history, &disk, &what);
            if disk.syncs() - before <= number {
                break;
            }
            number += 1;
        }
        assert!(ends > 5, "{ends} of {number} syncs were of the log");
    }
}

#[test]
fn what_a_failed_sync_dropped_is_written_again_before_a_start_builds_on_it() {
    let disk = FaultyDisk::new();
    let (store, _) = open(&disk, manual());
    let (first, position) = publish(&store, &[QUEUE], b"confirmed").unwrap();
    store.wait(position).unwrap();
    disk.inject(Fault::SyncFailsAt(0));
    let (doubtful, position) = publish(&store, &[QUEUE], b"doubtful").unwrap();
    assert!(store.wait(position).is_err());

    // The process starts again, and sees bytes that are not on the platter.
    let disk = disk.kill();
    assert!(disk.list().unwrap().iter().any(|name| name == doubt::NAME));
    let (store, recovery) = open(&disk, manual());
    assert_eq!(ids_of(&recovery, QUEUE), [first, doubtful]);
    assert!(disk.list().unwrap().iter().all(|name| name != doubt::NAME));
    let (last, position) = publish(&store, &[QUEUE], b"built on it").unwrap();
    store.wait(position).unwrap();
    for seed in 0..8 {
        let (_, recovery) = open(&disk.power_cut(seed), manual());
        assert_eq!(recovery.damage, []);
        assert_eq!(ids_of(&recovery, QUEUE), [first, doubtful, last]);
    }
}

#[test]
fn a_sync_that_fails_at_the_start_is_remembered_by_the_next_start() {
    let disk = FaultyDisk::new();
    let (store, _) = open(&disk, manual());
    let (id, _) = publish(&store, &[QUEUE], b"written").unwrap();
    store.log.write_only();
    // The machine did not write back what the process had written, and cannot.
    disk.inject(Fault::SyncFailsAt(0));
    assert!(store.close().is_err());
    drop(store);
    let disk = disk.kill();
    disk.inject(Fault::SyncFailsAt(0));
    assert!(Store::open(Arc::new(disk.clone()), manual()).is_err());
    let (_, recovery) = open(&disk, manual());
    assert_eq!(ids_of(&recovery, QUEUE), [id]);
    let (_, recovery) = open(&disk.power_cut(0), manual());
    assert_eq!(ids_of(&recovery, QUEUE), [id]);
}

#[test]
fn no_room_at_any_operation_costs_nothing_that_was_promised() {
    for seed in 0..3 {
        let (mut full_at, mut ends) = (0, 0);
        loop {
            let disk = FaultyDisk::new();
            let (store, _) = open(&disk, manual());
            let before = disk.operations();
            disk.inject(Fault::FullAt(full_at));
            let mut history = History::new(seed);
            // A write into room that was taken ends the log, as any failed write does.
            let has_ended = run(&mut history, &store, 150);
            assert_eq!(has_ended, store.failed().is_some(), "full at {full_at}");
            check(&history, &disk, &format!("seed {seed}, full at {full_at}"));
            ends += u32::from(has_ended);
            if !has_ended && disk.operations() - before <= full_at {
                break;
            }
            full_at += 1;
        }
        assert!(ends > 5, "{ends} of {full_at} operations ended the log");
    }
}

/// A store with messages in segments and in the log, closed: 40 of one queue, 40 of the other, and a definition.
fn grown() -> (FaultyDisk, [Vec<MessageId>; 2]) {
    let disk = FaultyDisk::new();
    let (store, _) = open(&disk, manual());
    store
        .define(&[(b"a".to_vec(), Some(b"1".to_vec()))])
        .unwrap();
    let mut kept = [Vec::new(), Vec::new()];
    for n in 0..80_u64 {
        let at = n as usize % 2;
        let (id, _) = publish(&store, &[[QUEUE, OTHER][at]], &content(n)).unwrap();
        kept[at].push(id);
        // What comes and goes rolls the log.
        let (id, position) = publish(&store, &[QUEUE], &[1; 900]).unwrap();
        store.wait(position).unwrap();
        ack(&store, QUEUE, &[id]);
        store.keep();
    }
    store.close().unwrap();
    (disk, kept)
}

fn segments(disk: &FaultyDisk) -> Vec<String> {
    let names = disk.list().unwrap().into_iter();
    let segments: Vec<_> = names.filter(|name| name.starts_with("seg-")).collect();
    assert!(!segments.is_empty(), "nothing was rolled");
    segments
}

/// What can be read of a queue.
fn readable(store: &Store, recovery: &Recovery, queue: QueueId) -> BTreeSet<MessageId> {
    let ids = ids_of(recovery, queue).into_iter();
    ids.filter(|id| store.read(queue, *id).is_ok()).collect()
}

/// The store takes messages and keeps them.
fn serves(disk: &FaultyDisk, options: &Options) {
    let (store, _) = open(disk, options.clone());
    let (id, position) = publish(&store, &[QUEUE], b"more").unwrap();
    store.wait(position).unwrap();
    drop(store);
    let (store, recovery) = open(&disk.power_cut(3), options.clone());
    assert!(ids_of(&recovery, QUEUE).contains(&id));
    assert_eq!(store.read(QUEUE, id).unwrap(), &b"more"[..]);
}

#[test]
fn a_missing_segment_is_named_and_the_rest_serves() {
    let (disk, kept) = grown();
    for missing in segments(&disk) {
        let disk = disk.kill();
        disk.remove(&missing).unwrap();
        disk.sync_dir().unwrap();
        let (store, recovery) = open(&disk, manual());
        let named: Vec<_> = recovery.damage.iter().map(|damage| &damage.file).collect();
        assert_eq!(named, [&missing]);
        assert_eq!(recovery.definitions.len(), 1);
        let mut left = 0;
        for (queue, kept) in [QUEUE, OTHER].into_iter().zip(&kept) {
            let found = readable(&store, &recovery, queue);
            assert_eq!(found.len(), ids_of(&recovery, queue).len());
            assert!(found.iter().all(|id| kept.contains(id)), "one returned");
            left += found.len();
        }
        assert!((1..80).contains(&left), "{left} messages are left");
        drop(store);
        serves(&disk, &manual());
    }
}

#[test]
fn without_any_manifest_no_message_is_lost() {
    let (disk, kept) = grown();
    let ways: [fn(&FaultyDisk, &str); 2] = [
        |disk, name| disk.remove(name).unwrap(),
        |disk, name| disk.damage(name, 20, |bytes| bytes[0] ^= 1),
    ];
    for lose in ways {
        let disk = disk.kill();
        manifest::NAMES.iter().for_each(|name| lose(&disk, name));
        disk.sync_dir().unwrap();
        let (store, recovery) = open(&disk, manual());
        let is_named = |damage: &Damage| damage.file == manifest::NAMES[0];
        assert!(
            recovery.damage.iter().any(is_named),
            "{:?}",
            recovery.damage
        );
        for (queue, kept) in [QUEUE, OTHER].into_iter().zip(&kept) {
            let found = readable(&store, &recovery, queue);
            // What was acknowledged may return.
            assert!(kept.iter().all(|id| found.contains(id)), "{queue:?}");
        }
        drop(store);
        serves(&disk, &manual());
    }
}

#[test]
fn a_segment_without_its_index_is_read_from_its_messages() {
    let (disk, kept) = grown();
    for name in segments(&disk) {
        let disk = disk.kill();
        let len = disk.bytes(&name).unwrap().len() as u64;
        disk.open(&name).unwrap().truncate(len - 40).unwrap();
        let (store, recovery) = open(&disk, manual());
        assert!(recovery.damage.iter().any(|damage| damage.file == name));
        for (queue, kept) in [QUEUE, OTHER].into_iter().zip(&kept) {
            let found = readable(&store, &recovery, queue);
            assert!(
                kept.iter().all(|id| found.contains(id)),
                "{queue:?} of {name}"
            );
        }
    }
}

#[test]
fn a_damaged_page_of_the_log_costs_what_lies_in_it_and_no_more() {
    const PAGE: usize = 512;
    let options = Options {
        file_bytes: 64 << 10,
        roll_bytes: 1 << 20,
        ..manual()
    };
    let disk = FaultyDisk::new();
    let (store, _) = open(&disk, options.clone());
    let ids: Vec<_> = (0..100)
        .map(|n| publish(&store, &[QUEUE], &content(n)).unwrap().0)
        .collect();
    store.close().unwrap();
    drop(store);
    let mut names = disk.list().unwrap().into_iter();
    let wal = names.find(|name| name.starts_with("wal-")).unwrap();
    let bytes = disk.bytes(&wal).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    // The first page has the file's head, the last one may pass for a torn end.
    for page in 1..used / PAGE - 1 {
        for garbage in [0, 0xff] {
            let disk = disk.kill();
            let at = (page * PAGE) as u64;
            disk.damage(&wal, at, |bytes| bytes[..PAGE].fill(garbage));
            let (store, recovery) = open(&disk, options.clone());
            let found = readable(&store, &recovery, QUEUE);
            assert!(found.iter().all(|id| ids.contains(id)));
            // A record has 32 bytes and more, and one may reach into the page from either side.
            let lost = ids.len() - found.len();
            assert!(
                (1..=PAGE / 32 + 2).contains(&lost),
                "page {page}: {lost} are lost"
            );
            let holds = |damage: &Damage| damage.bytes.contains(&(at + 8));
            let named = recovery.damage.iter().find(|damage| holds(damage));
            assert_eq!(
                named.map(|damage| &damage.file),
                Some(&wal),
                "page {page}: {:?}",
                recovery.damage
            );
            drop(store);
            serves(&disk, &options);
        }
    }
}

#[test]
fn a_damaged_page_of_a_segment_costs_what_lies_in_it_and_no_more() {
    const PAGE: usize = 256;
    let (disk, kept) = grown();
    for name in segments(&disk) {
        let len = disk.bytes(&name).unwrap().len();
        for page in 0..len / PAGE {
            let disk = disk.kill();
            let at = (page * PAGE) as u64;
            disk.damage(&name, at, |bytes| bytes[..PAGE].fill(0xaa));
            let (store, recovery) = open(&disk, manual());
            let mut lost = 0;
            for (queue, kept) in [QUEUE, OTHER].into_iter().zip(&kept) {
                let found = readable(&store, &recovery, queue);
                lost += kept.iter().filter(|id| !found.contains(id)).count();
            }
            assert!(
                lost <= PAGE / 32 + 2,
                "{name}, page {page}: {lost} are lost"
            );
        }
    }
}
