//! What queues do by themselves, by a clock that the tests hold.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use serde::{Deserialize, Serialize};

use super::{
    Broker, Clock, DEFAULT_VHOST, Delivery, DeliveryRun, Dialect, Durability, Envelope, Error,
    ExchangeDeclare, Options, Publish, PublishOutcome, Queue, QueueDeclare, Session, Settlement,
    Table, Value, Verdict,
};
use crate::store::{self, Drive, disk::FaultyDisk};

#[derive(Debug, Default)]
pub(super) struct TestClock(AtomicU64);

impl Clock for TestClock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Properties as JSON.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Properties {
    pub(super) headers: Table,
    pub(super) expiration: Option<u64>,
    pub(super) priority: u8,
}

#[derive(Debug)]
pub(super) struct JsonEnvelope;

fn read(properties: &[u8]) -> Properties {
    serde_json::from_slice(properties).unwrap_or_default()
}

impl Envelope for JsonEnvelope {
    fn headers(&self, properties: &[u8]) -> Table {
        read(properties).headers
    }

    fn expiration_ms(&self, properties: &[u8]) -> Option<u64> {
        read(properties).expiration
    }

    fn priority(&self, properties: &[u8]) -> u8 {
        read(properties).priority
    }

    fn is_persistent(&self, _: &[u8]) -> bool {
        true
    }

    fn text(&self, _: &[u8], _: &str) -> Option<String> {
        None
    }

    fn with_headers(&self, properties: &[u8], headers: &Table) -> Vec<u8> {
        let headers = headers.clone();
        let properties = Properties {
            headers,
            ..read(properties)
        };
        serde_json::to_vec(&properties).unwrap()
    }

    fn without_expiration(&self, properties: &[u8]) -> Vec<u8> {
        let properties = Properties {
            expiration: None,
            ..read(properties)
        };
        serde_json::to_vec(&properties).unwrap()
    }

    fn describe(&self, _: &[u8]) -> Table {
        Table::default()
    }

    fn compose(&self, _: &Table) -> Result<Vec<u8>, String> {
        Ok(Vec::new())
    }
}

pub(super) struct Node {
    pub(super) broker: Arc<Broker>,
    clock: Arc<TestClock>,
    pub(super) session: Session,
}

impl Node {
    pub(super) fn open(disk: &FaultyDisk, now_ms: u64) -> Self {
        Self::open_with(disk, now_ms, Durability::Sync)
    }

    pub(super) fn open_with(disk: &FaultyDisk, now_ms: u64, durability: Durability) -> Self {
        let clock = Arc::new(TestClock(AtomicU64::new(now_ms)));
        let options = Options {
            store: store::Options {
                durability,
                drive: Drive::Manual,
                file_bytes: 16 << 10,
                roll_bytes: 64 << 10,
            },
            clock: Arc::<TestClock>::clone(&clock),
            envelope: Arc::new(JsonEnvelope),
            dialect: Dialect::RabbitMq4,
            cached_bytes_max: 64,
            ..Options::default()
        };
        let (broker, _) = Broker::open(Arc::new(disk.clone()), options).unwrap();
        broker
            .put_user_with_password("guest", "guest", &["administrator"])
            .unwrap();
        let guest = broker.authenticate("guest", b"guest", true).unwrap();
        let session = broker.session(&guest, DEFAULT_VHOST).unwrap();
        Self {
            broker,
            clock,
            session,
        }
    }

    pub(super) fn new() -> Self {
        Self::open(&FaultyDisk::new(), 1_000)
    }

    pub(super) fn pass(&self, ms: u64) -> Option<u64> {
        let now_ms = self.clock.0.fetch_add(ms, Ordering::Relaxed) + ms;
        self.broker.tick(now_ms)
    }

    pub(super) fn declare(&self, name: &str, arguments: &[(&str, Value)]) -> Arc<Queue> {
        let arguments = arguments
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        let declare = QueueDeclare {
            name: name.to_owned(),
            durable: true,
            arguments,
            ..QueueDeclare::default()
        };
        let declared = self.session.queue_declare(declare).unwrap();
        self.wait(declared.durable);
        declared.queue
    }

    pub(super) fn wait(&self, position: Option<super::Position>) {
        if let Some(position) = position {
            self.broker.wait(position).unwrap();
        }
    }

    pub(super) fn send(&self, queue: &str, body: &str, properties: &Properties) -> PublishOutcome {
        let json = serde_json::to_vec(properties).unwrap();
        let outcome = self
            .session
            .publisher(|_| Table::default())
            .publish(&[publish(queue, body, &json)]);
        self.wait(outcome.durable);
        outcome
    }

    pub(super) fn plain(&self, queue: &str, body: &str) -> PublishOutcome {
        self.send(queue, body, &Properties::default())
    }
}

pub(super) fn publish<'a>(queue: &'a str, body: &'a str, properties: &'a [u8]) -> Publish<'a> {
    Publish {
        exchange: "",
        routing_key: queue,
        properties,
        body: body.as_bytes(),
        persistent: true,
        mandatory: true,
        expires: read(properties).expiration.is_some(),
        copies: &[],
    }
}

pub(super) fn text(value: &str) -> Value {
    Value::String(value.into())
}

pub(super) fn dead_to(queue: &str) -> [(&'static str, Value); 2] {
    [
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text(queue)),
    ]
}

pub(super) fn body(delivery: &Delivery) -> String {
    String::from_utf8(delivery.message.body().to_vec()).unwrap()
}

/// Takes everything that is ready, for good.
pub(super) fn bodies(queue: &Queue) -> Vec<String> {
    std::iter::from_fn(|| queue.get(true).unwrap())
        .map(|(delivery, _)| body(&delivery))
        .collect()
}

#[test]
fn messages_expire_at_the_head_and_not_before() {
    let node = Node::new();
    let queue = node.declare("q", &[("x-message-ttl", Value::I32(100))]);
    node.plain("q", "old");
    assert_eq!(node.pass(60), Some(1_100));
    node.plain("q", "new");
    node.pass(39);
    assert_eq!(queue.stats().ready, 2);
    assert_eq!(node.pass(1), Some(1_160), "the next is due when it expires");
    assert_eq!(bodies(&queue), ["new"]);

    let queue = node.declare("mixed", &[]);
    node.plain("mixed", "stays");
    let short = Properties {
        expiration: Some(5),
        ..Properties::default()
    };
    node.send("mixed", "short", &short);
    node.pass(50);
    assert_eq!(queue.stats().ready, 2, "it expires only at the head");
    assert_eq!(bodies(&queue), ["stays"], "and is never handed out");
    assert_eq!(queue.stats().ready, 0);
}

#[test]
fn a_queue_with_priorities_lets_all_of_a_batch_expire() {
    let node = Node::new();
    let queue = node.declare("q", &[("x-max-priority", Value::U8(1))]);
    let at_once = Properties {
        expiration: Some(0),
        ..Properties::default()
    };
    let at_once = serde_json::to_vec(&at_once).unwrap();
    let batch = ["one", "two", "three"].map(|body| publish("q", body, &at_once));
    let mut publisher = node.session.publisher(|_| Table::default());
    assert!(publisher.publish(&batch).error.is_none());
    assert_eq!(queue.stats().ready, 0);
}

#[test]
fn a_dead_message_tells_where_it_died_and_how_often() {
    let node = Node::new();
    let retry = node.declare("work", &dead_to("wait"));
    let [exchange, key] = dead_to("work");
    let ttl = ("x-message-ttl", Value::I32(10));
    node.declare("wait", &[exchange, key, ttl]);
    node.plain("work", "m");
    for round in 1..=3 {
        let (delivery, _) = retry.get(false).unwrap().unwrap();
        retry.discard(&[delivery.id]);
        node.pass(10);
        let (delivery, _) = retry.get(false).unwrap().unwrap();
        let headers = read(delivery.message.properties()).headers;
        let Some(Value::Array(deaths)) = headers.get("x-death") else {
            panic!("no deaths")
        };
        let seen: Vec<_> = deaths
            .iter()
            .map(|death| {
                let Value::Table(death) = death else {
                    panic!("not a table")
                };
                ["queue", "reason", "count"].map(|name| death.get(name).unwrap().to_string())
            })
            .collect();
        let count = round.to_string();
        assert_eq!(
            seen,
            [["wait", "expired", &count], ["work", "rejected", &count]]
        );
        assert_eq!(headers.get("x-first-death-reason"), Some(&text("rejected")));
        assert_eq!(headers.get("x-last-death-queue"), Some(&text("wait")));
        retry.requeue(&[delivery.id]);
    }
}

#[test]
fn a_message_that_only_expires_in_circles_is_dropped() {
    let node = Node::new();
    let ttl = ("x-message-ttl", Value::I32(10));
    for (name, next) in [("a", "b"), ("b", "a")] {
        let [exchange, key] = dead_to(next);
        node.declare(name, &[exchange, key, ttl.clone()]);
    }
    node.plain("a", "m");
    node.pass(10);
    assert_eq!(node.session.vhost().queue("b").unwrap().stats().ready, 1);
    node.pass(10);
    for name in ["a", "b"] {
        assert_eq!(node.session.vhost().queue(name).unwrap().stats().ready, 0);
    }
}

#[test]
fn too_many_messages_drive_out_the_oldest_or_are_refused() {
    let node = Node::new();
    let length = ("x-max-length", Value::I32(2));
    let [exchange, key] = dead_to("dead");
    let dead = node.declare("dead", &[]);
    let head = node.declare("head", &[length.clone(), exchange.clone(), key.clone()]);
    for number in 0..4 {
        node.plain("head", &number.to_string());
    }
    assert_eq!(
        (bodies(&head).join(""), bodies(&dead).join("")),
        ("23".into(), "01".into())
    );

    let bytes = [("x-max-length-bytes", Value::I32(5))];
    let sized = node.declare("sized", &bytes);
    node.plain("sized", "123");
    node.plain("sized", "45");
    node.plain("sized", "6");
    assert_eq!(
        bodies(&sized),
        ["45", "6"],
        "bodies count, and nothing else"
    );

    let refusing = ("x-overflow", text("reject-publish-dlx"));
    let full = node.declare("full", &[length, refusing, exchange, key]);
    let rejected: Vec<_> = (0..4)
        .map(|number| node.plain("full", &number.to_string()).rejected)
        .collect();
    assert_eq!(rejected, [vec![], vec![], vec![0], vec![0]]);
    assert_eq!(
        (bodies(&full).join(""), bodies(&dead).join("")),
        ("01".into(), "23".into())
    );
    assert!(node.plain("full", "again").rejected.is_empty());
}

#[test]
fn the_highest_rank_goes_first_and_within_one_the_oldest_also_after_a_restart() {
    let disk = FaultyDisk::new();
    let node = Node::open(&disk, 0);
    let arguments = [("x-max-priority", Value::U8(5))];
    let queue = node.declare("q", &arguments);
    for (priority, body) in [(1, "b"), (9, "a"), (1, "c"), (0, "d"), (5, "A")] {
        let properties = Properties {
            priority,
            ..Properties::default()
        };
        node.send("q", body, &properties);
    }
    let (first, _) = queue.get(false).unwrap().unwrap();
    assert_eq!(body(&first), "a");
    queue.requeue(&[first.id]);
    node.broker.close().unwrap();
    let node = Node::open(&disk.power_cut(1), 0);
    let queue = node.session.vhost().queue("q").unwrap();
    assert_eq!(bodies(&queue), ["a", "A", "b", "c", "d"]);
}

#[test]
fn a_quorum_queue_keeps_everything_and_gives_up_what_comes_back_too_often() {
    let disk = FaultyDisk::new();
    let node = Node::open(&disk, 0);
    let [exchange, key] = dead_to("dead");
    let dead = node.declare("dead", &[]);
    let kind = ("x-queue-type", text("quorum"));
    let limit = ("x-delivery-limit", Value::I32(1));
    let queue = node.declare("q", &[kind, limit, exchange, key]);
    let publish = Publish {
        persistent: false,
        ..publish("q", "m", b"{}")
    };
    let outcome = node
        .session
        .publisher(|_| Table::default())
        .publish(&[publish]);
    assert!(outcome.durable.is_some(), "also what did not ask for it");
    for count in [Some(0), Some(1)] {
        let (delivery, _) = queue.get(false).unwrap().unwrap();
        let headers = read(delivery.message.properties()).headers;
        let told = headers.get("x-delivery-count").and_then(Value::as_i64);
        assert_eq!(told, count);
        queue.requeue(&[delivery.id]);
    }
    assert_eq!(queue.stats().ready, 0);
    let (delivery, _) = dead.get(true).unwrap().unwrap();
    let headers = read(delivery.message.properties()).headers;
    assert_eq!(
        headers.get("x-first-death-reason"),
        Some(&text("delivery_limit"))
    );
}

#[test]
fn a_queue_that_nobody_uses_goes_and_one_that_is_asked_for_stays() {
    let node = Node::new();
    let arguments = [("x-expires", Value::I32(100))];
    node.declare("q", &arguments);
    node.pass(80);
    node.declare("q", &arguments);
    node.pass(80);
    assert!(node.session.vhost().queue("q").is_some());
    node.pass(20);
    assert!(node.session.vhost().queue("q").is_none());
    assert!(node.plain("q", "m").unroutable == [0]);
}

#[test]
fn what_expired_while_the_node_was_down_is_dead_when_it_comes_back() {
    let disk = FaultyDisk::new();
    let node = Node::open(&disk, 0);
    node.declare("dead", &[]);
    let [exchange, key] = dead_to("dead");
    node.declare("q", &[exchange, key]);
    let short = Properties {
        expiration: Some(100),
        ..Properties::default()
    };
    node.send("q", "m", &short);
    node.broker.close().unwrap();
    let node = Node::open(&disk.power_cut(1), 500);
    node.broker.tick(500);
    assert_eq!(node.session.vhost().queue("q").unwrap().stats().ready, 0);
    let dead = node.session.vhost().queue("dead").unwrap();
    assert_eq!(bodies(&dead), ["m"]);
}

#[test]
fn a_power_cut_neither_loses_nor_doubles_a_message_on_its_way_to_the_dead() {
    for seed in 0..40 {
        let disk = FaultyDisk::new();
        let node = Node::open(&disk, 0);
        node.declare("dead", &[]);
        let [exchange, key] = dead_to("dead");
        let ttl = ("x-message-ttl", Value::I32(10));
        node.declare("q", &[exchange, key, ttl]);
        for number in 0..5 {
            node.plain("q", &number.to_string());
        }
        node.pass(10);
        node.broker.core.store.write();
        let node = Node::open(&disk.power_cut(seed), 20);
        node.broker.tick(20);
        let dead = node.session.vhost().queue("dead").unwrap();
        assert_eq!(bodies(&dead).join(""), "01234", "seed {seed}");
        assert_eq!(node.session.vhost().queue("q").unwrap().stats().ready, 0);
    }
}

#[test]
fn a_transaction_reaches_all_its_queues_or_none_through_a_power_cut() {
    let (mut whole, mut nothing) = (0, 0);
    for seed in 0..40 {
        let disk = FaultyDisk::new();
        let node = Node::open(&disk, 0);
        for name in ["from", "a", "b"] {
            node.declare(name, &[]);
        }
        node.plain("from", "m");
        let from = node.session.vhost().queue("from").unwrap();
        let (delivery, _) = from.get(false).unwrap().unwrap();
        let settled = Settlement {
            queue: from,
            run: DeliveryRun::of(delivery.id),
            verdict: Verdict::Ack,
        };
        let messages = [publish("a", "1", b"{}"), publish("b", "2", b"{}")];
        let mut publisher = node.session.publisher(|_| Table::default());
        let ways = messages
            .each_ref()
            .map(|message| publisher.find_way(message).unwrap());
        let outcome = publisher
            .commit(&messages, ways.into(), &[settled])
            .unwrap();
        node.broker.core.store.write();
        let is_confirmed = seed % 4 == 0;
        if is_confirmed {
            node.wait(outcome.durable);
        }
        let node = Node::open(&disk.power_cut(seed), 0);
        let ready =
            ["from", "a", "b"].map(|name| node.session.vhost().queue(name).unwrap().stats().ready);
        match ready {
            [0, 1, 1] => whole += 1,
            [1, 0, 0] if !is_confirmed => nothing += 1,
            torn => panic!("seed {seed}: {torn:?}"),
        }
    }
    assert!(whole > 0 && nothing > 0, "{whole} {nothing}");
}

#[test]
fn exchanges_lead_to_exchanges_in_circles_and_to_alternates_also_after_a_restart() {
    let disk = FaultyDisk::new();
    let node = Node::open(&disk, 0);
    node.declare("q", &[]);
    node.declare("rest", &[]);
    let exchange = |name: &str, kind: &str, internal, arguments: &[(&str, Value)]| {
        let arguments = arguments
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        let declare = ExchangeDeclare {
            name: name.to_owned(),
            kind: kind.to_owned(),
            durable: true,
            internal,
            arguments,
            ..ExchangeDeclare::default()
        };
        node.wait(node.session.exchange_declare(declare).unwrap());
    };
    exchange(
        "first",
        "direct",
        false,
        &[("alternate-exchange", text("other"))],
    );
    exchange("other", "fanout", true, &[]);
    exchange("second", "topic", true, &[]);
    let none = Table::default();
    let session = &node.session;
    node.wait(
        session
            .exchange_bind("second", "first", "a.b", &none)
            .unwrap(),
    );
    node.wait(
        session
            .exchange_bind("first", "second", "#", &none)
            .unwrap(),
    );
    node.wait(session.queue_bind("q", "second", "a.*", &none).unwrap());
    node.wait(session.queue_bind("rest", "other", "", &none).unwrap());
    node.broker.close().unwrap();

    let node = Node::open(&disk.power_cut(1), 0);
    let send = |exchange: &'static str, key: &'static str| {
        let publish = Publish {
            exchange,
            ..publish(key, "m", b"{}")
        };
        let outcome = node
            .session
            .publisher(|_| Table::default())
            .publish(&[publish]);
        let counts = ["q", "rest"].map(|name| node.session.queue_purge(name).unwrap().messages);
        (counts, outcome.error)
    };
    assert_eq!(send("first", "a.b").0, [1, 0]);
    assert_eq!(send("first", "nowhere").0, [0, 1]);
    assert!(matches!(
        send("second", "a.b").1,
        Some(Error::AccessRefused(_))
    ));
    let unbound = node
        .session
        .exchange_unbind("second", "first", "a.b", &Table::default());
    node.wait(unbound.unwrap());
    assert_eq!(send("first", "a.b").0, [0, 1]);
}

#[test]
fn a_delayed_exchange_hands_on_in_the_order_of_time_also_after_a_restart() {
    let disk = FaultyDisk::new();
    let node = Node::open(&disk, 1_000);
    node.declare("q", &[]);
    let declare = ExchangeDeclare {
        name: "later".to_owned(),
        kind: "x-delayed-message".to_owned(),
        durable: true,
        ..ExchangeDeclare::default()
    };
    let refused = node.session.exchange_declare(declare.clone());
    assert!(matches!(refused, Err(Error::PreconditionFailed(_))));
    let arguments = Table(vec![("x-delayed-type".to_owned(), text("direct"))]);
    let declare = ExchangeDeclare {
        arguments,
        ..declare
    };
    node.wait(node.session.exchange_declare(declare).unwrap());
    let none = Table::default();
    node.wait(node.session.queue_bind("q", "later", "k", &none).unwrap());
    for (delay, body) in [(300, "c"), (100, "a"), (100, "b"), (0, "now")] {
        let headers = Table(vec![("x-delay".to_owned(), Value::I32(delay))]);
        let properties = Properties {
            headers,
            ..Properties::default()
        };
        let json = serde_json::to_vec(&properties).unwrap();
        let publish = Publish {
            exchange: "later",
            ..publish("k", body, &json)
        };
        let read_headers = |properties: &[u8]| read(properties).headers;
        let outcome = node.session.publisher(read_headers).publish(&[publish]);
        assert_eq!(outcome.unroutable, [0; 0]);
        node.wait(outcome.durable);
    }
    let queue = node.session.vhost().queue("q").unwrap();
    assert_eq!(bodies(&queue), ["now"]);
    let hidden = "amq.delayed.later";
    assert!(matches!(
        node.session.readable_queue(hidden),
        Err(Error::NotFound(_))
    ));
    assert_eq!(node.plain(hidden, "past the exchange").unroutable, [0]);
    assert_eq!(node.pass(99), Some(1_100));
    node.pass(1);
    assert_eq!(bodies(&queue), ["a", "b"]);
    node.broker.close().unwrap();
    let node = Node::open(&disk.power_cut(1), 1_200);
    assert_eq!(node.broker.tick(1_200), Some(1_300));
    node.pass(100);
    let queue = node.session.vhost().queue("q").unwrap();
    let (delivery, _) = queue.get(true).unwrap().unwrap();
    assert_eq!(body(&delivery), "c");
    let headers = read(delivery.message.properties()).headers;
    assert_eq!(
        headers,
        Table(vec![("x-delay".to_owned(), Value::I32(-300))])
    );
    assert_eq!(delivery.message.exchange(), "later");
    node.session.exchange_delete("later", false).unwrap();
    assert!(node.session.vhost().queue("amq.delayed.later").is_none());
}

#[test]
fn a_restarted_queue_counts_the_bytes_of_bodies() {
    let disk = FaultyDisk::new();
    let node = Node::open(&disk, 1_000);
    node.declare("q", &[]);
    let mut expected = 0;
    for number in 0..300_usize {
        let body = "b".repeat(number % 70);
        node.plain("q", &body);
        expected += body.len() as u64;
    }
    let queue = node.session.readable_queue("q").unwrap();
    assert_eq!(queue.stats().ready_bytes, expected);
    // What went from the middle of a run makes its bytes an estimate; from the front of the queue it does not.
    for _ in 0..70 {
        let (delivery, _) = queue.get(true).unwrap().unwrap();
        expected -= delivery.message.body().len() as u64;
    }
    node.broker.close().unwrap();
    let node = Node::open(&disk.kill(), 1_000);
    let queue = node.session.readable_queue("q").unwrap();
    assert_eq!(queue.stats().ready_bytes, expected);
    assert_eq!(bodies(&queue).len(), 230);
    assert_eq!(queue.stats().ready_bytes, 0);
}
