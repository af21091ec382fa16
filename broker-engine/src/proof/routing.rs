//! Routing: any topology of exchanges, alternates and bindings leads messages where the definition says.
//!
//! The model knows bindings as a list and walks it; it shares neither tries nor caches with the core.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use proptest::{collection::vec, option, prelude::*, sample::select};

use super::{
    cases,
    node::{Setup, connect, fields, text},
};
use crate::{
    amqp::WireProperties,
    broker::{Envelope, ExchangeDeclare, Publish, Queue, QueueDeclare, Session, Table, Value},
    codec::amqp::{Properties, encode_table},
    store::disk::FaultyDisk,
};

const EXCHANGES: usize = 5;
const QUEUES: usize = 4;
const KINDS: [&str; 4] = ["direct", "fanout", "topic", "headers"];

#[derive(Clone, Debug)]
struct ExchangeShape {
    kind: &'static str,
    alternate: Option<usize>,
}

#[derive(Clone, Debug, PartialEq)]
struct BindingShape {
    source: usize,
    /// An exchange below [`EXCHANGES`], a queue above.
    destination: usize,
    key: String,
    arguments: Table,
}

#[derive(Clone, Debug)]
enum Step {
    Bind(BindingShape),
    /// Removes the binding with this number among those that are there.
    Unbind(prop::sample::Index),
    DeleteExchange(usize),
    /// Deletes the queue and declares it again, without bindings.
    RenewQueue(usize),
    Publish(Vec<(usize, String, Table)>),
}

fn key() -> impl Strategy<Value = String> {
    vec(select(vec!["a", "b", ""]), 1..4).prop_map(|words| words.join("."))
}

fn pattern() -> impl Strategy<Value = String> {
    vec(select(vec!["a", "b", "*", "#", ""]), 1..5).prop_map(|words| words.join("."))
}

fn header_value() -> impl Strategy<Value = Value> {
    select(vec![text("1"), text("2"), Value::I32(1), Value::Void])
}

fn headers() -> impl Strategy<Value = Table> {
    let names = select(vec!["h", "k", "x-n"]);
    // A table holds a name once: what a second one means is nowhere written.
    prop::collection::btree_map(names, header_value(), 0..4).prop_map(|pairs| {
        let pairs = pairs.into_iter();
        pairs
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    })
}

fn arguments() -> impl Strategy<Value = Table> {
    let modes = vec!["all", "any", "all-with-x", "any-with-x"];
    (option::of(select(modes)), headers()).prop_map(|(mode, mut table)| {
        let mode = mode.map(|mode| ("x-match".to_owned(), text(mode)));
        table.0.extend(mode);
        table
    })
}

fn binding() -> impl Strategy<Value = BindingShape> {
    (0..EXCHANGES, 0..EXCHANGES + QUEUES, pattern(), arguments()).prop_map(
        |(source, destination, key, arguments)| BindingShape {
            source,
            destination,
            key,
            arguments,
        },
    )
}

fn exchanges() -> impl Strategy<Value = Vec<ExchangeShape>> {
    let shape = (select(KINDS.to_vec()), option::weighted(0.4, 0..EXCHANGES));
    let shape = shape.prop_map(|(kind, alternate)| ExchangeShape { kind, alternate });
    vec(shape, EXCHANGES)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => binding().prop_map(Step::Bind),
        2 => any::<prop::sample::Index>().prop_map(Step::Unbind),
        1 => (0..EXCHANGES).prop_map(Step::DeleteExchange),
        1 => (0..QUEUES).prop_map(Step::RenewQueue),
        8 => vec((0..EXCHANGES, key(), headers()), 1..4).prop_map(Step::Publish),
    ]
}

/// What is bound where, as a list.
struct Model {
    exchanges: BTreeMap<usize, ExchangeShape>,
    bindings: Vec<BindingShape>,
}

impl Model {
    fn route(&self, start: usize, key: &str, headers: &Table) -> BTreeSet<usize> {
        let (mut queues, mut visited, mut ahead) = (BTreeSet::new(), BTreeSet::new(), vec![start]);
        while let Some(number) = ahead.pop() {
            let Some(exchange) = self.exchanges.get(&number) else {
                continue;
            };
            if !visited.insert(number) {
                continue;
            }
            let bound = self
                .bindings
                .iter()
                .filter(|binding| binding.source == number);
            let matching: Vec<usize> = bound
                .filter(|binding| match exchange.kind {
                    "direct" => binding.key == key,
                    "fanout" => true,
                    "topic" => topic(&words(&binding.key), &words(key)),
                    _ => wanted(&binding.arguments, headers),
                })
                .map(|binding| binding.destination)
                .collect();
            if matching.is_empty() {
                ahead.extend(exchange.alternate);
            }
            for destination in matching {
                match destination.checked_sub(EXCHANGES) {
                    Some(queue) => {
                        queues.insert(queue);
                    }
                    None => ahead.push(destination),
                }
            }
        }
        queues
    }
}

fn words(key: &str) -> Vec<&str> {
    key.split('.').take_while(|_| !key.is_empty()).collect()
}

/// `*` is one word, `#` is any number of words.
fn topic(pattern: &[&str], key: &[&str]) -> bool {
    match (pattern, key) {
        ([], key) => key.is_empty(),
        (["#", rest @ ..], key) => {
            topic(rest, key) || (!key.is_empty() && topic(pattern, &key[1..]))
        }
        ([_, ..], []) => false,
        ([word, rest @ ..], [first, tail @ ..]) => {
            (*word == "*" || word == first) && topic(rest, tail)
        }
    }
}

/// Whether a headers binding takes these headers.
fn wanted(arguments: &Table, headers: &Table) -> bool {
    let mode = arguments.get("x-match").and_then(Value::as_str);
    let mode = mode.unwrap_or("all");
    let mut met = Vec::new();
    for (name, value) in &arguments.0 {
        if name == "x-match" || (name.starts_with("x-") && !mode.ends_with("-with-x")) {
            continue;
        }
        let found = headers.0.iter().find(|(other, _)| other == name);
        met.push(found.is_some_and(|(_, found)| *value == Value::Void || found == value));
    }
    if mode.starts_with("any") {
        met.contains(&true)
    } else {
        !met.contains(&false)
    }
}

struct World {
    session: Session,
    model: Model,
    queues: Vec<Arc<Queue>>,
    setup: Setup,
    disk: FaultyDisk,
    broker: Arc<crate::broker::Broker>,
}

fn exchange_name(number: usize) -> String {
    format!("exchange-{number}")
}

fn queue_name(number: usize) -> String {
    format!("queue-{number}")
}

fn declare_queue(session: &Session, number: usize) -> Arc<Queue> {
    let declare = QueueDeclare {
        name: queue_name(number),
        durable: true,
        ..QueueDeclare::default()
    };
    session.queue_declare(declare).unwrap().queue
}

impl World {
    fn new(shapes: &[ExchangeShape]) -> Self {
        let setup = Setup::new(1 << 20);
        let disk = FaultyDisk::new();
        let broker = setup.open(&disk).unwrap();
        let session = connect(&broker);
        for (number, shape) in shapes.iter().enumerate() {
            let alternate = shape.alternate.map(exchange_name);
            let arguments = alternate
                .map(|name| ("alternate-exchange".to_owned(), text(&name)))
                .into_iter()
                .collect();
            let declare = ExchangeDeclare {
                name: exchange_name(number),
                kind: shape.kind.to_owned(),
                durable: true,
                arguments,
                ..ExchangeDeclare::default()
            };
            session.exchange_declare(declare).unwrap();
        }
        let queues = (0..QUEUES)
            .map(|number| declare_queue(&session, number))
            .collect();
        let model = Model {
            exchanges: shapes.iter().cloned().enumerate().collect(),
            bindings: Vec::new(),
        };
        Self {
            session,
            model,
            queues,
            setup,
            disk,
            broker,
        }
    }

    fn bind(&mut self, binding: &BindingShape) {
        let BindingShape {
            source,
            destination,
            key,
            arguments,
        } = binding;
        let exchange = exchange_name(*source);
        let bound = match destination.checked_sub(EXCHANGES) {
            Some(queue) => self
                .session
                .queue_bind(&queue_name(queue), &exchange, key, arguments),
            None => {
                self.session
                    .exchange_bind(&exchange_name(*destination), &exchange, key, arguments)
            }
        };
        let is_there = |number: &usize| self.model.exchanges.contains_key(number);
        let expected = is_there(source) && (*destination >= EXCHANGES || is_there(destination));
        assert_eq!(bound.is_ok(), expected, "{binding:?}: {:?}", bound.err());
        let same = |other: &BindingShape| is_same(other, binding);
        if expected && !self.model.bindings.iter().any(same) {
            self.model.bindings.push(binding.clone());
        }
    }

    fn unbind(&mut self, number: usize) {
        let binding = self.model.bindings.remove(number);
        let exchange = exchange_name(binding.source);
        let (key, arguments) = (&binding.key, &binding.arguments);
        let unbound = match binding.destination.checked_sub(EXCHANGES) {
            Some(queue) => self
                .session
                .queue_unbind(&queue_name(queue), &exchange, key, arguments),
            None => {
                let destination = exchange_name(binding.destination);
                self.session
                    .exchange_unbind(&destination, &exchange, key, arguments)
            }
        };
        unbound.unwrap();
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::Bind(binding) => self.bind(binding),
            Step::Unbind(at) if !self.model.bindings.is_empty() => {
                self.unbind(at.index(self.model.bindings.len()));
            }
            Step::Unbind(_) => {}
            Step::DeleteExchange(number) => {
                let name = exchange_name(*number);
                self.session.exchange_delete(&name, false).unwrap();
                self.model.exchanges.remove(number);
                let bindings = &mut self.model.bindings;
                bindings.retain(|other| other.source != *number && other.destination != *number);
            }
            Step::RenewQueue(number) => {
                let name = queue_name(*number);
                self.session.queue_delete(&name, false, false).unwrap();
                self.queues[*number] = declare_queue(&self.session, *number);
                let destination = EXCHANGES + number;
                let bindings = &mut self.model.bindings;
                bindings.retain(|other| other.destination != destination);
            }
            Step::Publish(messages) => self.publish(messages),
        }
    }

    fn publish(&self, messages: &[(usize, String, Table)]) {
        let mut publisher = self
            .session
            .publisher(|bytes| WireProperties.headers(bytes));
        for (exchange, key, headers) in messages {
            let table = encode_table(&fields(headers));
            let properties = Properties {
                headers: Some(&table),
                ..Properties::default()
            };
            let publish = Publish {
                exchange: &exchange_name(*exchange),
                routing_key: key,
                properties: &properties.encode(),
                body: b"x",
                persistent: false,
                mandatory: true,
                expires: false,
                copies: &[],
            };
            // Twice: the second time the route comes from a cache.
            for _ in 0..2 {
                let outcome = publisher.publish(&[publish]);
                if !self.model.exchanges.contains_key(exchange) {
                    assert!(outcome.error.is_some(), "a missing exchange is an error");
                    continue;
                }
                let expected = self.model.route(*exchange, key, headers);
                let counts: Vec<usize> = self.queues.iter().map(|queue| queue.purge().0).collect();
                let wanted: Vec<usize> = (0..QUEUES)
                    .map(|number| usize::from(expected.contains(&number)))
                    .collect();
                assert_eq!(counts, wanted, "{exchange} {key:?} {headers:?}");
                assert_eq!(outcome.unroutable.is_empty(), !expected.is_empty());
            }
        }
    }

    /// The same node after a restart: durable topologies are the same ones.
    fn restarted(self) -> Self {
        let Self {
            model,
            setup,
            disk,
            broker,
            ..
        } = self;
        broker.close().unwrap();
        let disk = disk.power_cut(1);
        let broker = setup.open(&disk).unwrap();
        let session = connect(&broker);
        let queues = (0..QUEUES)
            .map(|number| session.readable_queue(&queue_name(number)).unwrap())
            .collect();
        Self {
            session,
            model,
            queues,
            setup,
            disk,
            broker,
        }
    }
}

fn is_same(one: &BindingShape, other: &BindingShape) -> bool {
    let place = |binding: &BindingShape| (binding.source, binding.destination, binding.key.clone());
    place(one) == place(other) && pairs(&one.arguments) == pairs(&other.arguments)
}

fn pairs(table: &Table) -> BTreeMap<String, String> {
    let pairs = table.0.iter();
    pairs
        .map(|(name, value)| (name.clone(), format!("{value:?}")))
        .collect()
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn messages_go_where_a_naive_walk_of_the_bindings_leads(
        shapes in exchanges(),
        steps in vec(step(), 1..40),
        probes in vec((0..EXCHANGES, key(), headers()), 6),
    ) {
        let mut world = World::new(&shapes);
        for step in &steps {
            world.apply(step);
        }
        world.publish(&probes);
        let world = world.restarted();
        world.publish(&probes);
    }

    #[test]
    fn a_topic_pattern_matches_as_its_definition_says(patterns in vec(pattern(), 1..12), keys in vec(key(), 6)) {
        let shape = ExchangeShape { kind: "topic", alternate: None };
        let mut world = World::new(&[shape]);
        for (number, key) in patterns.iter().enumerate() {
            let destination = EXCHANGES + number % QUEUES;
            world.bind(&BindingShape { source: 0, destination, key: key.clone(), arguments: Table::default() });
        }
        let probes: Vec<_> = keys.into_iter().map(|key| (0, key, Table::default())).collect();
        world.publish(&probes);
        // Half of them go again: what they shared must stay.
        for _ in 0..world.model.bindings.len() / 2 {
            world.unbind(0);
            world.publish(&probes);
        }
    }
}
