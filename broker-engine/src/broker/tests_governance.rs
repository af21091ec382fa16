//! What bounds clients: policies, limits, and the end of a virtual host, while all of it is in use.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value as Json, json};

use super::{
    Broker, Bystander, DEFAULT_VHOST, Error, ExchangeDeclare, OPERATOR_POLICY, POLICY, Queue,
    QueueDeclare, Session, Table, Value,
    definitions::document::{self, Parameter},
    tests_rules::{Node, Properties, bodies, text},
};
use crate::store::disk::FaultyDisk;

fn parameter(vhost: &str, component: &str, name: &str, value: Json) -> Parameter {
    Parameter {
        vhost: vhost.to_owned(),
        component: component.to_owned(),
        name: name.to_owned(),
        value,
    }
}

pub(super) fn set(node: &Node, component: &str, name: &str, pattern: &str, definition: Json) {
    let value =
        json!({"pattern": pattern, "definition": definition, "priority": 0, "apply-to": "all"});
    let parameter = parameter(DEFAULT_VHOST, component, name, value);
    let (_, position) = node.broker.put_parameter(&parameter).unwrap();
    node.wait(position);
}

pub(super) fn clear(node: &Node, component: &str, name: &str) {
    let position = node.broker.delete_parameter(DEFAULT_VHOST, component, name);
    node.wait(position.unwrap());
}

fn ready(queue: &Queue) -> usize {
    queue.stats().ready
}

fn vhost(name: &str) -> document::Vhost {
    document::Vhost {
        name: name.to_owned(),
        ..document::Vhost::default()
    }
}

/// A session of a user who may do everything there.
fn enter(broker: &Broker, vhost: &str) -> Result<Session, Error> {
    let all = || ".*".to_owned();
    broker.put_permission(&document::Permission {
        user: "guest".to_owned(),
        vhost: vhost.to_owned(),
        configure: all(),
        write: all(),
        read: all(),
    })?;
    let guest = broker.authenticate("guest", b"guest", true).unwrap();
    broker.session(&guest, vhost)
}

#[test]
fn a_length_limit_by_policy_holds_at_once_and_goes_with_the_policy() {
    let node = Node::new();
    let queue = node.declare("q", &[]);
    let dead = node.declare("dead", &[]);
    for body in ["1", "2", "3", "4"] {
        node.plain("q", body);
    }
    let definition =
        json!({"max-length": 2, "dead-letter-exchange": "", "dead-letter-routing-key": "dead"});
    set(&node, POLICY, "p", "^q$", definition);
    assert_eq!((ready(&queue), ready(&dead)), (2, 2), "none is lost");
    node.plain("q", "5");
    assert_eq!(bodies(&dead), ["1", "2", "3"]);
    assert_eq!(queue.policies().policy.as_deref(), Some("p"));
    clear(&node, POLICY, "p");
    node.plain("q", "6");
    node.plain("q", "7");
    assert_eq!(bodies(&queue), ["4", "5", "6", "7"]);
    assert_eq!(queue.policies().policy, None);
}

#[test]
fn a_policy_makes_a_queue_refuse_and_cached_routes_learn_of_it() {
    let node = Node::new();
    let queue = node.declare("q", &[]);
    let mut publisher = node.session.publisher(|_| Table::default());
    let mut send = || {
        let message = super::Publish {
            exchange: "",
            routing_key: "q",
            properties: b"{}",
            body: b"x",
            persistent: true,
            mandatory: false,
            expires: false,
            copies: &[],
        };
        publisher.publish(&[message]).rejected.len()
    };
    assert_eq!((send(), send()), (0, 0));
    let definition = json!({"max-length": 2, "overflow": "reject-publish"});
    set(&node, POLICY, "p", "q", definition);
    assert_eq!(send(), 1);
    clear(&node, POLICY, "p");
    assert_eq!(send(), 0);
    assert_eq!(ready(&queue), 3);
}

#[test]
fn a_time_limit_by_policy_counts_for_what_came_before_from_the_policy_on() {
    let disk = FaultyDisk::new();
    let node = Node::open(&disk, 1_000);
    let queue = node.declare("q", &[]);
    node.plain("q", "before");
    node.pass(500);
    set(&node, POLICY, "p", "q", json!({"message-ttl": 100}));
    node.pass(60);
    node.plain("q", "after");
    node.pass(39);
    assert_eq!(ready(&queue), 2);
    node.pass(1);
    assert_eq!(ready(&queue), 1, "100 ms after the policy came");
    node.pass(60);
    assert_eq!(ready(&queue), 0, "100 ms after it came");

    node.plain("q", "again");
    clear(&node, POLICY, "p");
    node.pass(1_000);
    assert_eq!(bodies(&queue), ["again"]);
    set(&node, POLICY, "p", "q", json!({"message-ttl": 100}));
    node.plain("q", "over a restart");
    drop(queue);
    drop(node);
    let node = Node::open(&disk.kill(), 5_000);
    node.pass(0);
    let vhost = node.broker.vhost(DEFAULT_VHOST).unwrap();
    assert_eq!(ready(&vhost.queue("q").unwrap()), 0);
}

#[test]
fn an_unused_queue_goes_by_policy() {
    let node = Node::new();
    node.declare("q", &[]);
    set(&node, POLICY, "p", "q", json!({"expires": 50}));
    node.pass(49);
    assert!(node.session.queue_check("q").is_ok());
    node.pass(1);
    assert!(node.session.queue_check("q").is_err());
}

#[test]
fn of_a_policy_and_an_argument_the_smaller_number_holds_and_else_the_argument() {
    let node = Node::new();
    let queue = node.declare(
        "q",
        &[
            ("x-max-length", Value::I32(3)),
            ("x-dead-letter-exchange", text("")),
            ("x-dead-letter-routing-key", text("own")),
        ],
    );
    let own = node.declare("own", &[]);
    for body in ["1", "2", "3", "4"] {
        node.plain("q", body);
    }
    assert_eq!((ready(&queue), ready(&own)), (3, 1));
    let definition = json!({"max-length": 2, "dead-letter-exchange": "none"});
    set(&node, POLICY, "p", "^q", definition);
    assert_eq!((ready(&queue), ready(&own)), (2, 2));
    set(&node, OPERATOR_POLICY, "o", "^q", json!({"max-length": 1}));
    assert_eq!((ready(&queue), ready(&own)), (1, 3));
    set(&node, POLICY, "p", "^q", json!({"max-length": 9}));
    clear(&node, OPERATOR_POLICY, "o");
    node.plain("q", "5");
    node.plain("q", "6");
    node.plain("q", "7");
    assert_eq!(ready(&queue), 3, "the argument holds again");
}

#[test]
fn a_negative_delivery_limit_by_policy_takes_the_default_away() {
    let node = Node::new();
    let queue = node.declare("q", &[("x-queue-type", text("quorum"))]);
    let value = json!({"pattern": "q", "definition": {"delivery-limit": -1}, "priority": 0, "apply-to": "quorum_queues"});
    let parameter = parameter(DEFAULT_VHOST, POLICY, "p", value);
    node.broker.put_parameter(&parameter).unwrap();
    node.plain("q", "m");
    for _ in 0..30 {
        let (delivery, _) = queue.get(false).unwrap().unwrap();
        queue.requeue(&[delivery.id]);
    }
    assert_eq!(ready(&queue), 1);
    clear(&node, POLICY, "p");
    let (delivery, _) = queue.get(false).unwrap().unwrap();
    queue.requeue(&[delivery.id]);
    assert_eq!(ready(&queue), 0, "the default is 20");
}

#[test]
fn an_exchange_gets_its_alternate_by_policy() {
    let node = Node::new();
    let queue = node.declare("q", &[]);
    for (name, kind) in [("e", "direct"), ("other", "fanout")] {
        let declare = ExchangeDeclare {
            name: name.to_owned(),
            kind: kind.to_owned(),
            durable: true,
            ..ExchangeDeclare::default()
        };
        node.session.exchange_declare(declare).unwrap();
    }
    node.session
        .queue_bind("q", "other", "", &Table::default())
        .unwrap();
    let definition = json!({"alternate-exchange": "other"});
    set(&node, POLICY, "p", "^e$", definition.clone());
    let mut publisher = node.session.publisher(|_| Table::default());
    let message = super::Publish {
        exchange: "e",
        routing_key: "nowhere",
        properties: b"{}",
        body: b"x",
        persistent: true,
        mandatory: true,
        expires: false,
        copies: &[],
    };
    publisher.publish(std::slice::from_ref(&message));
    assert_eq!(ready(&queue), 1);
    let vhost = node.broker.vhost(DEFAULT_VHOST).unwrap();
    assert_eq!(
        vhost.exchange_policies("e").definition.map(Json::Object),
        Some(definition)
    );
    clear(&node, POLICY, "p");
    assert_eq!(publisher.publish(&[message]).unroutable, [0]);
}

#[test]
fn parameters_come_back_after_a_crash_before_the_queues_they_are_for() {
    let disk = FaultyDisk::new();
    let node = Node::open(&disk, 1_000);
    set(&node, POLICY, "p", ".*", json!({"max-length": 1}));
    set(&node, OPERATOR_POLICY, "o", ".*", json!({"max-length": 5}));
    set(&node, POLICY, "gone", ".*", json!({"max-length": 1}));
    clear(&node, POLICY, "gone");
    let (_, position) = node
        .broker
        .put_global_parameter("g", &json!([1, "x"]))
        .unwrap();
    node.wait(Some(position));
    node.declare("q", &[]);
    let before = node.broker.vhost(DEFAULT_VHOST).unwrap().parameters();
    drop(node);
    let node = Node::open(&disk.power_cut(7), 1_000);
    let vhost = node.broker.vhost(DEFAULT_VHOST).unwrap();
    assert_eq!(vhost.parameters(), before);
    assert_eq!(node.broker.global_parameters()["g"], json!([1, "x"]));
    let queue = vhost.queue("q").unwrap();
    node.plain("q", "1");
    node.plain("q", "2");
    assert_eq!(bodies(&queue), ["2"]);
    assert_eq!(queue.policies().operator_policy.as_deref(), Some("o"));
}

#[test]
fn limits_refuse_one_too_many_in_the_words_of_rabbitmq() {
    let node = Node::new();
    let broker = &node.broker;
    let limit = |name, value: i64| {
        let value = json!(value);
        broker
            .limit_vhost(DEFAULT_VHOST, name, Some(&value))
            .unwrap();
    };
    node.declare("q", &[]);
    limit("max-queues", 1);
    let declare = |name: &str| {
        let declare = QueueDeclare {
            name: name.to_owned(),
            ..QueueDeclare::default()
        };
        node.session.queue_declare(declare)
    };
    let refusal = declare("r").unwrap_err();
    assert!(matches!(refusal, Error::PreconditionFailed(_)));
    assert_eq!(
        refusal.to_string(),
        "cannot declare queue 'r': queue limit in vhost '/' (1) is reached"
    );
    node.declare("q", &[]);
    limit("max-queues", -1);
    declare("r").unwrap();

    limit("max-connections", 1);
    let guest = broker.authenticate("guest", b"guest", true).unwrap();
    let refused = |text: &str| {
        let refusal = broker.session(&guest, DEFAULT_VHOST).err().unwrap();
        assert!(matches!(refusal, Error::NotAllowed(_)));
        assert_eq!(refusal.to_string(), text);
    };
    refused("access to vhost '/' refused for user 'guest': connection limit (1) is reached");
    let cleared = broker.limit_vhost(DEFAULT_VHOST, "max-connections", None);
    cleared.unwrap();
    let user_limit = |value: Option<&Json>| {
        let position = broker.limit_user("guest", "max-connections", value);
        assert!(position.unwrap().is_some());
    };
    user_limit(Some(&json!(1)));
    refused("connection refused for user 'guest': user connection limit (1) is reached");
    node.session.close().unwrap();
    broker.session(&guest, DEFAULT_VHOST).unwrap();
    user_limit(None);
    let none = broker.limit_user("nobody", "max-connections", None);
    assert!(none.unwrap().is_none());
}

#[derive(Default)]
struct Log(Mutex<Vec<String>>);

impl Bystander for Log {
    fn vhost_deleted(&self, vhost: &str) {
        self.0.lock().push(format!("vhost {vhost}"));
    }

    fn user_deleted(&self, user: &str) {
        self.0.lock().push(format!("user {user}"));
    }
}

/// A virtual host with one of everything in it.
fn furnish(node: &Node, name: &str) -> Session {
    let broker = &node.broker;
    broker.put_vhost(&vhost(name)).unwrap();
    let session = enter(broker, name).unwrap();
    let declare = QueueDeclare {
        name: "q".to_owned(),
        durable: true,
        ..QueueDeclare::default()
    };
    session.queue_declare(declare).unwrap();
    let arguments = Table::default();
    session
        .queue_bind("q", "amq.topic", "k", &arguments)
        .unwrap();
    session
        .exchange_declare(ExchangeDeclare {
            name: "e".to_owned(),
            kind: "fanout".to_owned(),
            durable: true,
            ..ExchangeDeclare::default()
        })
        .unwrap();
    session
        .exchange_bind("e", "amq.direct", "k", &arguments)
        .unwrap();
    let policy = json!({"pattern": "", "definition": {"max-length": 5}, "priority": 1});
    let policy = parameter(name, POLICY, "p", policy);
    broker.put_parameter(&policy).unwrap();
    broker
        .put_topic_permission(&document::TopicPermission {
            user: "guest".to_owned(),
            vhost: name.to_owned(),
            exchange: "amq.topic".to_owned(),
            write: ".*".to_owned(),
            read: ".*".to_owned(),
        })
        .unwrap();
    let mut publisher = session.publisher(|_| Table::default());
    let outcome = publisher.publish(&[super::Publish {
        exchange: "",
        routing_key: "q",
        properties: b"{}",
        body: b"kept",
        persistent: true,
        mandatory: true,
        expires: false,
        copies: &[],
    }]);
    node.wait(outcome.durable);
    session
}

#[test]
fn a_deleted_virtual_host_takes_everything_along_and_tells() {
    let disk = FaultyDisk::new();
    let node = Node::open(&disk, 1_000);
    let log = Arc::new(Log::default());
    let bystander: std::sync::Weak<Log> = Arc::downgrade(&log);
    node.broker.on_deletions(bystander);
    let session = furnish(&node, "v");
    let position = node.broker.delete_vhost("v").unwrap();
    assert_eq!(node.broker.delete_vhost("v").unwrap(), None);
    node.wait(position);
    assert_eq!(*log.0.lock(), ["vhost v"]);
    assert!(session.vhost().is_deleted());
    let declare = QueueDeclare {
        name: "late".to_owned(),
        durable: true,
        ..QueueDeclare::default()
    };
    assert!(
        session.queue_declare(declare).is_err(),
        "nothing is left behind"
    );
    session.close().unwrap();
    let in_v = |broker: &Broker| {
        let permissions = broker.permissions().into_iter();
        let topics = broker.topic_permissions().into_iter();
        permissions.filter(|it| it.vhost == "v").count()
            + topics.filter(|it| it.vhost == "v").count()
    };
    assert_eq!(in_v(&node.broker), 0);
    drop(node);

    let node = Node::open(&disk.power_cut(3), 1_000);
    assert!(node.broker.vhost("v").is_none());
    assert_eq!(in_v(&node.broker), 0);
    node.broker.put_vhost(&vhost("v")).unwrap();
    let again = node.broker.vhost("v").unwrap();
    assert_eq!((again.queues().len(), again.parameters().len()), (0, 0));
    let session = enter(&node.broker, "v").unwrap();
    assert!(session.exchange_check("e").is_err());
}

#[test]
fn a_crash_while_a_virtual_host_is_deleted_leaves_all_of_it_or_nothing() {
    let image = |node: &Node| {
        let vhost = node.broker.vhost("v")?;
        let queue = vhost.queue("q")?;
        Some((
            ready(&queue),
            vhost.parameters().len(),
            node.broker.topic_permissions().len(),
        ))
    };
    let mut seen = [false; 2];
    for seed in 0..40 {
        let disk = FaultyDisk::new();
        let node = Node::open(&disk, 1_000);
        furnish(&node, "v");
        let position = node.broker.put_vhost(&vhost("w")).unwrap().1;
        node.wait(Some(position));
        node.broker.delete_vhost("v").unwrap();
        // Appended and not waited for: what reached the disk is chance.
        let cut = disk.power_cut(seed);
        let after = Node::open(&cut, 1_000);
        let is_gone = image(&after).is_none();
        if !is_gone {
            assert_eq!(image(&after), Some((1, 1, 1)), "seed {seed}");
        } else {
            assert!(after.broker.vhost("v").is_none(), "seed {seed}");
            assert_eq!(after.broker.topic_permissions(), []);
        }
        seen[usize::from(is_gone)] = true;
        drop((node, after));
    }
    assert!(seen[0], "some crash came before the deletion was written");
}

#[test]
fn a_queue_that_names_no_type_has_the_virtual_hosts() {
    let node = Node::new();
    let described = document::Vhost {
        default_queue_type: Some("quorum".to_owned()),
        description: "for orders".to_owned(),
        ..vhost("v")
    };
    assert!(node.broker.put_vhost(&described).unwrap().0);
    let session = enter(&node.broker, "v").unwrap();
    let declare = |durable| QueueDeclare {
        durable,
        name: format!("q{durable}"),
        ..QueueDeclare::default()
    };
    let kind = |durable| {
        let declared = session.queue_declare(declare(durable)).unwrap();
        declared.queue.kind().name()
    };
    assert_eq!((kind(true), kind(false)), ("quorum", "classic"));
    assert_eq!(kind(true), "quorum", "and is declared again");
    assert!(!node.broker.put_vhost(&vhost("v")).unwrap().0);
    let described = session.vhost().described();
    assert_eq!(described.default_queue_type.as_deref(), Some("quorum"));
    assert_eq!(described.description, "");
    let unknown = document::Vhost {
        default_queue_type: Some("other".to_owned()),
        ..vhost("w")
    };
    assert_eq!(
        node.broker.put_vhost(&unknown).unwrap_err().to_string(),
        "other is not a valid queue type"
    );
}

#[test]
fn a_limit_in_bytes_that_comes_after_a_restart_goes_by_the_bodies_as_they_are() {
    let disk = FaultyDisk::new();
    let node = Node::open(&disk, 1_000);
    node.declare("q", &[]);
    // Short properties where an estimate would look, and long ones elsewhere; bodies of all lengths.
    let lens = |number: usize| if number % 7 == 3 { 900 } else { 10 + number };
    for number in 0..40 {
        let mut properties = Properties::default();
        if number % 20 != 0 && number != 39 {
            let padding = Value::String(vec![b'x'; 50 * (number % 5)]);
            properties.headers.set("padding", padding);
        }
        node.send("q", &"b".repeat(lens(number)), &properties);
    }
    drop(node);
    let node = Node::open(&disk.kill(), 1_000);
    let queue = node.session.readable_queue("q").unwrap();
    node.plain("q", "last");
    assert_eq!(ready(&queue), 41);
    set(
        &node,
        POLICY,
        "short",
        ".*",
        json!({"max-length-bytes": 3000}),
    );
    let (mut kept, mut bytes) = (vec!["last".to_owned()], 4);
    for number in (0..40).rev() {
        bytes += lens(number);
        if bytes > 3000 {
            break;
        }
        kept.insert(0, "b".repeat(lens(number)));
    }
    let sum: usize = kept.iter().map(String::len).sum();
    assert_eq!(queue.stats().ready_bytes, sum as u64);
    assert_eq!(bodies(&queue), kept);
    assert_eq!(queue.stats().ready_bytes, 0);
}
