//! The decoders of this module, and recovery as a whole, as functions of any bytes.
//!
//! Checksums keep random bytes out of what lies behind them, so inputs may ask for sums that fit (see [`seal`]): then
//! what is said may be any nonsense, and must still be refused or survived.

mod directory;
mod seal;

use std::{collections::BTreeMap, sync::Arc};

#[cfg(test)]
pub(crate) use self::directory::describe;
pub(crate) use self::directory::directory;
use super::{
    Batch, Drive, MessageId, Options, QueueId, Recovery, Store, definitions,
    disk::{Disk, DiskFile, FaultyDisk},
    manifest::Manifest,
    ops::{self, Ops},
    record::{self, FILE_HEAD_LEN, FileHead, Found},
    run::Run,
    segment,
    state::{Location, State},
};

/// The number of the file that [`records`] and [`segment`](segment()) read.
const NUMBER: u32 = 1;

/// What is read of one run at most, in bytes.
const READ_BYTES_MAX: usize = 1 << 30;

/// The bodies of two entries, of both lanes, one applied after the other.
pub fn entries(bytes: &[u8]) {
    if let Ok(changes) = definitions::read(bytes) {
        let mut again = Vec::new();
        definitions::encode(&changes, &mut again);
        assert_eq!(again, bytes, "definitions are written as they were read");
    }
    // Only the absence of a panic is the property.
    let _ = ops::sound_crc(bytes);
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let mut state = State::default();
    for (index, body) in (1..).zip([bytes, first, second, bytes]) {
        if let Ok(ops) = Ops::read(body) {
            let offset = u64::from(u16::MAX);
            state.apply(index, Location { file: 1, offset }, &ops);
        }
    }
}

/// A log file: its head and its records. The first octet's lowest bit asks for sums that fit.
pub fn records(bytes: &[u8]) {
    let Some((flags, bytes)) = bytes.split_first() else {
        return;
    };
    let mut bytes = bytes.to_vec();
    if flags & 1 == 1 {
        seal::wal(&mut bytes);
    }
    if let Ok(Some(head)) = FileHead::decode(&bytes, NUMBER) {
        assert_eq!(FileHead::decode(&head.encode(), NUMBER), Ok(Some(head)));
    }
    let mut at = FILE_HEAD_LEN;
    while at < bytes.len() {
        match record::scan(&bytes, at, NUMBER) {
            Found::Record(record) => {
                assert!(at < record.body.start && record.body.end <= record.end);
                at = record.end;
            }
            Found::Gap(range) => {
                assert!(range.start == at && at < range.end);
                at = range.end;
            }
            Found::End(end) => {
                assert_eq!(end, at);
                return;
            }
        }
    }
}

/// A manifest. The first octet's lowest bit asks for sums that fit.
pub fn manifest(bytes: &[u8]) {
    let Some((flags, bytes)) = bytes.split_first() else {
        return;
    };
    let mut bytes = bytes.to_vec();
    if flags & 1 == 1 {
        seal::manifest(&mut bytes);
    }
    if let Ok(manifest) = Manifest::decode(&bytes) {
        assert_eq!(Manifest::decode(&manifest.encode()), Ok(manifest));
    }
}

/// A segment: its index, or what is in front of its frames. The first octet's lowest bit asks for sums that fit.
pub fn segment(bytes: &[u8]) {
    let Some((flags, bytes)) = bytes.split_first() else {
        return;
    };
    let mut bytes = bytes.to_vec();
    if flags & 1 == 1 {
        seal::segment(&mut bytes);
    }
    let disk = FaultyDisk::new();
    let file = create(&disk, &segment::name(NUMBER), &bytes);
    for has_manifest in [true, false] {
        let contents = segment::read(&*file, NUMBER, has_manifest);
        let Ok(contents) = contents.expect("memory can be read") else {
            continue;
        };
        for (_, run) in &contents.runs {
            let Run {
                first, last, count, ..
            } = run;
            assert!(*count > 0 && first <= last);
            assert!(u64::from(*count) - 1 <= last.0 - first.0);
        }
    }
}

fn create(disk: &FaultyDisk, name: &str, bytes: &[u8]) -> Arc<dyn DiskFile> {
    let file = disk.create(name).expect("names differ");
    file.write_at(bytes, 0).expect("memory can be written");
    file
}

/// How logs are opened here.
fn options() -> Options {
    Options {
        drive: Drive::Manual,
        file_bytes: 4096,
        roll_bytes: 8192,
        ..Options::default()
    }
}

/// What queues hold that can be read.
type Held = BTreeMap<(QueueId, MessageId), Vec<u8>>;

/// A whole data directory (see [`directory`](directory())): what one start finds, the next one finds, although the log
/// went on and was rolled in between.
pub fn recovery(bytes: &[u8]) {
    let disk = directory(bytes);
    let Ok((store, recovery)) = Store::open(Arc::new(disk.clone()), options()) else {
        return;
    };
    let held = hold(&store, &recovery);
    let mut batch = Batch::new();
    let queue = QueueId(u32::MAX);
    batch.publish(&[queue], &[b"new"]);
    // A queue of this number may be gone for ever.
    let Ok(appended) = store.append(batch) else {
        return;
    };
    store
        .wait(appended.position)
        .expect("memory can be written");
    store.keep();
    let copy = disk.kill();
    let mut before = held.clone();
    if let Ok(bytes) = store.read(queue, appended.first) {
        before.insert((queue, appended.first), bytes.to_vec());
    }
    let opened = Store::open(Arc::new(copy), options());
    let (store, recovery) = opened.expect("what was opened once can be opened again");
    let after = hold(&store, &recovery);
    assert_eq!(after, before);
}

/// Reads the first messages of every run.
fn hold(store: &Store, recovery: &Recovery) -> Held {
    let mut held = Held::new();
    for queue in &recovery.queues {
        let mut last = None;
        for run in &queue.runs {
            assert!(run.count > 0 && last < Some(run.first), "{:?}", queue.runs);
            last = Some(*run.ids().end());
            let Ok(messages) = store.read_run(queue.id, run.ids(), READ_BYTES_MAX) else {
                continue;
            };
            for message in messages {
                assert!(run.ids().contains(&message.id));
                if let Ok(content) = message.content {
                    held.insert((queue.id, message.id), content.to_vec());
                }
            }
        }
    }
    held
}
