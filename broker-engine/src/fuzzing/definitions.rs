//! Definitions documents, as files and the management API take them.

use crate::broker::Document;

use super::node::Node;

/// A document. What was taken over is exported, and that is taken over by another node, which then exports the same.
pub fn definitions(bytes: &[u8]) {
    let Ok(document) = serde_json::from_slice::<Document>(bytes) else {
        return;
    };
    let node = Node::new();
    let before = text(&node);
    if node.broker.import(&document, None).is_err() {
        assert_eq!(text(&node), before, "a refused document changed something");
        return;
    }
    let exported = text(&node);
    let document = serde_json::from_str(&exported).expect("what is exported can be read");
    let other = Node::new();
    let imported = other.broker.import(&document, None);
    imported.expect("what is exported can be imported");
    assert_eq!(text(&other), exported);
    // Both know after a restart what they knew before.
    node.broker.store().write();
    let again = Node::open(node.disk.kill()).expect("the log can be opened");
    assert_eq!(text(&again), exported);
}

fn text(node: &Node) -> String {
    serde_json::to_string_pretty(&node.broker.export()).expect("documents are JSON")
}
