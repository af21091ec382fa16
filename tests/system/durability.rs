//! No confirmed message is lost, whatever is killed.

use std::time::Duration;

use serde_json::Value;
use test_support::network::eventually;
use test_support::process::{Family, Process, kill};

use crate::patience::{PATIENCE, repeated};
use crate::remote::{Endpoint, Remote};
use crate::tree::Tree;

#[test]
fn reboots_and_kills_of_the_node_lose_nothing() {
    let tree = Tree::start();
    let mut remote = Remote::start(tree.script("remote.py"));
    let id = remote.create("durable");
    let mut publisher = Publisher::start(&tree, &remote.running(&id));
    for _ in 0..repeated(2) {
        let before = tree.nodes();
        remote.reboot(&id);
        remote.running(&id);
        publisher.progress();
        assert_ne!(tree.nodes(), before, "a reboot is a new process");

        let before = tree.nodes();
        before.iter().copied().for_each(kill);
        // A process that is being killed is still listed for a moment.
        eventually("the agent starts the node again", PATIENCE, || {
            let found = tree.nodes();
            (!found.is_empty() && found != before).then_some(())
        });
        publisher.progress();
    }
    publisher.intact(repeated(2) * 2);
}

#[test]
fn a_crash_of_everything_loses_nothing() {
    let mut tree = Tree::start();
    let mut remote = Remote::start(tree.script("remote.py"));
    let id = remote.create("durable");
    let endpoint = remote.running(&id);
    let mut publisher = Publisher::start(&tree, &endpoint);
    for _ in 0..repeated(2) {
        tree.crash();
        tree.restart();
        publisher.progress();
        assert_eq!(remote.running(&id), endpoint, "the endpoints are kept");
    }
    publisher.intact(repeated(2));
}

#[test]
fn a_clean_stop_loses_nothing_and_leaves_nothing_behind() {
    let mut tree = Tree::start();
    let mut remote = Remote::start(tree.script("remote.py"));
    let id = remote.create("durable");
    let endpoint = remote.running(&id);
    let mut publisher = Publisher::start(&tree, &endpoint);
    assert!(tree.process.terminate(Duration::from_secs(30)).success());
    eventually("every process has ended", Duration::from_secs(5), || {
        tree.family.members(|_| true).is_empty().then_some(())
    });
    tree.restart();
    publisher.progress();
    assert_eq!(remote.running(&id), endpoint, "the endpoints are kept");
    publisher.intact(1);
}

/// Counts what was confirmed; of no tree's family, so that it outlives every crash.
struct Publisher {
    process: Process,
    _family: Family,
}

impl Publisher {
    fn start(tree: &Tree, endpoint: &Endpoint) -> Self {
        let family = Family::new();
        let mut script = tree.script("durability.py");
        let process = family.spawn(
            "durability.py",
            script.args([&endpoint.host, &endpoint.port]),
        );
        let mut publisher = Self {
            process,
            _family: family,
        };
        publisher.progress();
        publisher
    }

    /// Lets more messages be confirmed than can be on their way on one connection.
    fn progress(&mut self) {
        self.process.skip_printed();
        for _ in 0..4 {
            self.process.line("confirmed", PATIENCE);
        }
    }

    /// Ends it: everything confirmed is there, and the stream was broken at least so often.
    fn intact(mut self, breaks: usize) {
        self.process.tell("stop");
        let line = self.process.line("intact", PATIENCE);
        println!("{line}");
        let facts: Value =
            serde_json::from_str(line.trim_start_matches("intact ")).expect("facts are JSON");
        assert!(
            facts["connections"].as_u64() > Some(breaks as u64),
            "the stream went on: {line}"
        );
        assert!(self.process.exit(PATIENCE).success());
    }
}
