//! That every target survives the inputs in `fuzz/corpus`, and seeded changes of them.

use std::{fs, panic::catch_unwind, path::PathBuf};

use super::{TARGETS, Target};

/// How many changed inputs a target gets for each one of its corpus. `WARREN_LONG` multiplies it.
const CHANGES: u64 = 60;

#[test]
fn every_target_survives_its_corpus_and_what_is_near_it() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let (long, seed) = (number("WARREN_LONG").unwrap_or(1), number("WARREN_SEED"));
    // What a target says of a panic is told once, below.
    for target in TARGETS {
        survive(target, CHANGES * long, seed.unwrap_or(0));
    }
}

fn survive((name, target): &Target, rounds: u64, first: u64) {
    let inputs = kept(name);
    assert!(!inputs.is_empty(), "{name} has a corpus");
    for (input, bytes) in &inputs {
        println!("{name}: {input}");
        target(bytes);
    }
    for round in 0..rounds {
        for (number, (input, bytes)) in inputs.iter().enumerate() {
            let seed = first.wrapping_add(round);
            let mut random = fastrand::Rng::with_seed(seed ^ ((number as u64) << 48));
            let other = &inputs[random.usize(..inputs.len())].1;
            let changed = changed(bytes, other, &mut random);
            let outcome = catch_unwind(|| target(&changed));
            assert!(
                outcome.is_ok(),
                "{name}: {input} changed by {seed}: {:?}",
                changed.escape_ascii().to_string()
            );
        }
    }
}

/// What lies in the repository for a target.
fn kept(target: &str) -> Vec<(String, Vec<u8>)> {
    let fuzz = test_support::directory::repository().join("fuzz/corpus");
    let files = fs::read_dir(fuzz.join(target)).expect("every target has a corpus");
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort_unstable();
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    let read = |path: &PathBuf| (name(path), fs::read(path).unwrap());
    files.iter().map(read).collect()
}

/// A few changes of the kinds that fuzzers make, to texts.
fn changed(input: &[u8], other: &[u8], random: &mut fastrand::Rng) -> Vec<u8> {
    const OCTETS: &[u8] = b"\0\n\r \"#$%&'*+,-./:;<=>?[\\]_{}~09aAzZ\x7f\x80\xc3\xff";
    let mut bytes = input.to_vec();
    for _ in 0..random.usize(1..5) {
        let at = random.usize(..=bytes.len());
        let len = random.usize(..=(bytes.len() - at).min(16));
        let octet = OCTETS[random.usize(..OCTETS.len())];
        match random.u8(..7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.u8(..8),
            1 => bytes.insert(at, octet),
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..at + len)),
            4 => {
                let copy = bytes[at..at + len].to_vec();
                let to = random.usize(..=bytes.len());
                bytes.splice(to..to, copy);
            }
            5 => bytes[at..at + len].fill(octet),
            _ => {
                let from = random.usize(..=other.len());
                bytes.truncate(at);
                bytes.extend(&other[from..]);
            }
        }
    }
    bytes
}
