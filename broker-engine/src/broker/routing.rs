//! Bindings, and where they lead a message: through exchanges bound to exchanges and alternates, to queues.
//!
//! Owns binding, unbinding and the walk. An exchange is visited once per message, whatever cycles bindings form.

use std::sync::Arc;

use super::{
    deduplication::Bringer,
    delay,
    error::Error,
    exchange::{Destination, Exchange, ExchangeKind, Reading},
    queue::Queue,
    refusal::{Operation, Refusal, Request},
    route::{Route, SeenBefore},
    topology::{Kind, Topology, binding_record},
    value::Table,
    vhost::Vhost,
};
use crate::store::Position;

/// The queues of a message.
pub(super) struct Found {
    /// Each may be there more than once.
    pub(super) queues: Vec<Arc<Queue>>,
    /// Whether every message of this exchange and key goes there.
    pub(super) holds: bool,
    /// What the exchange knows of the message.
    pub(super) seen: Option<Box<SeenBefore>>,
}

impl Found {
    /// The route of the message; not to be remembered for others unless it holds.
    pub(super) fn into_route(self) -> Route {
        Route::new(self.queues).of_one(self.seen)
    }
}

impl Vhost {
    /// Where a message goes that a client publishes.
    pub(super) fn route(
        &self,
        exchange: &str,
        keys: &[&str],
        message: &Reading<'_>,
        by: Bringer,
    ) -> Result<Found, Error> {
        let topology = self.topology.read();
        if !exchange.is_empty() {
            let found = topology.exchanges.get(exchange).ok_or_else(|| {
                let request = Request::exchange(Operation::Publish, exchange);
                self.no_such(request, (Kind::Exchange, exchange))
            })?;
            if found.settings.internal {
                let vhost = self.name();
                return Err(self.refuse(&Refusal::InternalExchange { exchange, vhost }));
            }
            let mut seen = None;
            if let Some(deduper) = found.deduper() {
                let seen = seen.insert(Box::<SeenBefore>::default());
                if !seen.note(deduper.look(message.headers(), self.now_ms(), by)) {
                    return Ok(Found {
                        queues: Vec::new(),
                        holds: false,
                        seen: Some(std::mem::take(seen)),
                    });
                }
            }
            if found.settings.kind == ExchangeKind::Delayed
                && delay::delay_ms(message.headers()).is_some()
                && let Some(queue) = topology.queues.get(&*delay::queue_name(exchange))
            {
                return Ok(Found {
                    queues: vec![Arc::clone(queue)],
                    holds: false,
                    seen,
                });
            }
            return Ok(Found {
                seen,
                ..walk(&topology, exchange, keys, message)
            });
        }
        Ok(walk(&topology, exchange, keys, message))
    }

    /// Where a message goes that a queue gives up. Nowhere when there is no such exchange.
    pub(super) fn route_dead(
        &self,
        exchange: &str,
        keys: &[&str],
        message: &Reading<'_>,
    ) -> Vec<Arc<Queue>> {
        walk(&self.topology.read(), exchange, keys, message).queues
    }

    /// Binds a queue to an exchange.
    pub(super) fn bind_queue(
        &self,
        (queue, exchange, key): (&Arc<Queue>, &str, &str),
        arguments: &Table,
    ) -> Result<Option<Position>, Error> {
        let request = Request::queue(Operation::Bind, queue.name());
        self.refuse_default(exchange, request)?;
        let mut topology = self.topology.write();
        self.check_source(&topology, request, (exchange, key), arguments)?;
        if !topology
            .queues
            .get(queue.name())
            .is_some_and(|other| Arc::ptr_eq(other, queue))
        {
            return Err(self.no_such(request, (Kind::Queue, queue.name())));
        }
        let destination = Destination::Queue(Arc::clone(queue));
        let position = self.bind(&mut topology, (exchange, &destination, key), arguments);
        self.changed(topology);
        position
    }

    /// Binds an exchange to an exchange.
    pub(super) fn bind_exchange(
        &self,
        (destination, source, key): (&str, &str, &str),
        arguments: &Table,
    ) -> Result<Option<Position>, Error> {
        let request = Request::exchange(Operation::Bind, destination);
        self.refuse_default(source, request)?;
        self.refuse_default(destination, request)?;
        let mut topology = self.topology.write();
        self.check_source(&topology, request, (source, key), arguments)?;
        let destination = self.destination(&topology, request)?;
        let position = self.bind(&mut topology, (source, &destination, key), arguments);
        self.changed(topology);
        position
    }

    fn check_source(
        &self,
        topology: &Topology,
        request: Request<'_>,
        (exchange, key): (&str, &str),
        arguments: &Table,
    ) -> Result<(), Error> {
        let found = topology
            .exchanges
            .get(exchange)
            .ok_or_else(|| self.no_such(request, (Kind::Exchange, exchange)))?;
        self.check_binding(found, key, arguments)
    }

    /// Refuses a binding whose key or arguments make no sense for the exchange.
    pub(super) fn check_binding(
        &self,
        exchange: &Exchange,
        key: &str,
        arguments: &Table,
    ) -> Result<(), Error> {
        match exchange.problem(key, arguments, self.dialect()) {
            None => Ok(()),
            Some(problem) => Err(self.refuse(&problem)),
        }
    }

    /// The exchange that is to be bound.
    fn destination(&self, topology: &Topology, request: Request<'_>) -> Result<Destination, Error> {
        let name = request.name;
        let (name, exchange) = topology
            .exchanges
            .get_key_value(name)
            .ok_or_else(|| self.no_such(request, (Kind::Exchange, name)))?;
        Ok(Destination::Exchange(
            Arc::clone(name),
            exchange.settings.durable,
        ))
    }

    fn bind(
        &self,
        topology: &mut Topology,
        (exchange, destination, key): (&str, &Destination, &str),
        arguments: &Table,
    ) -> Result<Option<Position>, Error> {
        if !topology.bind(exchange, destination, key, arguments) {
            return Ok(self.defined());
        }
        let is_durable = topology
            .exchanges
            .get(exchange)
            .is_some_and(|found| found.settings.durable && destination.is_durable());
        let mut changes = Vec::new();
        if is_durable {
            let record = binding_record(self.name(), exchange, destination, key, arguments);
            changes.push(record.set());
        }
        let position = self.define(&changes);
        if position.is_err() {
            topology.unbind(self.name(), exchange, destination, key, arguments);
        }
        position
    }

    /// Removes a binding of a queue; one that is not there counts as removed.
    pub(super) fn unbind_queue(
        &self,
        (queue, exchange, key): (&Arc<Queue>, &str, &str),
        arguments: &Table,
    ) -> Result<Option<Position>, Error> {
        let request = Request::queue(Operation::Unbind, queue.name());
        self.refuse_default(exchange, request)?;
        let destination = Destination::Queue(Arc::clone(queue));
        self.unbind((&destination, exchange, key), arguments)
    }

    /// Removes a binding between exchanges; one that is not there counts as removed.
    pub(super) fn unbind_exchange(
        &self,
        (destination, source, key): (&str, &str, &str),
        arguments: &Table,
    ) -> Result<Option<Position>, Error> {
        let request = Request::exchange(Operation::Unbind, destination);
        self.refuse_default(source, request)?;
        self.refuse_default(destination, request)?;
        let Ok(destination) = self.destination(&self.topology.read(), request) else {
            return Ok(None);
        };
        self.unbind((&destination, source, key), arguments)
    }

    /// Whether there is exactly this binding.
    pub(super) fn is_bound(
        &self,
        (queue, exchange, key): (&Arc<Queue>, &str, &str),
        arguments: &Table,
    ) -> bool {
        let destination = Destination::Queue(Arc::clone(queue));
        let topology = self.topology.read();
        let exchange = topology.exchanges.get(exchange);
        exchange.is_some_and(|exchange| exchange.is_bound(key, &destination, arguments))
    }

    fn unbind(
        &self,
        (destination, exchange, key): (&Destination, &str, &str),
        arguments: &Table,
    ) -> Result<Option<Position>, Error> {
        let mut topology = self.topology.write();
        let changes = topology.unbind(self.name(), exchange, destination, key, arguments);
        let Some(changes) = changes else {
            return Ok(None);
        };
        let position = self.define(&changes);
        self.changed(topology);
        position
    }

    /// Every binding that survives a restart, as text.
    #[cfg(test)]
    pub(super) fn durable_bindings(&self) -> Vec<String> {
        let topology = self.topology.read();
        let durable = topology
            .exchanges
            .iter()
            .filter(|(_, exchange)| exchange.settings.durable);
        let bindings = durable.flat_map(|(name, exchange)| {
            let logged = exchange
                .bindings()
                .filter(|(_, binding)| binding.destination.is_durable());
            logged.map(move |(key, binding)| {
                format!("binding {name} {key} {}", binding.destination.name())
            })
        });
        bindings.collect()
    }
}

/// Follows the bindings from an exchange. An exchange that leads nowhere hands over to its alternate.
fn walk(topology: &Topology, exchange: &str, keys: &[&str], message: &Reading<'_>) -> Found {
    if exchange.is_empty() {
        let queues = keys
            .iter()
            .filter(|key| !delay::is_hidden(key))
            .filter_map(|key| topology.queues.get(*key));
        return Found {
            queues: queues.cloned().collect(),
            holds: true,
            seen: None,
        };
    }
    let mut found = Found {
        queues: Vec::new(),
        holds: true,
        seen: None,
    };
    let mut visited: Vec<*const Exchange> = Vec::new();
    let mut ahead = vec![exchange];
    while let Some(name) = ahead.pop() {
        let Some(exchange) = topology.exchanges.get(name) else {
            continue;
        };
        if visited.contains(&std::ptr::from_ref(exchange)) {
            continue;
        }
        visited.push(exchange);
        found.holds &= !exchange.needs_reading();
        let mut leads_nowhere = true;
        for key in keys {
            exchange.route(key, message, &mut |destination| {
                leads_nowhere = false;
                match destination {
                    Destination::Queue(queue) => found.queues.push(Arc::clone(queue)),
                    Destination::Exchange(name, _) => ahead.push(name),
                }
            });
        }
        if leads_nowhere {
            ahead.extend(exchange.alternate());
        }
    }
    found
}
