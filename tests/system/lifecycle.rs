//! A broker's life, through boto3 and pika.

use serde_json::Value;
use test_support::network::eventually;

use crate::patience::PATIENCE;
use crate::tree::Tree;

#[test]
fn a_broker_is_created_used_rebooted_and_deleted() {
    let tree = Tree::start();
    let mut client = tree
        .family
        .spawn("lifecycle.py", &mut tree.script("lifecycle.py"));

    client.line("running", PATIENCE);
    let before = tree.nodes();
    assert_eq!(before.len(), 1, "one broker, one node");
    client.tell("go on");

    client.line("rebooted", PATIENCE);
    let after = tree.nodes();
    assert_eq!(after.len(), 1);
    assert_ne!(before, after, "a reboot is a new process");
    client.tell("go on");

    let line = client.line("deleted", PATIENCE);
    eventually("the node's process is gone", PATIENCE, || {
        tree.nodes().is_empty().then_some(())
    });
    client.tell("go on");
    assert!(client.exit(PATIENCE).success());
    let times: Value =
        serde_json::from_str(line.trim_start_matches("deleted ")).expect("facts are JSON");
    println!("seconds: {times}");
}
