//! Inputs that are worth starting from, made of real frames, requests and data directories; and that every target
//! survives them, the ones in `fuzz/corpus`, and seeded changes of all of them.
//!
//! `WARREN_CORPUS=write cargo test -p broker-engine --lib corpus` writes what is made here to `fuzz/corpus`. Inputs that
//! once broke something are kept beside them.

mod conversations;
mod made;

use std::{fs, path::PathBuf, sync::Arc};

use self::{
    conversations::conversations,
    made::{left_by, log, made},
};
use super::{TARGETS, Target, node::Node};
use crate::{
    proof::{long, seed},
    store::{Drive, Options, Store, fuzzing::describe},
};

/// Names and inputs of one target.
type Inputs = Vec<(&'static str, Vec<u8>)>;

/// How many changed inputs a target gets for each one of its corpus.
const CHANGES: u64 = 60;

fn directory(target: &str) -> PathBuf {
    let fuzz = test_support::directory::repository().join("broker-engine/fuzz/corpus");
    fuzz.join(target)
}

/// What lies in the repository for a target.
fn kept(target: &str) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(directory(target)).expect("every target has a corpus");
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort_unstable();
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    files
        .iter()
        .map(|path| (name(path), fs::read(path).unwrap()))
        .collect()
}

/// A few changes of the kinds that fuzzers make.
fn changed(input: &[u8], other: &[u8], random: &mut fastrand::Rng) -> Vec<u8> {
    const NUMBERS: [u8; 8] = [0, 1, 2, 0x7f, 0x80, 0xce, 0xfe, 0xff];
    let mut bytes = input.to_vec();
    for _ in 0..random.usize(1..5) {
        let at = random.usize(..=bytes.len());
        let len = random.usize(..=(bytes.len() - at).min(16));
        match random.u8(..7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.u8(..8),
            1 if at < bytes.len() => bytes[at] = NUMBERS[random.usize(..NUMBERS.len())],
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..at + len)),
            4 => {
                let copy = bytes[at..at + len].to_vec();
                let to = random.usize(..=bytes.len());
                bytes.splice(to..to, copy);
            }
            5 => bytes[at..at + len].fill(NUMBERS[random.usize(..NUMBERS.len())]),
            _ => {
                let from = random.usize(..=other.len());
                bytes.truncate(at);
                bytes.extend(&other[from..]);
            }
        }
    }
    bytes
}

#[test]
fn every_target_survives_its_corpus_and_what_is_near_it() {
    for (name, target) in TARGETS {
        let mut inputs = kept(name);
        inputs.extend(
            made(name)
                .into_iter()
                .map(|(name, input)| (format!("made {name}"), input)),
        );
        survive(&(name, *target), &inputs);
    }
}

fn survive((name, target): &Target, inputs: &[(String, Vec<u8>)]) {
    for (input, bytes) in inputs {
        println!("{name}: {input}");
        target(bytes);
    }
    for round in 0..CHANGES * long() {
        for (number, (input, bytes)) in inputs.iter().enumerate() {
            let seed = seed().wrapping_add(round);
            let mut random = fastrand::Rng::with_seed(seed ^ (number as u64) << 48);
            let other = &inputs[random.usize(..inputs.len())].1;
            let changed = changed(bytes, other, &mut random);
            let outcome = std::panic::catch_unwind(|| target(&changed));
            assert!(
                outcome.is_ok(),
                "{name}: {input} changed by {seed}: {changed:?}"
            );
        }
    }
}

#[test]
fn the_corpus_has_what_is_made_here() {
    let must_write = std::env::var("WARREN_CORPUS").is_ok_and(|what| what == "write");
    for (target, _) in TARGETS {
        let directory = directory(target);
        if must_write {
            fs::create_dir_all(&directory).unwrap();
            for (name, input) in made(target) {
                fs::write(directory.join(name), input).unwrap();
            }
        }
        let kept = kept(target);
        for (name, _) in made(target) {
            assert!(
                kept.iter().any(|(other, _)| other == name),
                "{target}/{name}"
            );
        }
    }
}

#[test]
fn what_is_made_gets_far() {
    // A real conversation ends with everything acted on, and a real directory is one without damage.
    let [(_, confirmed), ..] = conversations();
    let node = Node::open(left_by(&confirmed)).unwrap();
    assert_eq!(node.damage, []);
    let [vhost] = &node.broker.vhosts()[..] else {
        panic!("there is one virtual host");
    };
    let queues = vhost.queues();
    assert_eq!(queues.len(), 1);
    assert_eq!(&**queues[0].name(), "q");
    for flags in [0, 1] {
        let copy = crate::store::fuzzing::directory(&describe(&log(), flags));
        let (_, recovery) = Store::open(
            Arc::new(copy),
            Options {
                drive: Drive::Manual,
                ..Options::default()
            },
        )
        .unwrap();
        assert_eq!(recovery.damage, [], "sealed: {flags}");
        assert_eq!(recovery.queues.len(), 2);
    }
}
