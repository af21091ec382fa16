//! The exchanges, queues and bindings of one virtual host, as plain data.
//!
//! Invariant: `bound` mirrors the exchanges' bindings, and everything bound is in `queues` or `exchanges`; what is listed
//! is counted here and for the node.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    definitions::record::{Change, Record},
    exchange::{Binding, Destination, Exchange, ExchangeKind, ExchangeSettings},
    parameter::{Parameters, parameter_record},
    queue::{ConnectionId, Queue},
    value::Table,
    vhost::is_internal,
};

/// What a name stands for, in texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Exchange,
    Queue,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Exchange => "exchange",
            Self::Queue => "queue",
        })
    }
}

/// Where something is bound: the exchange, the key, the arguments.
type Place = (Arc<str>, Box<str>, Table);

#[derive(Default)]
pub(crate) struct Topology {
    pub(crate) exchanges: HashMap<Arc<str>, Exchange>,
    pub(crate) queues: HashMap<Arc<str>, Arc<Queue>>,
    pub(crate) parameters: Parameters,
    /// Where each queue and exchange is bound.
    bound: HashMap<(Kind, Arc<str>), Vec<Place>>,
    exclusive: HashMap<ConnectionId, HashSet<Arc<str>>>,
    listed: Listed,
}

/// How many queues clients know of, here and in all virtual hosts.
#[derive(Default)]
struct Listed {
    here: u64,
    everywhere: Arc<AtomicU64>,
}

impl Listed {
    fn add(&mut self) {
        self.here += 1;
        self.everywhere.fetch_add(1, Ordering::Relaxed);
    }

    fn remove(&mut self) {
        self.here -= 1;
        self.everywhere.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.everywhere.fetch_sub(self.here, Ordering::Relaxed);
    }
}

impl Topology {
    /// The exchanges that every virtual host has.
    pub(crate) fn new(everywhere: Arc<AtomicU64>) -> Self {
        let listed = Listed {
            here: 0,
            everywhere,
        };
        let mut topology = Self {
            listed,
            ..Self::default()
        };
        let predeclared = [
            ("amq.direct", ExchangeKind::Direct, false),
            ("amq.fanout", ExchangeKind::Fanout, false),
            ("amq.topic", ExchangeKind::Topic, false),
            ("amq.headers", ExchangeKind::Headers, false),
            ("amq.match", ExchangeKind::Headers, false),
            ("amq.rabbitmq.trace", ExchangeKind::Topic, true),
        ];
        for (name, kind, internal) in predeclared {
            let settings = ExchangeSettings {
                kind,
                durable: true,
                auto_delete: false,
                internal,
                arguments: Table::default(),
            };
            topology
                .exchanges
                .insert(name.into(), Exchange::new(settings));
        }
        topology
    }

    pub(crate) fn insert_queue(&mut self, queue: &Arc<Queue>) {
        if let Some(owner) = queue.settings().exclusive {
            self.exclusive
                .entry(owner)
                .or_default()
                .insert(Arc::clone(queue.name()));
        }
        let old = self
            .queues
            .insert(Arc::clone(queue.name()), Arc::clone(queue));
        if old.is_none() && !is_internal(queue.name()) {
            self.listed.add();
        }
    }

    /// How many queues clients know of.
    pub(crate) fn listed(&self) -> u64 {
        self.listed.here
    }

    /// The queues that go with a connection.
    pub(crate) fn exclusive_to(&self, owner: ConnectionId) -> Vec<Arc<str>> {
        self.exclusive
            .get(&owner)
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }

    /// Binds; false when the binding is there or the exchange is not.
    pub(crate) fn bind(
        &mut self,
        exchange: &str,
        destination: &Destination,
        key: &str,
        arguments: &Table,
    ) -> bool {
        let Some((name, _)) = self.exchanges.get_key_value(exchange) else {
            return false;
        };
        let name = Arc::clone(name);
        let is_new = self
            .exchanges
            .get_mut(exchange)
            .is_some_and(|exchange| exchange.bind(key, destination, arguments));
        if is_new {
            let bound = self.bound.entry(bound_as(destination)).or_default();
            bound.push((name, key.into(), arguments.clone()));
        }
        is_new
    }

    /// Unbinds, and removes the exchange if that was its last binding and it goes with it. Returns what changes in the
    /// durable definitions; `None` when there is no such binding.
    pub(crate) fn unbind(
        &mut self,
        vhost: &str,
        exchange: &str,
        destination: &Destination,
        key: &str,
        arguments: &Table,
    ) -> Option<Vec<Change>> {
        if !self
            .exchanges
            .get_mut(exchange)?
            .unbind(key, destination, arguments)
        {
            return None;
        }
        self.unnote(destination, |(e, k, a)| {
            **e == *exchange && **k == *key && a.is_same(arguments)
        });
        let mut changes = Vec::new();
        let settings = &self.exchanges.get(exchange)?.settings;
        if settings.durable && destination.is_durable() {
            changes.push(binding_record(vhost, exchange, destination, key, arguments).unset());
        }
        if settings.auto_delete && !self.exchanges.get(exchange)?.has_bindings() {
            changes.extend(self.remove_exchange(vhost, exchange));
        }
        Some(changes)
    }

    /// Forgets that something is bound at these places.
    fn unnote(&mut self, destination: &Destination, is_gone: impl Fn(&Place) -> bool) {
        let name = bound_as(destination);
        if let Some(bound) = self.bound.get_mut(&name) {
            bound.retain(|place| !is_gone(place));
            if bound.is_empty() {
                self.bound.remove(&name);
            }
        }
    }

    /// Removes an exchange with its bindings, and the exchanges that go with them. Returns what changes in the durable
    /// definitions.
    pub(crate) fn remove_exchange(&mut self, vhost: &str, name: &str) -> Vec<Change> {
        let Some(exchange) = self.exchanges.remove(name) else {
            return Vec::new();
        };
        let mut changes = Vec::new();
        for (key, binding) in exchange.bindings() {
            let Binding {
                destination,
                arguments,
            } = binding;
            self.unnote(destination, |(e, ..)| **e == *name);
            if exchange.settings.durable && destination.is_durable() {
                changes.push(binding_record(vhost, name, destination, key, arguments).unset());
            }
        }
        let itself = Destination::Exchange(name.into(), exchange.settings.durable);
        changes.extend(self.unbind_everywhere(vhost, &itself));
        if exchange.settings.durable {
            changes.push(exchange_record(vhost, name, &exchange.settings).unset());
        }
        changes
    }

    /// What removes everything from the durable definitions.
    pub(crate) fn unset_all(&self, vhost: &str) -> Vec<Change> {
        let mut changes = Vec::new();
        for (component, name, value) in self.parameters.iter() {
            changes.push(parameter_record(vhost, (component, name), value).unset());
        }
        for queue in self.queues.values().filter(|queue| queue.is_logged()) {
            changes.push(queue_record(vhost, queue).unset());
        }
        let exchanges = self.exchanges.iter();
        for (name, exchange) in exchanges.filter(|(_, exchange)| exchange.settings.durable) {
            changes.push(exchange_record(vhost, name, &exchange.settings).unset());
            let durable = exchange
                .bindings()
                .filter(|(_, binding)| binding.destination.is_durable());
            for (key, binding) in durable {
                let Binding {
                    destination,
                    arguments,
                } = binding;
                changes.push(binding_record(vhost, name, destination, key, arguments).unset());
            }
        }
        changes
    }

    /// Removes all bindings that lead to something.
    fn unbind_everywhere(&mut self, vhost: &str, destination: &Destination) -> Vec<Change> {
        let places = self.bound.get(&bound_as(destination)).cloned();
        let mut changes = Vec::new();
        for (exchange, key, arguments) in places.unwrap_or_default() {
            let unbound = self.unbind(vhost, &exchange, destination, &key, &arguments);
            changes.extend(unbound.unwrap_or_default());
        }
        changes
    }

    /// Removes a queue with its bindings, and the exchanges that go with them. Returns what changes in the durable
    /// definitions.
    pub(crate) fn remove_queue(&mut self, vhost: &str, name: &str) -> Vec<Change> {
        let Some(queue) = self.queues.get(name).cloned() else {
            return Vec::new();
        };
        let mut changes = self.unbind_everywhere(vhost, &Destination::Queue(Arc::clone(&queue)));
        if let Some(owner) = queue.settings().exclusive
            && let Some(names) = self.exclusive.get_mut(&owner)
        {
            names.remove(name);
            if names.is_empty() {
                self.exclusive.remove(&owner);
            }
        }
        self.queues.remove(name);
        if !is_internal(name) {
            self.listed.remove();
        }
        if queue.is_logged() {
            changes.push(queue_record(vhost, &queue).unset());
        }
        changes
    }
}

pub(crate) fn exchange_record(vhost: &str, name: &str, settings: &ExchangeSettings) -> Record {
    Record::Exchange {
        vhost: vhost.to_owned(),
        name: name.to_owned(),
        kind: settings.kind.name().to_owned(),
        auto_delete: settings.auto_delete,
        internal: settings.internal,
        arguments: settings.arguments.clone(),
    }
}

pub(crate) fn queue_record(vhost: &str, queue: &Queue) -> Record {
    Record::Queue {
        vhost: vhost.to_owned(),
        name: queue.name().to_string(),
        id: queue.id().0,
        auto_delete: queue.settings().auto_delete,
        arguments: queue.settings().arguments.clone(),
    }
}

pub(crate) fn binding_record(
    vhost: &str,
    exchange: &str,
    destination: &Destination,
    key: &str,
    arguments: &Table,
) -> Record {
    match destination {
        Destination::Queue(queue) => Record::Binding {
            vhost: vhost.to_owned(),
            exchange: exchange.to_owned(),
            queue: queue.name().to_string(),
            key: key.to_owned(),
            arguments: arguments.clone(),
        },
        Destination::Exchange(name, _) => Record::ExchangeBinding {
            vhost: vhost.to_owned(),
            source: exchange.to_owned(),
            destination: name.to_string(),
            key: key.to_owned(),
            arguments: arguments.clone(),
        },
    }
}

fn bound_as(destination: &Destination) -> (Kind, Arc<str>) {
    (destination.kind(), Arc::clone(destination.name()))
}
