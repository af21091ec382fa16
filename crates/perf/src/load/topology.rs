//! Who publishes where, who consumes what, and what must arrive there.
//!
//! A flow is one publisher's messages to one queue, or to all queues of a fan-out; within it
//! nothing may be lost, doubled or overtaken.

use super::options::{Ack, Options};
use crate::Error;
use crate::connection::Connection;
use crate::wire::{self, Put};

/// Where a publisher sends a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) exchange: String,
    pub(super) key: String,
    pub(super) flow: u16,
}

/// The arrangement of one run.
#[derive(Debug)]
pub(super) struct Topology {
    queues: Vec<String>,
    /// Name and type, if the default exchange does not do.
    exchange: Option<(String, &'static str)>,
    /// For each binding its queue and key.
    bindings: Vec<(usize, String)>,
    /// For each publisher where its messages go in turn.
    pub(super) publishers: Vec<Vec<Route>>,
    /// For each consumer its queues.
    pub(super) consumers: Vec<Vec<usize>>,
    is_durable: bool,
}

impl Topology {
    /// `name` is what queues and exchange are called, with their number behind.
    pub(super) fn new(options: &Options, name: &str) -> Self {
        let queue_count = usize::from(options.queues);
        let queues: Vec<String> = match &options.existing_queue {
            Some(queue) => vec![queue.clone()],
            None => (0..queue_count).map(|at| format!("{name}-{at}")).collect(),
        };
        let flow = |publisher: usize, queue: usize| (publisher * queue_count + queue) as u16;
        let (exchange, bindings) = if options.fanout {
            let all = (0..queue_count).map(|queue| (queue, String::new()));
            (Some((name.to_owned(), "fanout")), all.collect())
        } else if let Some(count) = options.topic {
            let bindings =
                (0..count).map(|at| (at as usize % queue_count, format!("perf.{at}.*.end")));
            (Some((name.to_owned(), "topic")), bindings.collect())
        } else {
            (None, Vec::new())
        };
        let routes = |publisher: usize| -> Vec<Route> {
            if options.fanout {
                return vec![Route {
                    exchange: name.to_owned(),
                    key: String::new(),
                    flow: flow(publisher, 0),
                }];
            }
            if let Some(bindings) = options.topic {
                let keys = options.keys.unwrap_or(bindings);
                let keys = (0..keys).map(|at| Route {
                    exchange: name.to_owned(),
                    key: format!("perf.{at}.x.end"),
                    flow: flow(publisher, at as usize % queue_count),
                });
                return keys.collect();
            }
            let own = spread(publisher, usize::from(options.publishers), queue_count);
            let own = own.into_iter().map(|queue| Route {
                exchange: String::new(),
                key: queues[queue].clone(),
                flow: flow(publisher, queue),
            });
            own.collect()
        };
        let consumer_count = usize::from(options.consumers);
        Self {
            publishers: (0..usize::from(options.publishers)).map(routes).collect(),
            consumers: (0..consumer_count)
                .map(|consumer| spread(consumer, consumer_count, queue_count))
                .collect(),
            queues,
            exchange,
            bindings,
            is_durable: options.persistent,
        }
    }

    pub(super) fn queue_count(&self) -> usize {
        self.queues.len()
    }

    /// The queue that a flow leads to; `None` for all of them.
    pub(super) fn queue_of(&self, flow: u16) -> Option<usize> {
        let is_fanout = matches!(self.exchange, Some((_, "fanout")));
        (!is_fanout).then(|| usize::from(flow) % self.queues.len())
    }

    pub(super) fn declare(&self, control: &mut Connection) -> Result<(), Error> {
        for queue in &self.queues {
            control.call(wire::QUEUE_DECLARE, wire::QUEUE_DECLARE_OK, |arguments| {
                arguments.put_u16(0);
                arguments.put_short(queue);
                arguments.put_u8(u8::from(self.is_durable) << 1);
                arguments.put_u32(0);
            })?;
        }
        let Some((exchange, kind)) = &self.exchange else {
            return Ok(());
        };
        control.call(
            wire::EXCHANGE_DECLARE,
            wire::EXCHANGE_DECLARE_OK,
            |arguments| {
                arguments.put_u16(0);
                arguments.put_short(exchange);
                arguments.put_short(kind);
                arguments.put_u8(u8::from(self.is_durable) << 1);
                arguments.put_u32(0);
            },
        )?;
        for (queue, key) in &self.bindings {
            control.call(wire::QUEUE_BIND, wire::QUEUE_BIND_OK, |arguments| {
                arguments.put_u16(0);
                arguments.put_short(&self.queues[*queue]);
                arguments.put_short(exchange);
                arguments.put_short(key);
                arguments.put_u8(0);
                arguments.put_u32(0);
            })?;
        }
        Ok(())
    }

    pub(super) fn consume(
        &self,
        consumer: usize,
        options: &Options,
        connection: &mut Connection,
    ) -> Result<(), Error> {
        if options.ack != Ack::Auto {
            connection.call(wire::BASIC_QOS, wire::BASIC_QOS_OK, |arguments| {
                arguments.put_u32(0);
                arguments.put_u16(options.prefetch);
                arguments.put_u8(0);
            })?;
        }
        for queue in &self.consumers[consumer] {
            connection.call(wire::BASIC_CONSUME, wire::BASIC_CONSUME_OK, |arguments| {
                arguments.put_u16(0);
                arguments.put_short(&self.queues[*queue]);
                arguments.put_short(&format!("c{queue}"));
                arguments.put_u8(u8::from(options.ack == Ack::Auto) << 1);
                arguments.put_u32(0);
            })?;
        }
        Ok(())
    }

    pub(super) fn delete(&self, control: &mut Connection) -> Result<(), Error> {
        for queue in &self.queues {
            control.call(wire::QUEUE_DELETE, wire::QUEUE_DELETE_OK, |arguments| {
                arguments.put_u16(0);
                arguments.put_short(queue);
                arguments.put_u8(0);
            })?;
        }
        if let Some((exchange, _)) = &self.exchange {
            control.call(
                wire::EXCHANGE_DELETE,
                wire::EXCHANGE_DELETE_OK,
                |arguments| {
                    arguments.put_u16(0);
                    arguments.put_short(exchange);
                    arguments.put_u8(0);
                },
            )?;
        }
        Ok(())
    }
}

/// The queues of one client of many: each queue has a client, and each client a queue.
fn spread(client: usize, clients: usize, queues: usize) -> Vec<usize> {
    if clients >= queues {
        vec![client % queues]
    } else {
        (client..queues).step_by(clients).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_queue_has_a_client_and_every_client_a_queue() {
        assert_eq!(spread(1, 4, 2), [1]);
        assert_eq!(spread(3, 4, 2), [1]);
        assert_eq!(spread(1, 2, 5), [1, 3]);
    }

    #[test]
    fn flows_tell_where_messages_go() {
        let options = Options {
            publishers: 2,
            queues: 3,
            topic: Some(7),
            ..Options::default()
        };
        let topology = Topology::new(&options, "t");
        for routes in &topology.publishers {
            assert_eq!(routes.len(), 7);
            for (at, route) in routes.iter().enumerate() {
                assert_eq!(route.key, format!("perf.{at}.x.end"));
                assert_eq!(topology.queue_of(route.flow), Some(topology.bindings[at].0));
            }
        }
        assert_ne!(
            topology.publishers[0][0].flow,
            topology.publishers[1][0].flow
        );
    }
}
