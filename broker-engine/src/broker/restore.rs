//! What a broker is made of again when it starts: its definitions, and its queues with what recovery found in them.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
};

use super::{
    Broker,
    definitions::{document, record::Record},
    error::Error,
    exchange::{Destination, Exchange, ExchangeKind, ExchangeSettings},
    parameter,
    queue::{QueueSettings, Rules},
    vhost::Vhost,
};
use crate::store::{Batch, QueueId, RecoveredQueue};

impl Broker {
    pub(super) fn restore(
        &self,
        definitions: &[(Vec<u8>, Vec<u8>)],
        queues: Vec<RecoveredQueue>,
        is_whole: bool,
    ) -> Result<(), Error> {
        let mut queue_max = queues.iter().map(|queue| queue.id.0).max().unwrap_or(0);
        let mut recovered: HashMap<QueueId, RecoveredQueue> =
            queues.into_iter().map(|queue| (queue.id, queue)).collect();
        // Policies say what queues are, and bindings need what they bind.
        let (mut parameters, mut members, mut bindings) = (Vec::new(), Vec::new(), Vec::new());
        for (_, value) in definitions {
            let record = match Record::from_value(value) {
                Ok(record) => record,
                Err(error) => {
                    tracing::error!(%error, "a definition was set aside");
                    continue;
                }
            };
            match self.core.access.restore(record)? {
                Some(Record::Counter { queue_next }) => {
                    queue_max = queue_max.max(queue_next.saturating_sub(1))
                }
                Some(Record::Vhost {
                    name,
                    description,
                    tags,
                    default_queue_type,
                    tracing,
                }) => {
                    let described = document::Vhost {
                        name: name.clone(),
                        description,
                        tags: document::Tags(tags),
                        default_queue_type,
                        tracing,
                    };
                    let vhost = Vhost::new(described, Arc::clone(&self.core));
                    self.vhosts.write().insert(name, vhost);
                }
                Some(Record::GlobalParameter { name, value }) => {
                    self.globals.write().insert(name, value);
                }
                Some(parameter @ Record::Parameter { .. }) => parameters.push(parameter),
                Some(binding @ (Record::Binding { .. } | Record::ExchangeBinding { .. })) => {
                    bindings.push(binding);
                }
                Some(member) => members.push(member),
                None => {}
            }
        }
        for record in parameters.into_iter().chain(members).chain(bindings) {
            let (Record::Parameter { vhost, .. }
            | Record::Exchange { vhost, .. }
            | Record::Queue { vhost, .. }
            | Record::Binding { vhost, .. }
            | Record::ExchangeBinding { vhost, .. }) = &record
            else {
                continue;
            };
            if let Some(vhost) = self.vhost(vhost) {
                vhost.restore(record, &mut recovered);
            }
        }
        self.core.queue_next.store(queue_max + 1, Ordering::Relaxed);
        self.drop_orphans(recovered.into_keys().collect(), is_whole)
    }

    /// Removes the messages of queues that are not defined: a crash came between the two halves of a deletion. When the
    /// log was damaged it may be the definition that is lost, and nothing is removed.
    fn drop_orphans(&self, mut orphans: Vec<QueueId>, is_whole: bool) -> Result<(), Error> {
        if orphans.is_empty() {
            return Ok(());
        }
        orphans.sort_unstable();
        if !is_whole {
            tracing::error!(queues = ?orphans, "messages of undefined queues were kept aside");
            return Ok(());
        }
        let mut batch = Batch::new();
        for queue in orphans {
            batch.gone(queue);
        }
        self.core.store.append(batch)?;
        Ok(())
    }
}

impl Vhost {
    /// Takes a definition that recovery found. Queues find their messages in `recovered`. Bindings come last.
    fn restore(&self, record: Record, recovered: &mut HashMap<QueueId, RecoveredQueue>) {
        let mut topology = self.topology.write();
        match record {
            Record::Exchange {
                name,
                kind,
                auto_delete,
                internal,
                arguments,
                ..
            } => {
                let Some(kind) = ExchangeKind::from_name(&kind) else {
                    tracing::error!(
                        exchange = name,
                        kind,
                        "an exchange of an unknown type was set aside"
                    );
                    return;
                };
                let settings = ExchangeSettings {
                    kind,
                    durable: true,
                    auto_delete,
                    internal,
                    arguments,
                };
                let mut exchange = Exchange::new(settings);
                exchange.govern(topology.parameters.policies().for_exchange(&name));
                topology.exchanges.insert(name.into(), exchange);
            }
            Record::Parameter {
                component,
                name,
                value,
                ..
            } => match parameter::parse(&component, &name, &value, self.dialect()) {
                Ok(parsed) => {
                    let names = (component.as_str(), name.as_str());
                    topology.parameters.insert(names, value, parsed);
                }
                Err(error) => tracing::error!(
                    vhost = %self.name(), component, name, %error, "a parameter was set aside"
                ),
            },
            Record::Queue {
                name,
                id,
                auto_delete,
                arguments,
                ..
            } => {
                let settings = QueueSettings {
                    durable: true,
                    exclusive: None,
                    auto_delete,
                    arguments,
                };
                let names: (&str, &str) = (&name, self.name());
                let policies = topology.parameters.policies();
                let rules = Rules::new(names, &settings, policies, self.dialect());
                let rules = rules.unwrap_or_else(|error| {
                    tracing::error!(%error, "a queue goes on without its arguments");
                    Default::default()
                });
                let queue = self.new_queue(QueueId(id), name.into(), (settings, rules));
                if let Some(messages) = recovered.remove(&QueueId(id)) {
                    queue.restore(&messages);
                }
                topology.insert_queue(&queue);
            }
            Record::Binding {
                exchange,
                queue,
                key,
                arguments,
                ..
            } => {
                if let Some(queue) = topology.queues.get(queue.as_str()).cloned() {
                    let destination = Destination::Queue(queue);
                    topology.bind(&exchange, &destination, &key, &arguments);
                }
            }
            Record::ExchangeBinding {
                source,
                destination,
                key,
                arguments,
                ..
            } => {
                if let Some((name, _)) = topology.exchanges.get_key_value(destination.as_str()) {
                    let destination = Destination::Exchange(Arc::clone(name), true);
                    topology.bind(&source, &destination, &key, &arguments);
                }
            }
            Record::Counter { .. }
            | Record::Vhost { .. }
            | Record::GlobalParameter { .. }
            | Record::User { .. }
            | Record::Permission { .. }
            | Record::TopicPermission { .. } => {}
        }
        self.changed(topology);
    }
}
