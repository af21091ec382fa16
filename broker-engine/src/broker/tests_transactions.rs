//! Transactions that settle, requeue and dead-letter: all of it or nothing, whatever goes wrong.

use std::sync::Arc;

use super::{
    Publish, PublishOutcome, Queue, Settlement, Table, Value, Verdict,
    error::Error,
    message::DeliveryRun,
    tests_rules::{Node, bodies, dead_to, publish, text},
};
use crate::store::disk::FaultyDisk;

fn commit(
    node: &Node,
    messages: &[Publish<'_>],
    settled: &[Settlement],
) -> Result<PublishOutcome, Error> {
    let mut publisher = node.session.publisher(|_| Table::default());
    let ways: Result<Vec<_>, _> = messages
        .iter()
        .map(|message| publisher.find_way(message))
        .collect();
    publisher.commit(messages, ways?, settled)
}

/// Takes the next message out of a queue, to be settled like this.
fn take(queue: &Arc<Queue>, verdict: Verdict) -> Settlement {
    let (delivery, _) = queue.get(false).unwrap().unwrap();
    Settlement {
        verdict,
        queue: Arc::clone(queue),
        run: DeliveryRun::of(delivery.id),
    }
}

/// How many messages are ready in each queue.
fn ready<const N: usize>(node: &Node, names: [&str; N]) -> [usize; N] {
    names.map(|name| node.session.vhost().queue(name).unwrap().stats().ready)
}

#[test]
fn what_is_refused_and_put_back_in_a_transaction_is_so_with_all_of_it_or_not_at_all() {
    let (mut whole, mut nothing) = (0, 0);
    for seed in 0..40 {
        let disk = FaultyDisk::new();
        let node = Node::open(&disk, 0);
        let from = node.declare("from", &dead_to("dead"));
        node.declare("dead", &[]);
        node.declare("a", &[]);
        for body in ["acked", "refused", "back"] {
            node.plain("from", body);
        }
        let settled =
            [Verdict::Ack, Verdict::Discard, Verdict::Requeue].map(|verdict| take(&from, verdict));
        let outcome = commit(&node, &[publish("a", "new", b"{}")], &settled).unwrap();
        assert_eq!(ready(&node, ["from", "dead", "a"]), [1, 1, 1]);
        assert_eq!(from.stats().unacked, 0);
        node.broker.core.store.write();
        let is_confirmed = seed % 4 == 0;
        if is_confirmed {
            node.wait(outcome.durable);
        }
        let node = Node::open(&disk.power_cut(seed), 0);
        match ready(&node, ["from", "dead", "a"]) {
            [1, 1, 1] => {
                let from = node.session.vhost().queue("from").unwrap();
                let (delivery, _) = from.get(true).unwrap().unwrap();
                assert!(delivery.redelivered);
                assert_eq!(
                    (delivery.message.body(), delivery.returns),
                    (&b"back"[..], 1)
                );
                whole += 1;
            }
            [3, 0, 0] if !is_confirmed => nothing += 1,
            torn => panic!("seed {seed}: {torn:?}"),
        }
    }
    assert!(whole > 0 && nothing > 0, "{whole} {nothing}");
}

#[test]
fn a_queue_that_refuses_one_message_refuses_the_transaction() {
    let node = Node::new();
    let from = node.declare("from", &dead_to("dead"));
    let dead = node.declare("dead", &[]);
    let other = node.declare("other", &[]);
    let mut arguments = dead_to("dead").to_vec();
    arguments.extend([
        ("x-max-length", Value::I32(1)),
        ("x-overflow", text("reject-publish-dlx")),
    ]);
    let full = node.declare("full", &arguments);
    node.plain("from", "m");
    let settled = [take(&from, Verdict::Discard)];
    let messages = [("other", "1"), ("full", "2"), ("full", "3")]
        .map(|(queue, body)| publish(queue, body, b"{}"));
    let refused = commit(&node, &messages, &settled).unwrap_err();
    assert_eq!(refused.to_string(), "partial tx completion");
    for queue in [&other, &full, &dead] {
        assert_eq!(queue.stats().ready, 0, "{}", queue.name());
    }
    assert_eq!(
        from.stats().unacked,
        1,
        "it waits for its settlement as before"
    );
    commit(&node, &messages[..2], &settled).unwrap();
    assert_eq!(
        (bodies(&full), bodies(&dead)),
        (vec!["2".into()], vec!["m".into()])
    );
}

#[test]
fn a_message_put_back_too_often_by_a_transaction_dies() {
    let node = Node::new();
    let mut arguments = dead_to("dead").to_vec();
    arguments.extend([
        ("x-queue-type", text("quorum")),
        ("x-delivery-limit", Value::I32(1)),
    ]);
    let queue = node.declare("q", &arguments);
    let dead = node.declare("dead", &[]);
    node.plain("q", "m");
    for is_dead in [false, true] {
        commit(&node, &[], &[take(&queue, Verdict::Requeue)]).unwrap();
        assert_eq!(queue.stats().ready, usize::from(!is_dead));
        assert_eq!(dead.stats().ready, usize::from(is_dead));
    }
}

#[test]
fn a_log_that_refuses_the_entry_leaves_everything_as_it_was() {
    let disk = FaultyDisk::new();
    let node = Node::open(&disk, 0);
    let from = node.declare("from", &dead_to("dead"));
    node.declare("dead", &[]);
    for body in ["1", "2"] {
        node.plain("from", body);
    }
    let settled = [Verdict::Discard, Verdict::Ack].map(|verdict| take(&from, verdict));
    disk.set_capacity_bytes(Some(1));
    let big = "x".repeat(1000);
    let messages = [publish("dead", &big, b"{}")];
    let mut publisher = node.session.publisher(|_| Table::default());
    while publisher.publish(&messages).error.is_none() {}
    let before = ready(&node, ["from", "dead"]);
    assert!(matches!(
        commit(&node, &messages, &settled),
        Err(Error::Store(_))
    ));
    assert_eq!(from.stats().unacked, 2);
    assert_eq!(ready(&node, ["from", "dead"]), before);
}
