//! All scenarios, against both brokers at once.

use std::collections::BTreeSet;
use std::env;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use broker_engine::Engine;
use broker_engine::options::Options;
use clap::Parser;
use parking_lot::Mutex;
use perf::rabbitmq::Node;

use crate::compare::{self, List};
use crate::peer::Peer;
use crate::run;
use crate::script::{self, Scenario};
use crate::server::{PASSWORD, Server, USER};

/// Scenarios that run at a time; most of their time is waiting.
const WORKERS: usize = 8;

const SCENARIOS_MIN: usize = 700;

/// Runs only the scenarios whose title contains it.
const FILTER: &str = "WARREN_SCENARIOS";

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    options: Options,
}

fn directory() -> PathBuf {
    test_support::directory::repository().join("broker-engine/tests/differential")
}

/// The engine as the release of RabbitMQ that is nearest to the peer's; what is compared does not depend on syncs.
async fn start_engine(data_dir: &Path) -> Engine {
    let data_dir = data_dir.to_str().unwrap();
    let login = format!("--user={USER}:{PASSWORD}");
    let arguments = [
        "brokerd",
        "--data-dir",
        data_dir,
        "--amqp=127.0.0.1:0",
        "--management=127.0.0.1:0",
        "--profile=rabbitmq-3.13",
        "--durability=write",
        &login,
    ];
    let options = Command::parse_from(arguments).options;
    Engine::start(options).await.unwrap()
}

#[test]
fn scenarios_are_well_formed_and_told_apart() {
    let scenarios = script::load(&directory().join("scenarios"));
    let mut titles = BTreeSet::new();
    for Scenario { title, lines } in &scenarios {
        assert!(titles.insert(title), "'{title}' is there twice");
        assert!(!lines.is_empty(), "'{title}' does nothing");
        for line in lines {
            if let Err(error) = run::check(line) {
                panic!("{title}: {line}: {error}");
            }
        }
    }
    assert!(scenarios.len() >= SCENARIOS_MIN, "{}", scenarios.len());
    let list = List::load(&directory().join("allowed.txt"));
    for (title, entry) in &list.scenarios {
        assert!(titles.contains(title), "no scenario is called '{title}'");
        assert!(!entry.reason.is_empty(), "'{title}' has no reason");
    }
    for surplus in &list.surplus {
        assert!(!surplus.reason.is_empty(), "{surplus:?} has no reason");
    }
}

#[test]
fn clients_see_the_frames_that_rabbitmq_sends() {
    if !Node::is_installed() {
        let how = "RabbitMQ is not installed: apt-get install rabbitmq-server, with its service kept from starting";
        assert!(env::var_os("WARREN_CI").is_none(), "{how}");
        eprintln!("skipped: {how}");
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let data = tempfile::tempdir().unwrap();
    let engine = runtime.block_on(start_engine(&data.path().join("data")));
    let addresses = engine.addresses();
    let warren = Server {
        amqp: addresses.amqp[0],
        http: addresses.management[0],
    };
    let peer = Peer::start();
    let filter = env::var(FILTER).unwrap_or_default();
    let mut scenarios = script::load(&directory().join("scenarios"));
    scenarios.retain(|scenario| scenario.title.contains(&filter));
    let logs = play_all(&scenarios, peer.server, warren);
    drop(peer);
    runtime.block_on(engine.stop()).unwrap();

    let list = List::load(&directory().join("allowed.txt"));
    let mut report = String::new();
    let mut surplus = vec![0; list.surplus.len()];
    for (Scenario { title, .. }, [theirs, ours]) in scenarios.iter().zip(&logs) {
        let (ours, counts) = list.without_surplus(ours);
        surplus
            .iter_mut()
            .zip(counts)
            .for_each(|(sum, count)| *sum += count);
        let difference = compare::difference(theirs, &ours);
        let changes = compare::changes(&difference);
        let listed = list
            .scenarios
            .get(title)
            .map(|entry| entry.lines.as_slice());
        match listed {
            Some(lines) if changes.is_empty() => {
                writeln!(report, "'{title}' differs no more: {lines:#?}").unwrap();
            }
            _ if changes == listed.unwrap_or_default() => {}
            _ => writeln!(report, "{}", compare::report(title, &difference)).unwrap(),
        }
    }
    for (entry, _) in list
        .surplus
        .iter()
        .zip(&surplus)
        .filter(|(_, count)| **count == 0)
    {
        if filter.is_empty() {
            writeln!(report, "nobody says it any more: {entry:?}").unwrap();
        }
    }
    assert!(
        report.is_empty(),
        "RabbitMQ (-) and Warren (+) differ:\n\n{report}"
    );
}

/// The peer's log and Warren's of each scenario.
fn play_all(scenarios: &[Scenario], peer: Server, warren: Server) -> Vec<[Vec<String>; 2]> {
    let next = AtomicUsize::new(0);
    let all = Mutex::new(vec![[const { Vec::new() }; 2]; scenarios.len()]);
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(scenario) = scenarios.get(at) else {
                        return;
                    };
                    let logs = std::thread::scope(|scope| {
                        let logs = [peer, warren]
                            .map(|server| scope.spawn(move || run::play(server, scenario, at)));
                        logs.map(|log| log.join().unwrap())
                    });
                    all.lock()[at] = logs;
                }
            });
        }
    });
    all.into_inner()
}
