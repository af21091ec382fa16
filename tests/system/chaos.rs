//! Every process dies at any moment while many clients call the API; a model of each client says what
//! must be in the end: no lost intent, no broker twice, nothing left over.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::Value;
use test_support::network::eventually;
use test_support::process::kill;

use crate::installation::Installation;
use crate::patience::{PATIENCE, long};
use crate::tree::nodes;

const CHAOS: Duration = Duration::from_secs(40);
const CHAOS_LONG: Duration = Duration::from_secs(600);
/// After the chaos every broker reboots once more, on few cores.
const CALM: Duration = Duration::from_secs(400);

#[test]
fn whatever_dies_the_last_accepted_call_of_each_client_holds() {
    let seed = std::env::var("WARREN_SEED").unwrap_or_else(|_| "1".to_owned());
    let mut random = Rng::with_seed(seed.bytes().map(u64::from).sum());
    let mut installation = Installation::start();
    installation.serve();
    installation.serve();
    installation.work();
    let duration = long().map_or(CHAOS, |_| CHAOS_LONG);
    let mut script = installation.script("chaos.py");
    script.args([&duration.as_secs().to_string(), &seed]);
    script.args((0..3).map(|index| installation.endpoint(index)));
    let mut clients = installation.family.spawn("chaos.py", &mut script);

    let end = Instant::now() + duration;
    let mut deaths = 0;
    while Instant::now() < end {
        thread::sleep(Duration::from_millis(random.u64(200..1500)));
        kill_one(&mut installation, &mut random);
        deaths += 1;
    }
    let calls = clients.line("calls ", CALM);
    clients.tell("all of them run again");
    let agreed = clients.line("agreed ", CALM);
    println!("{deaths} deaths; {calls}");

    let brokers = ids(&agreed);
    eventually("one node for each broker", PATIENCE, || {
        (nodes(&installation.family).len() == brokers.len()).then_some(())
    });
    assert_eq!(installation.rows("brokers"), brokers.len() as i64);
    assert_eq!(installation.rows("nodes"), brokers.len() as i64);
    assert_eq!(installation.volumes(), brokers.len());

    clients.tell("delete them");
    clients.line("gone", CALM);
    eventually("the nodes and their volumes are gone", PATIENCE, || {
        (nodes(&installation.family).is_empty() && installation.volumes() == 0).then_some(())
    });
    for table in ["brokers", "nodes", "broker_users", "tags"] {
        assert_eq!(installation.rows(table), 0, "{table}");
    }
    clients.tell("that is all");
    assert!(clients.exit(PATIENCE).success());
}

/// Any process but the database: an API, a worker, the agent or an engine.
fn kill_one(installation: &mut Installation, random: &mut Rng) {
    match random.u8(0..8) {
        index @ 0..3 => {
            let index = usize::from(index);
            installation.apis[index].process.kill();
            installation.serve_again(index);
        }
        index @ 3..5 => {
            let index = usize::from(index) - 3;
            installation.workers[index].kill();
            installation.work_again(index);
        }
        5 => {
            installation.agent.kill();
            installation.watch_again();
        }
        _ => {
            let running = nodes(&installation.family);
            if let Some(&pid) = random.choice(running.iter()) {
                kill(pid);
            }
        }
    }
}

fn ids(agreed: &str) -> BTreeSet<String> {
    let facts = agreed.trim_start_matches("agreed ");
    let facts: Value = serde_json::from_str(facts).expect("facts are JSON");
    let brokers = facts["brokers"].as_array().expect("a list");
    let text = |id: &Value| id.as_str().expect("an id").to_owned();
    brokers.iter().map(text).collect()
}
