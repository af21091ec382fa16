//! Volumes that are full: messages are refused before anything is promised, and room comes back.

use super::{
    Drive, Error, Options,
    disk::{Disk, FaultyDisk},
    tests::{QUEUE, ack, ids_of, manual, open, publish},
};

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
