//! The examples of `infra/examples`, run as their README says.

use std::path::Path;
use std::process::Command;

use test_support::{directory, programs, python};

use crate::tree::Tree;

#[test]
fn the_example_for_the_aws_cli_makes_changes_and_deletes_a_broker() {
    live("bash", "aws-cli/broker.sh");
}

#[test]
fn the_example_for_boto3_makes_changes_and_deletes_a_broker() {
    live("python", "boto3/broker.py");
}

/// Runs an example twice, which must make one broker and then change it, and has it deleted.
fn live(interpreter: &str, example: &str) {
    let tree = Tree::start();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(interpreter);
        programs::without_settings_of_aws(&mut command);
        tree.equip(&mut command);
        command
            .arg(directory::repository().join("infra/examples").join(example))
            .args(arguments)
            .env("PATH", with_clients(&python::environment().join("bin")));
        python::succeed(&mut command)
    };
    let made = run(&["orders"]);
    assert!(made.contains("amqps://"), "{made}");
    assert_eq!(revision(&tree), 2);
    assert_eq!(run(&["orders"]), made, "the endpoints stay");
    assert_eq!(revision(&tree), 3);
    run(&["orders", "--delete"]);
    let left = tree.aws(&["list-configurations"]);
    assert_eq!(left["Configurations"], serde_json::json!([]));
    assert!(tree.nodes().is_empty());
}

/// Which revision of its configuration the broker `orders` runs.
fn revision(tree: &Tree) -> u64 {
    let listed = tree.aws(&["list-brokers"]);
    let id = listed["BrokerSummaries"][0]["BrokerId"].as_str();
    let id = id.expect("the broker is there");
    let found = tree.aws(&["describe-broker", "--broker-id", id]);
    let revision = &found["Configurations"]["Current"]["Revision"];
    revision.as_u64().expect("a revision")
}

/// The search path with the tests' own clients first.
fn with_clients(directory: &Path) -> std::ffi::OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(directory.to_path_buf()).chain(std::env::split_paths(&path));
    std::env::join_paths(all).expect("no directory has a colon in its name")
}
