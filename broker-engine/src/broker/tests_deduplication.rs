//! What queues and exchanges do with messages that came before.

use super::{
    ExchangeDeclare, PublishOutcome, Table, Value,
    tests_rules::{Node, Properties, bodies, publish, text},
};
use crate::store::disk::FaultyDisk;

const DEDUPLICATES: (&str, Value) = ("x-message-deduplication", Value::Bool(true));

/// Properties of a message that says who it is.
fn named(name: &str) -> Properties {
    Properties {
        headers: Table(vec![("x-deduplication-header".to_owned(), text(name))]),
        ..Properties::default()
    }
}

/// Whether a message came in, and whether its publisher was told no.
fn fate(outcome: &PublishOutcome) -> (bool, bool) {
    assert!(outcome.error.is_none());
    (
        outcome.unroutable.is_empty() && outcome.rejected.is_empty(),
        !outcome.rejected.is_empty(),
    )
}

const IN: (bool, bool) = (true, false);
const DROPPED: (bool, bool) = (false, false);
const REFUSED: (bool, bool) = (false, true);

#[test]
fn a_queue_takes_a_message_once_until_its_time_is_over() {
    let node = Node::new();
    let queue = node.declare("q", &[DEDUPLICATES, ("x-cache-ttl", Value::I32(100))]);
    let send = |body, name| fate(&node.send("q", body, &named(name)));
    assert_eq!(send("1", "a"), IN);
    assert_eq!(send("2", "a"), DROPPED);
    assert_eq!(send("3", "b"), IN);
    assert_eq!(fate(&node.plain("q", "4")), IN);
    assert_eq!(fate(&node.plain("q", "5")), IN);
    assert_eq!(bodies(&queue), ["1", "3", "4", "5"]);
    assert_eq!(queue.stats().deduplicated_total, 1);
    assert_eq!(send("6", "a"), DROPPED, "also when the first one is gone");
    node.pass(100);
    assert_eq!(send("7", "a"), IN);
}

#[test]
fn the_same_message_twice_in_one_batch_is_one() {
    let node = Node::new();
    let queue = node.declare("q", &[DEDUPLICATES]);
    let properties = serde_json::to_vec(&named("a")).unwrap();
    let messages = ["1", "2"].map(|body| publish("q", body, &properties));
    let outcome = node
        .session
        .publisher(|_| Table::default())
        .publish(&messages);
    assert_eq!((outcome.accepted, outcome.rejected.len()), (2, 0));
    assert_eq!(bodies(&queue), ["1"]);
}

#[test]
fn a_message_that_a_full_queue_refused_may_come_again() {
    let node = Node::new();
    let arguments = [
        DEDUPLICATES,
        ("x-max-length", Value::I32(1)),
        ("x-overflow", text("reject-publish")),
    ];
    let queue = node.declare("q", &arguments);
    assert_eq!(fate(&node.send("q", "1", &named("a"))), IN);
    assert_eq!(fate(&node.send("q", "2", &named("b"))), REFUSED);
    assert_eq!(bodies(&queue), ["1"]);
    assert_eq!(fate(&node.send("q", "3", &named("b"))), IN);
}

#[test]
fn a_repetition_is_confirmed_no_sooner_than_the_message_is_durable() {
    let node = Node::new();
    node.declare("q", &[DEDUPLICATES]);
    let properties = serde_json::to_vec(&named("a")).unwrap();
    let send = || {
        let mut publisher = node.session.publisher(|_| Table::default());
        publisher.publish(&[publish("q", "m", &properties)])
    };
    let first = send().durable.unwrap();
    assert_eq!(send().durable, Some(first));
}

#[test]
fn an_exchange_hands_a_message_on_once_and_only_if_somebody_takes_it() {
    let disk = FaultyDisk::new();
    let node = Node::open(&disk, 0);
    let queue = node.declare("q", &[]);
    let declare = ExchangeDeclare {
        name: "x".to_owned(),
        kind: "fanout".to_owned(),
        arguments: Table(vec![
            (DEDUPLICATES.0.to_owned(), DEDUPLICATES.1),
            ("x-deduplication-header".to_owned(), text("id")),
        ]),
        ..ExchangeDeclare::default()
    };
    node.session.exchange_declare(declare.clone()).unwrap();
    let mut publisher = node.session.publisher(|properties| {
        serde_json::from_slice::<Properties>(properties)
            .unwrap()
            .headers
    });
    let mut send = |body: &str, id: &str| {
        let properties = Properties {
            headers: Table(vec![("id".to_owned(), text(id))]),
            ..Properties::default()
        };
        let properties = serde_json::to_vec(&properties).unwrap();
        let mut message = publish("q", body, &properties);
        message.exchange = "x";
        fate(&publisher.publish(&[message]))
    };
    assert_eq!(send("1", "a"), DROPPED, "nobody is there");
    node.session
        .queue_bind("q", "x", "", &Table::default())
        .unwrap();
    assert_eq!(send("2", "a"), IN);
    assert_eq!(send("3", "a"), DROPPED);
    assert_eq!(send("4", "b"), IN);
    assert_eq!(bodies(&queue), ["2", "4"]);
    let mut nonsense = declare;
    nonsense.name = "y".to_owned();
    nonsense.arguments.set("x-cache-size", text("many"));
    assert!(node.session.exchange_declare(nonsense).is_err());
}
