//! Hours of all kinds of clients in a few seconds, or half an hour where there is time: when they are gone, nothing of
//! them is left, and memory is where it was.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::api::Api;
use crate::books::{rounds, seed};
use crate::churn::{Made, Place, churn, prepare, purge};
use crate::support::{PATIENCE, Process};

/// Between two of them everybody goes. The first is for warming up.
const PHASES: u32 = 6;

/// Seconds of a phase.
const PHASE_S: u32 = 5;

/// A long run takes half an hour with its usual 17 repetitions.
const PHASE_LONG_S: u32 = 18;

/// What allocators keep differs by as much from one rest to the next, in bytes: freed pages stay with the arenas of
/// threads, and which thread serves whom is chance. It is the same however long the churn takes, so that a leak of a
/// few hundred bytes per client exceeds it in a long run, one of some kilobytes in a short one.
const NOISE_BYTES: u64 = 8 << 20;

/// How many rounds there are at least for one that the client's library fails in.
const ROUNDS_PER_DEAF_ONE: u64 = 5000;

/// Of so many rounds one may fail because the machine is too busy.
const LATE_ONES_IN: u64 = 100;

/// What a broker has when nobody is there.
#[derive(Debug)]
struct Rest {
    resident_bytes: u64,
    threads: usize,
    descriptors: usize,
    files: usize,
    totals: Value,
}

/// Waits until nobody is connected and nothing expires any more, and looks.
async fn rest(process: &Process, api: &Api, data_dir: &Path) -> Rest {
    let settled = async {
        loop {
            let totals = api.get("/overview").await["object_totals"].clone();
            let is_over = ["connections", "channels", "consumers"]
                .iter()
                .all(|name| totals[name] == 0);
            if is_over && totals["queues"] == 3 {
                return totals;
            }
            // Nobody tells when the broker has noticed that clients are gone.
            sleep(Duration::from_millis(50)).await;
        }
    };
    let totals = timeout(PATIENCE, settled).await.expect("everybody goes");
    // The allocator gives pages back in its own time, the log its files.
    sleep(Duration::from_secs(1)).await;
    let of_process = |what: &str| format!("/proc/{}/{what}", process.id());
    let count = |directory: &str| fs::read_dir(directory).expect("it runs").count();
    let status = fs::read_to_string(of_process("status")).expect("it runs");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident = resident.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Rest {
        resident_bytes: resident.expect("the kernel tells it") * 1024,
        threads: count(&of_process("task")),
        descriptors: count(&of_process("fd")),
        files: fs::read_dir(data_dir).expect("it has one").count(),
        totals,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_clients_of_all_kinds_are_gone_nothing_of_them_is_left() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::start_managed(directory.path());
    let place = Place {
        amqp: process.address,
        management: process.management.unwrap(),
        process: process.id(),
    };
    let api = Api::at(place.management);
    prepare(place).await.unwrap();
    let times = rounds(1);
    let seconds = if times == 1 {
        PHASE_S
    } else {
        PHASE_LONG_S * times
    };
    let (mut rests, mut total) = (Vec::new(), Made::default());
    for phase in 0..PHASES {
        let time = Duration::from_secs(seconds.into());
        let seed = seed(3) + u64::from(phase) * 1000;
        let made = churn(place, time, seed).await.unwrap();
        purge(place).await.unwrap();
        let rest = rest(&process, &api, directory.path()).await;
        println!("phase {phase}: {made:?}; {rest:?}");
        assert!(made.rounds > u64::from(seconds), "there was no churn");
        total.rounds += made.rounds;
        total.deaf += made.deaf;
        total.late += made.late;
        rests.push(rest);
    }
    println!("{total:?}");
    let deaf_max = 1 + total.rounds / ROUNDS_PER_DEAF_ONE;
    assert!(total.deaf <= deaf_max, "the client fails too often");
    assert!(
        total.late * LATE_ONES_IN <= total.rounds,
        "the machine has no time for this"
    );
    // Chance can only add to what is needed: the least of the last ones against the most of the first ones.
    let (first, last) = rests[1..].split_at(2);
    let before = first.iter().map(|rest| rest.resident_bytes).max().unwrap();
    let after = last.iter().map(|rest| rest.resident_bytes).min().unwrap();
    assert!(
        after <= before + NOISE_BYTES,
        "{before} bytes became {after}"
    );
    for rest in &rests[1..] {
        assert_eq!(rest.totals, rests[0].totals);
        // A log that is in two files now, with nobody there, has one open that it had not before.
        let logs = rest.files.saturating_sub(rests[0].files);
        assert!(rest.descriptors <= rests[0].descriptors + logs, "{rest:?}");
        // The runtime's threads for what blocks come and go.
        assert!(rest.threads <= rests[0].threads + 16, "{rest:?}");
        assert!(rest.files <= 16, "the log does not shrink: {rest:?}");
    }
}
