//! What makes messages durable, queue by queue.

use serde_json::json;

use super::{
    DEFAULT_VHOST, Durability, Error, OPERATOR_POLICY, POLICY, PublishOutcome, QueueDeclare, Table,
    Value,
    tests_governance::{clear, set},
    tests_rules::{Node, bodies, publish, text},
};
use crate::store::disk::FaultyDisk;

const ARGUMENT: &str = "x-warren-durability";
const LEVELS: [Durability; 2] = [Durability::Sync, Durability::Write];

fn argument(level: Durability) -> (&'static str, Value) {
    (ARGUMENT, text(level.name()))
}

/// Publishes a message to each queue, all in one batch, and waits for nothing.
fn send(node: &Node, queues: &[&str]) -> PublishOutcome {
    let messages: Vec<_> = queues
        .iter()
        .map(|queue| publish(queue, "m", b"{}"))
        .collect();
    let mut publisher = node.session.publisher(|_| Table::default());
    publisher.publish(&messages)
}

fn level(node: &Node, queues: &[&str]) -> Durability {
    send(node, queues).durable.unwrap().level()
}

#[test]
fn a_message_is_durable_by_the_level_of_its_queue_whatever_the_nodes() {
    for of_node in LEVELS {
        let disk = FaultyDisk::new();
        let node = Node::open_with(&disk, 0, of_node);
        for of_queue in LEVELS {
            node.declare(of_queue.name(), &[argument(of_queue)]);
        }
        node.declare("plain", &[]);
        assert_eq!(level(&node, &["plain"]), of_node);
        assert_eq!(level(&node, &["write"]), Durability::Write);

        let written = send(&node, &["write"]).durable.unwrap();
        assert!(
            !node.broker.progress().covers(written),
            "it is not written yet"
        );
        node.broker.wait(written).unwrap();
        let progress = node.broker.progress();
        assert!(progress.covers(written) && !progress.covers(written.at(Durability::Sync)));
        let killed = Node::open_with(&disk.kill(), 0, of_node);
        let queue = killed.session.readable_queue("write").unwrap();
        assert_eq!(
            queue.stats().ready,
            2,
            "the process ends, the message stays"
        );

        let synced = send(&node, &["sync"]).durable.unwrap();
        assert_eq!(synced.level(), Durability::Sync);
        node.broker.wait(synced).unwrap();
        for seed in 0..8 {
            let cut = Node::open_with(&disk.power_cut(seed), 0, of_node);
            let queue = cut.session.readable_queue("sync").unwrap();
            assert_eq!(bodies(&queue), ["m"], "the power goes, the message stays");
        }
    }
}

#[test]
fn a_batch_for_several_queues_is_durable_by_the_strictest_level() {
    let node = Node::new();
    node.declare("sync", &[argument(Durability::Sync)]);
    node.declare("write", &[argument(Durability::Write)]);
    for (queues, expected) in [
        (vec!["write", "sync"], Durability::Sync),
        (vec!["sync", "write"], Durability::Sync),
        (vec!["write", "write"], Durability::Write),
    ] {
        assert_eq!(level(&node, &queues), expected, "{queues:?}");
    }
    // What goes to the log for nobody is not waited for.
    let transient = super::Publish {
        persistent: false,
        ..publish("sync", "m", b"{}")
    };
    let mut publisher = node.session.publisher(|_| Table::default());
    let outcome = publisher.publish(&[transient, publish("write", "m", b"{}")]);
    assert_eq!(outcome.durable.unwrap().level(), Durability::Write);
    assert_eq!(publisher.publish(&[transient]).durable, None);
}

#[test]
fn a_commit_is_durable_by_the_strictest_level_of_what_it_publishes_and_settles() {
    let node = Node::new();
    let sync = node.declare("sync", &[argument(Durability::Sync)]);
    let write = node.declare("write", &[argument(Durability::Write)]);
    node.wait(send(&node, &["sync", "write"]).durable);
    let settle = |queue: &std::sync::Arc<super::Queue>| {
        let (delivery, _) = queue.get(false).unwrap().unwrap();
        super::Settlement {
            verdict: super::Verdict::Ack,
            queue: std::sync::Arc::clone(queue),
            run: super::DeliveryRun::of(delivery.id),
        }
    };
    let (of_sync, of_write) = (settle(&sync), settle(&write));
    let mut publisher = node.session.publisher(|_| Table::default());
    let mut commit = |settled: &[super::Settlement]| {
        let messages = [publish("write", "m", b"{}")];
        let ways = messages
            .each_ref()
            .map(|message| publisher.find_way(message).unwrap());
        let outcome = publisher.commit(&messages, ways.into(), settled).unwrap();
        outcome.durable.unwrap().level()
    };
    assert_eq!(commit(&[of_write]), Durability::Write);
    assert_eq!(commit(&[of_sync]), Durability::Sync);
}

#[test]
fn policies_set_the_level_live_and_the_strictest_of_all_holds() {
    let node = Node::new();
    let plain = node.declare("plain", &[]);
    let own = node.declare("own", &[argument(Durability::Write)]);
    let mut publisher = node.session.publisher(|_| Table::default());
    let mut level = |queue| {
        let outcome = publisher.publish(&[publish(queue, "m", b"{}")]);
        outcome.durable.unwrap().level()
    };
    assert_eq!(
        (level("plain"), level("own")),
        (Durability::Sync, Durability::Write)
    );
    set(&node, POLICY, "p", ".*", json!({"durability": "write"}));
    assert_eq!(
        (level("plain"), level("own")),
        (Durability::Write, Durability::Write)
    );
    set(
        &node,
        OPERATOR_POLICY,
        "o",
        ".*",
        json!({"durability": "sync"}),
    );
    assert_eq!(
        (level("plain"), level("own")),
        (Durability::Sync, Durability::Sync)
    );
    assert_eq!(
        (plain.durability(), own.durability()),
        (Durability::Sync, Durability::Sync)
    );
    let definition = own.policies().definition.unwrap();
    assert_eq!(definition["durability"], "sync");
    // An operator asks for no less than users do.
    set(&node, POLICY, "p", ".*", json!({"durability": "sync"}));
    set(
        &node,
        OPERATOR_POLICY,
        "o",
        ".*",
        json!({"durability": "write"}),
    );
    assert_eq!(level("plain"), Durability::Sync);
    clear(&node, POLICY, "p");
    clear(&node, OPERATOR_POLICY, "o");
    assert_eq!(
        (level("plain"), level("own")),
        (Durability::Sync, Durability::Write)
    );
}

#[test]
fn a_quorum_queue_is_always_synced() {
    let node = Node::open_with(&FaultyDisk::new(), 0, Durability::Write);
    let quorum = ("x-queue-type", text("quorum"));
    node.declare("q", std::slice::from_ref(&quorum));
    node.declare("named", &[quorum, argument(Durability::Sync)]);
    set(&node, POLICY, "p", ".*", json!({"durability": "write"}));
    assert_eq!(level(&node, &["q"]), Durability::Sync);
    assert_eq!(level(&node, &["named"]), Durability::Sync);
}

#[test]
fn a_level_that_makes_no_sense_or_is_another_is_refused() {
    let node = Node::new();
    let declare = |name: &str, durable: bool, arguments: Vec<(&str, Value)>| {
        let arguments = arguments.into_iter();
        let declare = QueueDeclare {
            name: name.to_owned(),
            durable,
            arguments: arguments
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            ..QueueDeclare::default()
        };
        let refused = node.session.queue_declare(declare).err();
        refused.map(|error| {
            assert!(matches!(error, Error::PreconditionFailed(_)), "{error:?}");
            error.to_string()
        })
    };
    let invalid = |reason: &str| {
        Some(format!(
            "invalid arg 'x-warren-durability' for queue 'q' in vhost '{DEFAULT_VHOST}': {reason}"
        ))
    };
    assert_eq!(
        declare("q", true, vec![(ARGUMENT, text("disk"))]),
        invalid("\"unknown level 'disk', expected 'sync' or 'write'\"")
    );
    assert_eq!(
        declare("q", true, vec![(ARGUMENT, Value::Bool(true))]),
        invalid("{unacceptable_type,bool}")
    );
    assert_eq!(
        declare("q", false, vec![argument(Durability::Write)]),
        invalid("\"only queues that are durable and not exclusive have a level\"")
    );
    let quorum = ("x-queue-type", text("quorum"));
    assert_eq!(
        declare("q", true, vec![quorum, argument(Durability::Write)]),
        invalid("\"quorum queues are always 'sync'\"")
    );
    assert_eq!(declare("q", true, vec![argument(Durability::Write)]), None);
    assert_eq!(declare("q", true, vec![argument(Durability::Write)]), None);
    assert_eq!(
        declare("q", true, vec![argument(Durability::Sync)]).unwrap(),
        format!(
            "inequivalent arg 'x-warren-durability' for queue 'q' in vhost '{DEFAULT_VHOST}': \
             received 'sync' but current is 'write'"
        )
    );
    let value = json!({"pattern": ".*", "definition": {"durability": "never"}, "priority": 0});
    let parameter = super::definitions::document::Parameter {
        vhost: DEFAULT_VHOST.to_owned(),
        component: POLICY.to_owned(),
        name: "p".to_owned(),
        value,
    };
    let refused = node.broker.put_parameter(&parameter).unwrap_err();
    assert!(refused.to_string().contains("sync or write"), "{refused}");
}

#[test]
fn a_purge_and_a_deletion_are_durable_as_the_messages_were() {
    for of_node in LEVELS {
        let disk = FaultyDisk::new();
        let node = Node::open_with(&disk, 0, of_node);
        for of_queue in LEVELS {
            let name = of_queue.name();
            node.declare(name, &[argument(of_queue)]);
            node.wait(send(&node, &[name, name]).durable);
            let purged = node.session.queue_purge(name).unwrap();
            assert_eq!(purged.messages, 2);
            assert_eq!(purged.durable.unwrap().level(), of_queue);
            node.wait(purged.durable);
            if of_queue == Durability::Sync {
                for seed in 0..8 {
                    let cut = Node::open_with(&disk.power_cut(seed), 0, of_node);
                    let queue = cut.session.readable_queue(name).unwrap();
                    assert_eq!(queue.stats().ready, 0, "the power goes, nothing is back");
                }
            }
            let nothing = node.session.queue_purge(name).unwrap();
            assert_eq!((nothing.messages, nothing.durable), (0, None));
            let deleted = node.session.queue_delete(name, false, false).unwrap();
            let expected = of_node.stricter(of_queue);
            assert_eq!(deleted.durable.unwrap().level(), expected);
        }
    }
}
