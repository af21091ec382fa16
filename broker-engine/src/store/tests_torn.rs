//! What a power cut leaves in pieces before it was synced is no damage; what was synced and cannot be read is.

use std::time::{Duration, Instant};

use super::{
    Durability, MessageId, Options, Position, Recovery, Store,
    disk::{Disk, FaultyDisk},
    tests::{QUEUE, ids_of, manual, open, publish},
};

/// How many power cuts each case goes through.
const CUTS: u64 = 200;

fn publish_content(store: &Store, content: &[u8]) -> (MessageId, Position) {
    publish(store, &[QUEUE], content).unwrap()
}

/// Where a content lies: the file, and the offset in it.
fn place_of(disk: &FaultyDisk, content: &[u8]) -> (String, u64) {
    let mut names = disk.list().unwrap();
    names.retain(|name| name.starts_with("wal-"));
    names
        .into_iter()
        .find_map(|name| {
            let bytes = disk.bytes(&name)?;
            let at = bytes
                .windows(content.len())
                .position(|window| window == content)?;
            Some((name, at as u64))
        })
        .expect("it was written")
}

fn is_named(recovery: &Recovery, (file, at): &(String, u64)) -> bool {
    let mut damage = recovery.damage.iter();
    damage.any(|damage| damage.file == *file && damage.bytes.contains(at))
}

/// A store that runs. Synced is a first message, of this id; then several are written one by one, over several files.
fn half_synced(disk: &FaultyDisk, options: &Options) -> (Store, MessageId) {
    let (store, _) = open(disk, options.clone());
    let (synced, position) = publish_content(&store, &[1; 700]);
    store.wait(position).unwrap();
    for n in 2..14 {
        publish_content(&store, &[n; 700]);
        store.write();
        store.keep();
    }
    (store, synced)
}

#[test]
fn what_was_never_synced_may_be_torn_and_is_not_met_again() {
    let options = Options {
        roll_bytes: 1 << 20,
        ..manual()
    };
    let mut torn = 0;
    for seed in 0..CUTS {
        let disk = FaultyDisk::new();
        let (running, synced) = half_synced(&disk, &options);
        let disk = disk.power_cut(seed);
        drop(running);
        let (store, recovery) = open(&disk, options.clone());
        assert_eq!(recovery.damage, [], "seed {seed}");
        torn += usize::from(!recovery.torn.is_empty());
        let ids = ids_of(&recovery, QUEUE);
        assert_eq!(ids.first(), Some(&synced), "seed {seed}");
        for id in &ids {
            store.read(QUEUE, *id).unwrap();
        }
        for life in 0..3 {
            let disk = disk.power_cut(seed + life);
            let (store, recovery) = open(&disk, options.clone());
            assert_eq!(
                (ids_of(&recovery, QUEUE), recovery.damage, recovery.torn),
                (ids.clone(), vec![], vec![]),
                "seed {seed}, life {life}"
            );
            let (_, position) = publish_content(&store, b"later");
            store.wait(position).unwrap();
        }
    }
    assert!(torn > 20, "only {torn} of {CUTS} power cuts tore anything");
}

#[test]
fn what_was_synced_and_cannot_be_read_is_damage_even_after_a_power_cut() {
    for seed in 0..CUTS {
        let disk = FaultyDisk::new();
        let (store, _) = open(&disk, manual());
        let (_, position) = publish_content(&store, &[1; 100]);
        store.wait(position).unwrap();
        for n in 2..6 {
            publish_content(&store, &[n; 100]);
            store.write();
        }
        let (last, position) = publish_content(&store, &[6; 100]);
        store.wait(position).unwrap();
        publish_content(&store, &[7; 100]);
        store.write();
        let at = place_of(&disk, &[1; 100]);
        let disk = disk.power_cut(seed);
        disk.damage(&at.0, at.1, |bytes| bytes[0] ^= 1);
        let (_, recovery) = open(&disk, manual());
        assert!(is_named(&recovery, &at), "seed {seed}: {recovery:?}");
        assert!(ids_of(&recovery, QUEUE).contains(&last), "seed {seed}");
    }
}

#[test]
fn a_clean_stop_tells_what_its_last_sync_covered() {
    for n in 1..=3 {
        let disk = FaultyDisk::new();
        let (store, _) = open(&disk, manual());
        for n in 1..=3 {
            publish_content(&store, &[n; 100]);
        }
        store.close().unwrap();
        drop(store);
        let at = place_of(&disk, &[n; 100]);
        disk.damage(&at.0, at.1, |bytes| bytes[0] ^= 1);
        for life in 0..2 {
            let (store, recovery) = open(&disk, manual());
            assert!(is_named(&recovery, &at), "message {n}, life {life}");
            assert_eq!(recovery.torn, []);
            store.close().unwrap();
        }
    }
}

#[test]
fn a_log_at_rest_tells_what_its_last_sync_covered() {
    let disk = FaultyDisk::new();
    let options = Options::default();
    assert_eq!(options.durability, Durability::Sync);
    let (store, _) = open(&disk, options.clone());
    let (_, position) = publish_content(&store, &[1; 100]);
    store.wait(position).unwrap();
    let at = place_of(&disk, &[1; 100]);
    let is_told = || {
        let inner = store.log.inner.lock();
        let told = u64::from(inner.told_end.offset);
        at.1 < told && told < inner.written_end.1
    };
    let until = Instant::now() + Duration::from_secs(30);
    while !is_told() {
        assert!(Instant::now() < until, "it is never told");
        std::thread::yield_now();
    }
    let killed = disk.kill();
    killed.damage(&at.0, at.1, |bytes| bytes[0] ^= 1);
    let (_, recovery) = open(&killed, options);
    assert!(is_named(&recovery, &at));
}
