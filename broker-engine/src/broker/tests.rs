//! What clients of the core notice.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use parking_lot::Mutex;

use super::{
    Broker, Consumer, Credit, DEFAULT_VHOST, Delivery, DeliveryId, Error, ExchangeDeclare, Handed,
    Handout, Options, Publish, PublishOutcome, Publisher, Queue, QueueDeclare, Session, Sink,
    Subscription, Table, Value, definitions::document,
};
use crate::store::{self, Drive, MessageId, disk::FaultyDisk};

/// Collects what a consumer gets.
#[derive(Default)]
struct Inbox {
    got: Mutex<Vec<(Arc<str>, Delivery)>>,
    cancelled: Mutex<Vec<Arc<str>>>,
    is_blocked: AtomicBool,
}

impl Inbox {
    fn take(&self) -> Vec<(Arc<str>, Delivery)> {
        std::mem::take(&mut self.got.lock())
    }

    /// Bodies in order.
    fn bodies(&self) -> Vec<String> {
        self.take()
            .iter()
            .map(|(_, delivery)| body(delivery))
            .collect()
    }

    fn ids(&self) -> Vec<DeliveryId> {
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

fn body(delivery: &Delivery) -> String {
    String::from_utf8(delivery.message.body().to_vec()).unwrap()
}

fn options() -> Options {
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

fn open(disk: &FaultyDisk) -> Arc<Broker> {
    let (broker, opened) = Broker::open(Arc::new(disk.clone()), options()).unwrap();
    assert_eq!(opened.damage, []);
    broker
        .put_user_with_password("guest", "guest", &["administrator"])
        .unwrap();
    broker
}

fn session(broker: &Broker) -> Session {
    let guest = broker.authenticate("guest", b"guest", true).unwrap();
    broker.session(&guest, DEFAULT_VHOST).unwrap()
}

fn no_headers(_: &[u8]) -> Table {
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

fn message<'a>(exchange: &'a str, routing_key: &'a str, body: &'a str) -> Publish<'a> {
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

fn send(publisher: &mut Publisher, exchange: &str, key: &str, body: &str) -> PublishOutcome {
    publisher.publish(&[message(exchange, key, body)])
}

fn durable(session: &Session, name: &str) -> Arc<Queue> {
    session
        .queue_declare(QueueDeclare {
            name: name.to_owned(),
            durable: true,
            ..Default::default()
        })
        .unwrap()
        .queue
}

fn subscription(sink: &Arc<Inbox>, tag: &str, prefetch: u32) -> Subscription {
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

fn consume(
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
fn consumers_take_turns_message_by_message() {
    let broker = open(&FaultyDisk::new());
    let session = session(&broker);
    durable(&session, "q");
    let inbox = Arc::new(Inbox::default());
    for tag in ["a", "b", "c"] {
        consume(&session, "q", subscription(&inbox, tag, 0));
    }
    let mut publisher = session.publisher(no_headers);
    let bodies: Vec<String> = (0..9).map(|n| n.to_string()).collect();
    let messages: Vec<_> = bodies.iter().map(|body| message("", "q", body)).collect();
    publisher.publish(&messages);
    let mut by_tag: Vec<_> = inbox
        .take()
        .iter()
        .map(|(tag, delivery)| (tag.to_string(), body(delivery)))
        .collect();
    by_tag.sort();
    let expected: Vec<_> = ["a", "b", "c"]
        .iter()
        .enumerate()
        .flat_map(|(at, tag)| [at, at + 3, at + 6].map(|n| ((*tag).to_owned(), n.to_string())))
        .collect();
    assert_eq!(by_tag, expected);
}

#[test]
fn a_higher_priority_is_served_first_while_it_can_take_more() {
    let broker = open(&FaultyDisk::new());
    let session = session(&broker);
    durable(&session, "q");
    let inbox = Arc::new(Inbox::default());
    consume(&session, "q", subscription(&inbox, "low", 0));
    consume(
        &session,
        "q",
        Subscription {
            priority: 5,
            ..subscription(&inbox, "high", 2)
        },
    );
    let mut publisher = session.publisher(no_headers);
    for n in 0..3 {
        send(&mut publisher, "", "q", &n.to_string());
    }
    let tags: Vec<_> = inbox
        .take()
        .iter()
        .map(|(tag, _)| tag.to_string())
        .collect();
    assert_eq!(tags, ["high", "high", "low"]);
}

#[test]
fn prefetch_is_exact_per_consumer_and_per_channel() {
    let broker = open(&FaultyDisk::new());
    let session = session(&broker);
    let inbox = Arc::new(Inbox::default());
    let channel = Arc::new(Credit::new(5));
    let mut publisher = session.publisher(no_headers);
    let mut queues = Vec::new();
    for name in ["one", "two"] {
        durable(&session, name);
        for n in 0..10 {
            send(&mut publisher, "", name, &n.to_string());
        }
        let subscription = Subscription {
            channel_credit: Arc::clone(&channel),
            ..subscription(&inbox, name, 3)
        };
        queues.push(consume(&session, name, subscription));
    }
    let tags = |inbox: &Inbox| {
        inbox
            .got
            .lock()
            .iter()
            .map(|(tag, _)| tag.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        tags(&inbox),
        ["one", "one", "one", "two", "two"],
        "3 each, 5 together"
    );
    let first = inbox.ids();
    queues[0].0.ack(&first[..1]);
    assert_eq!(tags(&inbox).len(), 6, "one settled, one more");
    assert_eq!(channel.in_flight(), 5);
    channel.set_limit(6);
    queues[1].0.pump();
    assert_eq!(tags(&inbox).last().unwrap(), "two");
    queues[0].1.credit().set_limit(1);
    queues[0].0.ack(&first[1..3]);
    assert_eq!(queues[0].1.credit().in_flight(), 1, "a lowered bound holds");
    queues[0].0.ack(&first[..3]);
    assert_eq!(
        queues[0].1.credit().in_flight(),
        1,
        "settling twice counts once"
    );
}

#[test]
fn a_consumer_that_cannot_take_more_leaves_messages_to_others() {
    let broker = open(&FaultyDisk::new());
    let session = session(&broker);
    durable(&session, "q");
    let (slow, fast) = (Arc::new(Inbox::default()), Arc::new(Inbox::default()));
    slow.is_blocked.store(true, Ordering::Relaxed);
    let (queue, _) = consume(&session, "q", subscription(&slow, "slow", 0));
    let mut publisher = session.publisher(no_headers);
    send(&mut publisher, "", "q", "waits");
    assert_eq!(queue.stats().ready, 1);
    consume(&session, "q", subscription(&fast, "fast", 0));
    assert_eq!(fast.bodies(), ["waits"]);
    slow.is_blocked.store(false, Ordering::Relaxed);
    queue.pump();
    send(&mut publisher, "", "q", "a");
    send(&mut publisher, "", "q", "b");
    assert_eq!((slow.bodies().len(), fast.bodies().len()), (1, 1));
}

#[test]
fn requeued_messages_go_back_to_where_they_were() {
    let broker = open(&FaultyDisk::new());
    let session = session(&broker);
    let queue = durable(&session, "q");
    let mut publisher = session.publisher(no_headers);
    for n in 0..5 {
        send(&mut publisher, "", "q", &n.to_string());
    }
    let ids: Vec<_> = (0..3)
        .map(|_| queue.get(false).unwrap().unwrap().0.id)
        .collect();
    queue.ack(&ids[1..2]);
    queue.requeue(&[ids[2], ids[0]]);
    let rest: Vec<_> = std::iter::from_fn(|| queue.get(true).unwrap())
        .map(|(d, _)| (body(&d), d.redelivered))
        .collect();
    let expected = [("0", true), ("2", true), ("3", false), ("4", false)]
        .map(|(body, again)| (body.to_owned(), again));
    assert_eq!(rest, expected);
    let stats = queue.stats();
    assert_eq!((stats.ready, stats.unacked, stats.acked_total), (0, 0, 1));
}

#[test]
fn what_was_handed_out_is_redelivered_after_a_restart_and_nothing_else() {
    let disk = FaultyDisk::new();
    let broker = open(&disk);
    let session_one = session(&broker);
    let queue = durable(&session_one, "q");
    let mut publisher = session_one.publisher(no_headers);
    for n in 0..4 {
        send(&mut publisher, "", "q", &n.to_string());
    }
    let out: Vec<_> = (0..2)
        .map(|_| queue.get(false).unwrap().unwrap().0)
        .collect();
    queue.ack(&[out[0].id]);
    // Nothing of what follows the delivery was written before the process was killed.
    let killed = disk.kill();
    queue.requeue(&[out[1].id]);
    broker.close().unwrap();

    for (disk, is_clean) in [(disk.kill(), true), (killed, false)] {
        let broker = open(&disk);
        let queue = session(&broker).readable_queue("q").unwrap();
        let got: Vec<_> = std::iter::from_fn(|| queue.get(true).unwrap())
            .map(|(d, _)| (body(&d), d.redelivered))
            .collect();
        let handed_out = got.iter().find(|(body, _)| body == "1").unwrap();
        assert!(handed_out.1, "a second delivery says so");
        if is_clean {
            let expected = [("1", true), ("2", false), ("3", false)]
                .map(|(body, again)| (body.to_owned(), again));
            assert_eq!(got, expected);
        }
    }
}

#[test]
fn only_persistent_messages_in_durable_queues_survive() {
    let disk = FaultyDisk::new();
    let broker = open(&disk);
    let first = session(&broker);
    durable(&first, "durable");
    first
        .queue_declare(QueueDeclare {
            name: "transient".to_owned(),
            ..Default::default()
        })
        .unwrap();
    for queue in ["durable", "transient"] {
        first
            .queue_bind(queue, "amq.fanout", "", &Table::default())
            .unwrap();
    }
    let mut publisher = first.publisher(no_headers);
    let outcome = publisher.publish(&[
        message("amq.fanout", "", "kept"),
        Publish {
            persistent: false,
            ..message("amq.fanout", "", "lost")
        },
    ]);
    broker.wait(outcome.durable.unwrap()).unwrap();
    let transient_only = publisher.publish(&[Publish {
        persistent: false,
        ..message("amq.fanout", "", "lost")
    }]);
    assert_eq!(transient_only.durable, None, "nothing to wait for");
    assert_eq!(first.queue_check("transient").unwrap().messages, 3);
    let broker = open(&disk.power_cut(3));
    let second = session(&broker);
    assert_eq!(second.queue_check("durable").unwrap().messages, 1);
    assert!(matches!(
        second.queue_check("transient"),
        Err(Error::NotFound(_))
    ));
    let mut publisher = second.publisher(no_headers);
    send(&mut publisher, "amq.fanout", "", "the binding is there");
    assert_eq!(second.queue_check("durable").unwrap().messages, 2);
}

#[test]
fn contents_beyond_the_cache_come_back_from_the_log() {
    let disk = FaultyDisk::new();
    let small = Options {
        cached_bytes_max: 100,
        ..options()
    };
    let (broker, _) = Broker::open(Arc::new(disk.clone()), small).unwrap();
    broker
        .put_user_with_password("guest", "guest", &[])
        .unwrap();
    let session = session(&broker);
    let queue = durable(&session, "q");
    let mut publisher = session.publisher(no_headers);
    let bodies: Vec<String> = (0..200).map(|n| format!("message number {n}")).collect();
    for body in &bodies {
        send(&mut publisher, "", "q", body);
    }
    let inbox = Arc::new(Inbox::default());
    consume(
        &session,
        "q",
        Subscription {
            no_ack: true,
            ..subscription(&inbox, "t", 0)
        },
    );
    assert_eq!(inbox.bodies(), bodies);
    assert_eq!(queue.stats().delivered_total, 200);
    broker.close().unwrap();
    let broker = open(&disk.kill());
    assert_eq!(
        broker
            .vhost(DEFAULT_VHOST)
            .unwrap()
            .queue("q")
            .unwrap()
            .stats()
            .ready,
        0
    );
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

#[test]
fn permissions_hold_at_once_and_survive() {
    let disk = FaultyDisk::new();
    let broker = open(&disk);
    broker
        .put_user_with_password("worker", "secret", &[])
        .unwrap();
    let worker = broker.authenticate("worker", b"secret", false).unwrap();
    assert!(broker.authenticate("worker", b"wrong", false).is_none());
    let session = broker.session(&worker, DEFAULT_VHOST).unwrap();
    let mut publisher = session.publisher(no_headers);
    durable(&session, "jobs");
    assert!(send(&mut publisher, "", "jobs", "x").error.is_none());
    let permission = document::Permission {
        user: "worker".to_owned(),
        vhost: DEFAULT_VHOST.to_owned(),
        configure: String::new(),
        write: "^out$".to_owned(),
        read: "jobs".to_owned(),
    };
    let position = broker.put_permission(&permission).unwrap();
    broker.wait(position).unwrap();
    let refused = send(&mut publisher, "", "jobs", "x")
        .error
        .unwrap()
        .to_string();
    assert_eq!(
        refused,
        "write access to exchange 'amq.default' in vhost '/' refused for user 'worker'"
    );
    let refused = session
        .queue_declare(QueueDeclare {
            name: "more".to_owned(),
            ..Default::default()
        })
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "configure access to queue 'more' in vhost '/' refused for user 'worker'"
    );
    session.readable_queue("jobs").unwrap();
    let broker = open(&disk.power_cut(1));
    assert!(broker.permissions().contains(&permission));
    broker.delete_user("worker").unwrap().unwrap();
    assert!(broker.authenticate("worker", b"secret", false).is_none());
    assert!(matches!(
        broker.session(&worker, DEFAULT_VHOST),
        Err(Error::NotAllowed(_))
    ));
    assert!(matches!(
        broker.session(&worker, "/none"),
        Err(Error::NotAllowed(_))
    ));
}

#[test]
fn a_topic_permission_narrows_the_keys_of_its_exchange_and_survives() {
    let disk = FaultyDisk::new();
    let broker = open(&disk);
    broker
        .put_user_with_password("worker", "secret", &[])
        .unwrap();
    let worker = broker.authenticate("worker", b"secret", false).unwrap();
    let session = broker.session(&worker, DEFAULT_VHOST).unwrap();
    let mut publisher = session.publisher(no_headers);
    durable(&session, "q");
    let bind = |exchange, key| session.queue_bind("q", exchange, key, &Table::default());
    bind("amq.topic", "#").unwrap();
    bind("amq.fanout", "").unwrap();
    assert!(
        send(&mut publisher, "amq.topic", "other.x", "1")
            .error
            .is_none()
    );
    let permission = document::TopicPermission {
        user: "worker".to_owned(),
        vhost: DEFAULT_VHOST.to_owned(),
        exchange: "amq.topic".to_owned(),
        write: r"^{username}\.".to_owned(),
        read: "^open".to_owned(),
    };
    broker
        .wait(broker.put_topic_permission(&permission).unwrap())
        .unwrap();
    assert!(
        send(&mut publisher, "amq.topic", "worker.x", "2")
            .error
            .is_none()
    );
    let refusal = "write access to topic 'other.x' in exchange topic 'amq.topic' in vhost '/' refused for user 'worker'";
    let refused = send(&mut publisher, "amq.topic", "other.x", "3").error;
    assert_eq!(refused.unwrap().to_string(), refusal);
    let copies = ["other.x".to_owned()];
    let copied = Publish {
        copies: &copies,
        ..message("amq.topic", "worker.x", "4")
    };
    let refused = publisher.publish(&[copied]).error;
    assert_eq!(refused.unwrap().to_string(), refusal);
    assert!(
        send(&mut publisher, "amq.fanout", "other.x", "5")
            .error
            .is_none()
    );
    bind("amq.topic", "open.x").unwrap();
    assert_eq!(
        bind("amq.topic", "closed.x").unwrap_err().to_string(),
        "read access to topic 'closed.x' in exchange topic 'amq.topic' in vhost '/' refused for user 'worker'"
    );
    let broker = open(&disk.power_cut(1));
    assert_eq!(broker.topic_permissions(), [permission]);
    broker.delete_user("worker").unwrap().unwrap();
    assert_eq!(broker.topic_permissions(), []);
}

#[test]
fn the_monitoring_user_is_for_this_machine_only() {
    let broker = open(&FaultyDisk::new());
    broker.set_monitoring_user(Some(("monitor", "secret")));
    assert!(broker.authenticate("monitor", b"secret", false).is_none());
    assert!(broker.authenticate("monitor", b"wrong", true).is_none());
    let monitor = broker.authenticate("monitor", b"secret", true).unwrap();
    assert!(
        broker.users().iter().all(|user| user.name != "monitor"),
        "not listed"
    );
    let session = broker.session(&monitor, DEFAULT_VHOST).unwrap();
    session
        .queue_declare(QueueDeclare {
            exclusive: true,
            ..Default::default()
        })
        .unwrap();
}

#[test]
fn a_full_volume_refuses_the_batch_and_says_so() {
    let disk = FaultyDisk::new();
    let broker = open(&disk);
    let session = session(&broker);
    let queue = durable(&session, "q");
    disk.set_capacity_bytes(Some(1));
    let mut publisher = session.publisher(no_headers);
    let (mut accepted, large) = (0, "x".repeat(1000));
    let outcome = loop {
        let outcome = send(&mut publisher, "", "q", &large);
        if outcome.error.is_some() {
            break outcome;
        }
        accepted += 1;
    };
    assert!(matches!(
        outcome.error,
        Some(Error::Store(store::Error::NoSpace))
    ));
    assert_eq!((outcome.accepted, queue.stats().ready), (0, accepted));
}

/// What a broker must bring back.
fn durable_image(broker: &Broker) -> Vec<String> {
    let mut image = Vec::new();
    for vhost in broker.vhosts() {
        for queue in vhost.queues().iter().filter(|queue| queue.is_logged()) {
            let logged: Vec<(MessageId, u8)> = queue.logged();
            image.push(format!(
                "queue {} {:?} {logged:?}",
                queue.name(),
                queue.settings()
            ));
        }
        for (name, settings) in vhost
            .exchanges()
            .iter()
            .filter(|(_, settings)| settings.durable)
        {
            image.push(format!("exchange {name} {settings:?}"));
        }
        image.extend(vhost.durable_bindings());
    }
    image.sort();
    image
}

#[test]
fn what_recovers_is_what_ran() {
    for seed in 0..30 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut disk = FaultyDisk::new();
        for life in 0..3 {
            let broker = open(&disk);
            let session = session(&broker);
            let mut publisher = session.publisher(no_headers);
            for step in 0..80 {
                let name = format!("q{}", random.u8(..4));
                let exchange = format!("e{}", random.u8(..3));
                let key = format!("k{}", random.u8(..3));
                match random.u8(..12) {
                    0 => {
                        durable(&session, &name);
                    }
                    1 => {
                        let kind = ["direct", "topic"][usize::from(random.bool())].to_owned();
                        let (durable, auto_delete) = (random.bool(), random.bool());
                        let name = exchange;
                        // A redeclaration that differs is refused, which is fine here.
                        let declare = ExchangeDeclare {
                            name,
                            kind,
                            durable,
                            auto_delete,
                            ..Default::default()
                        };
                        let _ = session.exchange_declare(declare);
                    }
                    2 => drop(session.queue_bind(&name, &exchange, &key, &Table::default())),
                    3 => drop(session.queue_unbind(&name, &exchange, &key, &Table::default())),
                    4 if random.bool() => drop(session.queue_delete(&name, false, false)),
                    5 if random.bool() => drop(session.exchange_delete(&exchange, false)),
                    6 => drop(session.queue_purge(&name)),
                    7 | 8 => {
                        let Ok(queue) = session.readable_queue(&name) else {
                            continue;
                        };
                        let Some((delivery, _)) = queue.get(false).unwrap() else {
                            continue;
                        };
                        match random.u8(..3) {
                            0 => queue.ack(&[delivery.id]),
                            1 => queue.requeue(&[delivery.id]),
                            _ => queue.discard(&[delivery.id]),
                        }
                    }
                    _ => {
                        let to = if random.bool() {
                            ("", name.as_str())
                        } else {
                            (exchange.as_str(), key.as_str())
                        };
                        send(&mut publisher, to.0, to.1, &step.to_string());
                    }
                }
            }
            let position = broker
                .put_vhost(&document::Vhost {
                    name: format!("v{seed}.{life}"),
                    ..document::Vhost::default()
                })
                .unwrap()
                .1;
            broker.wait(position).unwrap();
            let running = durable_image(&broker);
            disk = disk.power_cut(seed);
            assert_eq!(
                durable_image(&open(&disk.kill())),
                running,
                "seed {seed}, life {life}"
            );
        }
    }
}
