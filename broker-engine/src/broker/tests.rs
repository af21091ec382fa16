//! What clients of the core notice: routes, and what comes and goes with queues and connections.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use parking_lot::Mutex;

use super::{
    Broker, Consumer, DEFAULT_VHOST, Delivery, DeliveryId, Error, ExchangeDeclare, Handed, Handout,
    Options, Publish, PublishOutcome, Publisher, Queue, QueueDeclare, Session, Sink, Subscription,
    Table, Value,
};
use crate::store::{self, Drive, disk::FaultyDisk};

/// Collects what a consumer gets.
#[derive(Default)]
pub(super) struct Inbox {
    pub(super) got: Mutex<Vec<(Arc<str>, Delivery)>>,
    pub(super) cancelled: Mutex<Vec<Arc<str>>>,
    pub(super) is_blocked: AtomicBool,
}

impl Inbox {
    pub(super) fn take(&self) -> Vec<(Arc<str>, Delivery)> {
        std::mem::take(&mut self.got.lock())
    }

    /// Bodies in order.
    pub(super) fn bodies(&self) -> Vec<String> {
        self.take()
            .iter()
            .map(|(_, delivery)| body(delivery))
            .collect()
    }

    pub(super) fn ids(&self) -> Vec<DeliveryId> {
        self.got
            .lock()
            .iter()
            .map(|(_, delivery)| delivery.id)
            .collect()
    }
}

impl Sink for Inbox {
    fn deliver(&self, consumer: &Arc<Consumer>, handout: Handout<'_>) {
        let tagged = |handed: &Handed<'_>| (Arc::clone(consumer.tag()), handed.to_delivery());
        self.got.lock().extend(handout.iter().map(tagged));
    }

    fn cancelled(&self, consumer: &Arc<Consumer>) {
        self.cancelled.lock().push(Arc::clone(consumer.tag()));
    }

    fn is_writable(&self) -> bool {
        !self.is_blocked.load(Ordering::Relaxed)
    }
}

pub(super) fn body(delivery: &Delivery) -> String {
    String::from_utf8(delivery.message.body().to_vec()).unwrap()
}

pub(super) fn options() -> Options {
    let store = store::Options {
        drive: Drive::Manual,
        file_bytes: 8192,
        roll_bytes: 16384,
        ..Default::default()
    };
    Options {
        store,
        ..Options::default()
    }
}

pub(super) fn open(disk: &FaultyDisk) -> Arc<Broker> {
    let (broker, opened) = Broker::open(Arc::new(disk.clone()), options()).unwrap();
    assert_eq!(opened.damage, []);
    broker
        .put_user_with_password("guest", "guest", &["administrator"])
        .unwrap();
    broker
}

pub(super) fn session(broker: &Broker) -> Session {
    let guest = broker.authenticate("guest", b"guest", true).unwrap();
    broker.session(&guest, DEFAULT_VHOST).unwrap()
}

pub(super) fn no_headers(_: &[u8]) -> Table {
    Table::default()
}

/// Reads properties of the form `name=value` as headers.
fn plain_headers(properties: &[u8]) -> Table {
    let text = String::from_utf8_lossy(properties).into_owned();
    text.split_once('=')
        .map(|(name, value)| (name.to_owned(), Value::String(value.into())))
        .into_iter()
        .collect()
}

pub(super) fn message<'a>(exchange: &'a str, routing_key: &'a str, body: &'a str) -> Publish<'a> {
    let (properties, body) = (&b""[..], body.as_bytes());
    Publish {
        exchange,
        routing_key,
        properties,
        body,
        persistent: true,
        mandatory: true,
        expires: false,
        copies: &[],
    }
}

pub(super) fn send(
    publisher: &mut Publisher,
    exchange: &str,
    key: &str,
    body: &str,
) -> PublishOutcome {
    publisher.publish(&[message(exchange, key, body)])
}

pub(super) fn durable(session: &Session, name: &str) -> Arc<Queue> {
    session
        .queue_declare(QueueDeclare {
            name: name.to_owned(),
            durable: true,
            ..Default::default()
        })
        .unwrap()
        .queue
}

pub(super) fn subscription(sink: &Arc<Inbox>, tag: &str, prefetch: u32) -> Subscription {
    Subscription {
        sink: Arc::clone(sink) as Arc<dyn Sink>,
        tag: tag.into(),
        no_ack: false,
        exclusive: false,
        priority: 0,
        prefetch,
        channel_credit: Arc::default(),
    }
}

pub(super) fn consume(
    session: &Session,
    queue: &str,
    subscription: Subscription,
) -> (Arc<Queue>, Arc<Consumer>) {
    let (queue, consumer) = session.subscribe(queue, subscription).unwrap();
    queue.pump();
    (queue, consumer)
}

#[test]
fn each_kind_of_exchange_routes_its_way() {
    let broker = open(&FaultyDisk::new());
    let session = session(&broker);
    for name in ["one", "two"] {
        durable(&session, name);
    }
    let text = |value: &str| Value::String(value.into());
    let red: Table = [("color".to_owned(), text("red"))].into_iter().collect();
    for (queue, exchange, key, arguments) in [
        ("one", "amq.direct", "a", Table::default()),
        ("two", "amq.direct", "b", Table::default()),
        ("two", "amq.direct", "a.b", Table::default()),
        ("one", "amq.fanout", "", Table::default()),
        ("two", "amq.fanout", "x", Table::default()),
        ("one", "amq.topic", "a.#", Table::default()),
        ("one", "amq.topic", "*.b", Table::default()),
        ("two", "amq.topic", "a.*.c", Table::default()),
        ("one", "amq.headers", "", red),
    ] {
        session
            .queue_bind(queue, exchange, key, &arguments)
            .unwrap();
    }
    let mut publisher = session.publisher(plain_headers);
    let mut routed = |exchange: &str, key: &str, properties: &str| {
        let publish = Publish {
            properties: properties.as_bytes(),
            ..message(exchange, key, "x")
        };
        let outcome = publisher.publish(&[publish]);
        let got: Vec<usize> = ["one", "two"]
            .map(|name| session.queue_purge(name).unwrap().messages)
            .to_vec();
        assert_eq!(outcome.unroutable.is_empty(), got.iter().sum::<usize>() > 0);
        got
    };
    for (exchange, key, properties, expected) in [
        ("", "one", "", [1, 0]),
        ("", "three", "", [0, 0]),
        ("amq.direct", "a", "", [1, 0]),
        ("amq.direct", "a.b", "", [0, 1]),
        ("amq.direct", "c", "", [0, 0]),
        ("amq.fanout", "whatever", "", [1, 1]),
        ("amq.topic", "a.b", "", [1, 0]),
        ("amq.topic", "a.x.c", "", [1, 1]),
        ("amq.topic", "x.y", "", [0, 0]),
        ("amq.headers", "k", "color=red", [1, 0]),
        ("amq.headers", "k", "color=blue", [0, 0]),
    ] {
        assert_eq!(
            routed(exchange, key, properties),
            expected,
            "{exchange} {key} {properties}"
        );
    }
}

#[test]
fn a_changed_topology_is_seen_by_the_next_message() {
    let broker = open(&FaultyDisk::new());
    let session = session(&broker);
    let mut publisher = session.publisher(no_headers);
    assert_eq!(send(&mut publisher, "", "q", "lost").unroutable, [0]);
    durable(&session, "q");
    assert!(send(&mut publisher, "", "q", "kept").unroutable.is_empty());
    session.queue_delete("q", false, false).unwrap();
    assert_eq!(send(&mut publisher, "", "q", "lost").unroutable, [0]);
    assert!(matches!(
        send(&mut publisher, "none", "q", "x").error,
        Some(Error::NotFound(_))
    ));
}

#[test]
fn an_exclusive_queue_is_for_its_connection_and_goes_with_it() {
    let broker = open(&FaultyDisk::new());
    let (mine, other) = (session(&broker), session(&broker));
    let declare = QueueDeclare {
        name: "q".to_owned(),
        exclusive: true,
        durable: true,
        ..Default::default()
    };
    let queue = mine.queue_declare(declare.clone()).unwrap().queue;
    for refused in [
        other.queue_check(queue.name()).map(|_| ()),
        other.queue_delete(queue.name(), false, false).map(|_| ()),
        other
            .subscribe(queue.name(), subscription(&Arc::default(), "t", 0))
            .map(|_| ()),
        other.queue_declare(declare).map(|_| ()),
    ] {
        let Err(Error::ResourceLocked(text)) = refused else {
            panic!("{refused:?}")
        };
        assert!(
            text.starts_with("cannot obtain exclusive access to locked queue 'q'"),
            "{text}"
        );
    }
    mine.close().unwrap();
    assert!(matches!(
        other.queue_check(queue.name()),
        Err(Error::NotFound(_))
    ));
}

#[test]
fn an_auto_delete_queue_goes_with_its_last_consumer() {
    let broker = open(&FaultyDisk::new());
    let session = session(&broker);
    let declare = QueueDeclare {
        name: "q".to_owned(),
        durable: true,
        auto_delete: true,
        ..Default::default()
    };
    session.queue_declare(declare).unwrap();
    let exchange = ExchangeDeclare {
        name: "e".to_owned(),
        kind: "fanout".to_owned(),
        durable: true,
        auto_delete: true,
        ..Default::default()
    };
    session.exchange_declare(exchange).unwrap();
    session.queue_bind("q", "e", "", &Table::default()).unwrap();
    let inbox = Arc::default();
    let (queue, first) = consume(&session, "q", subscription(&inbox, "first", 0));
    let (_, second) = consume(&session, "q", subscription(&inbox, "second", 0));
    session.unsubscribe(&queue, &first).unwrap();
    session.queue_check("q").unwrap();
    session.unsubscribe(&queue, &second).unwrap();
    assert!(matches!(session.queue_check("q"), Err(Error::NotFound(_))));
    assert!(
        matches!(session.exchange_check("e"), Err(Error::NotFound(_))),
        "so does an exchange with its last binding"
    );
}

#[test]
fn consumers_of_a_deleted_queue_are_told() {
    let broker = open(&FaultyDisk::new());
    let session = session(&broker);
    durable(&session, "q");
    let mut publisher = session.publisher(no_headers);
    for body in ["a", "b"] {
        send(&mut publisher, "", "q", body);
    }
    let inbox = Arc::new(Inbox::default());
    let (queue, consumer) = consume(&session, "q", subscription(&inbox, "t", 1));
    assert!(matches!(
        session.queue_delete("q", true, false),
        Err(Error::PreconditionFailed(_))
    ));
    assert!(matches!(
        session.queue_delete("q", false, true),
        Err(Error::PreconditionFailed(_))
    ));
    assert_eq!(session.queue_delete("q", false, false).unwrap().messages, 1);
    assert_eq!(*inbox.cancelled.lock(), [Arc::from("t")]);
    assert!(consumer.is_cancelled());
    assert_eq!(consumer.credit().in_flight(), 0);
    queue.ack(&inbox.ids());
    assert_eq!(
        session.queue_delete("q", false, false).unwrap().messages,
        0,
        "a second time is no error"
    );
}

#[test]
fn a_different_redeclaration_is_refused_in_rabbitmqs_words() {
    let broker = open(&FaultyDisk::new());
    let session = session(&broker);
    let ttl = |value: Value| {
        [("x-message-ttl".to_owned(), value)]
            .into_iter()
            .collect::<Table>()
    };
    let declare = |durable, arguments| QueueDeclare {
        name: "q".to_owned(),
        durable,
        arguments,
        ..Default::default()
    };
    let unnamed = QueueDeclare::default();
    let server_named = session.queue_declare(unnamed).unwrap().queue;
    let name = server_named.name();
    assert!(name.starts_with("amq.gen-"), "{name}");
    session
        .queue_declare(declare(true, ttl(Value::I32(1000))))
        .unwrap();
    session
        .queue_declare(declare(true, ttl(Value::I64(1000))))
        .unwrap();
    let text = |declare| session.queue_declare(declare).unwrap_err().to_string();
    assert_eq!(
        text(declare(false, ttl(Value::I32(1000)))),
        "inequivalent arg 'durable' for queue 'q' in vhost '/': received 'false' but current is 'true'"
    );
    assert_eq!(
        text(declare(true, ttl(Value::I32(5)))),
        "inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': received '5' but current is '1000'"
    );
    assert!(
        text(declare(true, Table::default()))
            .contains("received none but current is the value '1000'")
    );
    assert_eq!(
        text(QueueDeclare {
            name: "amq.mine".to_owned(),
            ..Default::default()
        }),
        "queue name 'amq.mine' contains reserved prefix 'amq.*'"
    );
    let exchange = |kind: &str| ExchangeDeclare {
        name: "e".to_owned(),
        kind: kind.to_owned(),
        ..Default::default()
    };
    session.exchange_declare(exchange("direct")).unwrap();
    assert_eq!(
        session
            .exchange_declare(exchange("fanout"))
            .unwrap_err()
            .to_string(),
        "inequivalent arg 'type' for exchange 'e' in vhost '/': received 'fanout' but current is 'direct'"
    );
    assert!(matches!(
        session.exchange_declare(exchange("odd")),
        Err(Error::PreconditionFailed(_))
    ));
}
