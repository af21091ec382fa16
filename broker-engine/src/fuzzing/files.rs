//! Data directories as a whole broker finds them.

use std::collections::BTreeMap;

use super::node::Node;
use crate::{broker::Delivery, store::fuzzing::directory};

/// What a queue held: bodies and redelivered flags, oldest first.
type Held = Vec<(Vec<u8>, bool)>;

/// A broker on any files: what it serves is what it would serve after another start.
pub fn restart(bytes: &[u8]) {
    let disk = directory(bytes);
    let Ok(first) = Node::open(disk.kill()) else {
        return;
    };
    let (exported, held) = (export(&first), drain(&first));
    let Ok(node) = Node::open(disk) else {
        panic!("the same files cannot be opened again");
    };
    node.broker.store().write();
    node.broker.store().keep();
    let again = Node::open(node.disk.kill()).expect("what was opened once can be opened again");
    assert_eq!(export(&again), exported);
    assert_eq!(drain(&again), held);
}

fn export(node: &Node) -> String {
    serde_json::to_string_pretty(&node.broker.export()).expect("documents are JSON")
}

/// Takes what is in every queue.
fn drain(node: &Node) -> BTreeMap<(String, String), Held> {
    let mut held = BTreeMap::new();
    for vhost in node.broker.vhosts() {
        for queue in vhost.queues() {
            let mut messages = Held::new();
            // A queue that answers with an error holds what it holds.
            while let Ok(Some((
                Delivery {
                    message,
                    redelivered,
                    ..
                },
                _,
            ))) = queue.get(true)
            {
                messages.push((message.body().to_vec(), redelivered));
            }
            held.insert(
                (vhost.name().to_string(), queue.name().to_string()),
                messages,
            );
        }
    }
    held
}
