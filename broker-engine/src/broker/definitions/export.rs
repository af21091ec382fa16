//! The definitions document of what there is now. Exclusive queues and what comes by itself are not in it.

use super::document::{
    Binding, DestinationType, Document, Exchange, GlobalParameter, Policy, Queue,
};
use crate::broker::{
    Broker,
    exchange::Destination,
    parameter::POLICY,
    topology::Topology,
    vhost::{RESERVED_PREFIX, Vhost, is_internal},
};

impl Broker {
    /// All that is defined.
    pub fn export(&self) -> Document {
        let vhosts = self.vhosts();
        let globals = self.global_parameters().into_iter();
        let mut document = Document {
            users: self.users(),
            vhosts: vhosts.iter().map(|vhost| vhost.described()).collect(),
            permissions: self.permissions(),
            topic_permissions: self.topic_permissions(),
            global_parameters: globals
                .map(|(name, value)| GlobalParameter { name, value })
                .collect(),
            ..Document::default()
        };
        for vhost in &vhosts {
            add(&mut document, vhost);
        }
        document
    }

    /// What is defined in a virtual host. None when there is no such one.
    pub fn export_vhost(&self, name: &str) -> Option<Document> {
        let mut document = Document::default();
        add(&mut document, &*self.vhost(name)?);
        Some(document.without_vhost())
    }
}

fn add(document: &mut Document, vhost: &Vhost) {
    for parameter in vhost.parameters() {
        if parameter.component != POLICY {
            document.parameters.push(parameter);
        } else if let serde_json::Value::Object(value) = parameter.value {
            document.policies.push(Policy {
                vhost: parameter.vhost,
                name: parameter.name,
                value,
            });
        }
    }
    let topology = vhost.topology.read();
    let mut exchanges = exchanges(&topology, vhost.name());
    exchanges.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    document.exchanges.extend(exchanges);
    let mut queues = queues(&topology, vhost.name());
    queues.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    document.queues.extend(queues);
    let mut bindings = bindings(&topology, vhost.name());
    bindings.sort_by(|a, b| {
        let key = |it: &Binding| {
            (
                it.source.clone(),
                it.destination.clone(),
                it.routing_key.clone(),
            )
        };
        key(a).cmp(&key(b))
    });
    document.bindings.extend(bindings);
}

fn exchanges(topology: &Topology, vhost: &str) -> Vec<Exchange> {
    let exchanges = topology.exchanges.iter();
    exchanges
        .filter(|(name, _)| !name.starts_with(RESERVED_PREFIX))
        .map(|(name, exchange)| Exchange {
            vhost: vhost.to_owned(),
            name: name.to_string(),
            kind: exchange.settings.kind.name().to_owned(),
            durable: exchange.settings.durable,
            auto_delete: exchange.settings.auto_delete,
            internal: exchange.settings.internal,
            arguments: exchange.settings.arguments.clone(),
        })
        .collect()
}

fn is_exported(queue: &crate::broker::Queue) -> bool {
    queue.settings().exclusive.is_none() && !is_internal(queue.name())
}

fn queues(topology: &Topology, vhost: &str) -> Vec<Queue> {
    let queues = topology.queues.values();
    queues
        .filter(|queue| is_exported(queue))
        .map(|queue| Queue {
            vhost: vhost.to_owned(),
            name: queue.name().to_string(),
            durable: queue.settings().durable,
            auto_delete: queue.settings().auto_delete,
            arguments: queue.settings().arguments.clone(),
        })
        .collect()
}

fn bindings(topology: &Topology, vhost: &str) -> Vec<Binding> {
    let exchanges = topology.exchanges.iter();
    let bindings = exchanges.flat_map(|(source, exchange)| {
        exchange.bindings().filter_map(|(key, binding)| {
            let destination_type = match &binding.destination {
                Destination::Queue(queue) if !is_exported(queue) => return None,
                Destination::Queue(_) => DestinationType::Queue,
                Destination::Exchange(..) => DestinationType::Exchange,
            };
            Some(Binding {
                vhost: vhost.to_owned(),
                source: source.to_string(),
                destination: binding.destination.name().to_string(),
                destination_type,
                routing_key: key.to_owned(),
                arguments: binding.arguments.clone(),
            })
        })
    });
    bindings.collect()
}
