//! The bindings of a virtual host, as operators see them.

use super::{exchange::Destination, value::Table, vhost::Vhost};

/// Something that is bound to an exchange.
#[derive(Clone, Debug)]
pub struct Binding {
    /// The exchange that messages come from; empty for the default one.
    pub source: String,
    /// The queue or exchange that messages go to.
    pub destination: String,
    /// Whether that is a queue.
    pub is_to_queue: bool,
    /// The routing key.
    pub key: String,
    /// Arguments, as they were given.
    pub arguments: Table,
}

impl Vhost {
    /// All bindings by source, with those of the default exchange, which each queue has under its name.
    pub fn bindings(&self) -> Vec<Binding> {
        let queues = self.queues().into_iter().map(|queue| Binding {
            source: String::new(),
            destination: queue.name().to_string(),
            is_to_queue: true,
            key: queue.name().to_string(),
            arguments: Table::default(),
        });
        let mut bindings: Vec<Binding> = queues.collect();
        let topology = self.topology.read();
        for (source, exchange) in &topology.exchanges {
            bindings.extend(exchange.bindings().map(|(key, binding)| Binding {
                source: source.to_string(),
                destination: binding.destination.name().to_string(),
                is_to_queue: matches!(binding.destination, Destination::Queue(_)),
                key: key.to_owned(),
                arguments: binding.arguments.clone(),
            }));
        }
        drop(topology);
        bindings.sort_by(|left, right| {
            (&left.source, &left.destination, &left.key).cmp(&(
                &right.source,
                &right.destination,
                &right.key,
            ))
        });
        bindings
    }
}
