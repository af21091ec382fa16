//! Batches that go to many queues: what each queue gets, and in which order.

use std::collections::BTreeMap;

use super::{
    Durability, Publish, Table, Value,
    tests_rules::{Node, bodies, publish, text},
};
use crate::store::disk::FaultyDisk;

/// The queues. The log keeps transient messages of the quorum queue too; the last one refuses what is too many.
const QUEUES: [&str; 5] = ["a", "b", "c", "quorum", "full"];

/// What a message is sent to, and the queues that keep it.
fn ways() -> [(&'static str, &'static str, &'static [&'static str]); 7] {
    [
        ("", "a", &["a"]),
        ("", "b", &["b"]),
        ("", "c", &["c"]),
        ("", "quorum", &["quorum"]),
        ("amq.fanout", "", &["a", "b"]),
        ("amq.direct", "other-key-of-a", &["a"]),
        ("", "full", &["full"]),
    ]
}

fn node(disk: &FaultyDisk) -> Node {
    let node = Node::open_with(disk, 0, Durability::Write);
    for queue in ["a", "b", "c"] {
        node.declare(queue, &[]);
    }
    node.declare("quorum", &[("x-queue-type", text("quorum"))]);
    let full = [
        ("x-max-length", Value::I32(5)),
        ("x-overflow", text("reject-publish")),
    ];
    node.declare("full", &full);
    let bind = |queue, exchange, key| {
        let bound = node
            .session
            .queue_bind(queue, exchange, key, &Table::default());
        node.wait(bound.unwrap());
    };
    bind("a", "amq.fanout", "");
    bind("b", "amq.fanout", "");
    bind("a", "amq.direct", "other-key-of-a");
    node
}

#[test]
fn each_queue_has_its_messages_in_the_order_of_publishing_whatever_else_the_batch_brings() {
    for seed in 0..40 {
        let mut random = fastrand::Rng::with_seed(seed);
        let disk = FaultyDisk::new();
        let node = node(&disk);
        let mut publisher = node.session.publisher(|_| Table::default());
        let mut expected: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        let mut persistent = expected.clone();
        let mut rejected = 0;
        for batch in 0..4 {
            let texts: Vec<String> = (0..60).map(|n| format!("{batch}.{n}")).collect();
            let mut messages = Vec::new();
            let mut way = ways()[0];
            for text in &texts {
                if random.u8(..3) > 0 {
                    way = ways()[random.usize(..7)];
                }
                let (exchange, key, queues) = way;
                let is_persistent = random.u8(..6) > 0;
                messages.push(Publish {
                    exchange,
                    persistent: is_persistent,
                    mandatory: false,
                    ..publish(key, text, b"{}")
                });
                let is_rejected = key == "full" && expected.get("full").map_or(0, Vec::len) == 5;
                rejected += usize::from(is_rejected);
                for queue in queues.iter().filter(|_| !is_rejected) {
                    expected.entry(queue).or_default().push(text.clone());
                    if is_persistent || *queue == "quorum" {
                        persistent.entry(queue).or_default().push(text.clone());
                    }
                }
            }
            let outcome = publisher.publish(&messages);
            assert_eq!(outcome.accepted, messages.len(), "seed {seed}");
            rejected -= outcome.rejected.len();
            node.wait(outcome.durable);
        }
        assert_eq!(rejected, 0, "seed {seed}");
        let have = |node: &Node| {
            let of_queue = |name: &&'static str| {
                let queue = node.session.readable_queue(name).unwrap();
                assert!(queue.logged().is_sorted(), "seed {seed}, queue {name}");
                (*name, bodies(&queue))
            };
            QUEUES.iter().map(of_queue).collect::<BTreeMap<_, _>>()
        };
        let killed = disk.kill();
        assert_eq!(have(&node), expected, "seed {seed}");
        let after = Node::open_with(&killed, 0, Durability::Write);
        assert_eq!(have(&after), persistent, "seed {seed}, after a kill");
    }
}

#[test]
fn a_batch_of_several_entries_keeps_its_order_too() {
    let node = node(&FaultyDisk::new());
    let body = |n: u8| char::from(b'0' + n).to_string().repeat(300 << 10);
    let bodies_sent: Vec<String> = (0..8).map(body).collect();
    let queues = ["a", "b", "b", "a", "c", "a", "b", "c"];
    let messages: Vec<_> = queues
        .iter()
        .zip(&bodies_sent)
        .map(|(queue, body)| publish(queue, body, b"{}"))
        .collect();
    let outcome = node
        .session
        .publisher(|_| Table::default())
        .publish(&messages);
    assert_eq!(outcome.accepted, messages.len());
    node.wait(outcome.durable);
    for (queue, expected) in [("a", "035"), ("b", "126"), ("c", "47")] {
        let queue = node.session.readable_queue(queue).unwrap();
        let firsts: String = bodies(&queue).iter().map(|body| &body[..1]).collect();
        assert_eq!(firsts, expected);
    }
}

#[test]
fn a_batch_that_the_log_refuses_reaches_no_queue() {
    let disk = FaultyDisk::new();
    let node = node(&disk);
    let messages = ["a", "b", "a", "c", "b"].map(|queue| publish(queue, "m", b"{}"));
    let mut publisher = node.session.publisher(|_| Table::default());
    for _ in 0..2 {
        // The second time all routes are known.
        assert_eq!(publisher.publish(&messages).accepted, messages.len());
    }
    node.broker.close().unwrap();
    let outcome = publisher.publish(&messages);
    assert_eq!((outcome.accepted, outcome.durable), (0, None));
    assert!(outcome.error.is_some());
    for (queue, ready) in [("a", 4), ("b", 4), ("c", 2)] {
        let queue = node.session.readable_queue(queue).unwrap();
        assert_eq!(queue.stats().ready, ready);
    }
}
