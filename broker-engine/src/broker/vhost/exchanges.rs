//! Exchanges of a virtual host: how they are declared and deleted.

use std::sync::Arc;

use super::Vhost;
use crate::{
    broker::{
        definitions::record::{Change, Record},
        delay,
        equivalence::check_exchange,
        error::Error,
        exchange::{Exchange, ExchangeKind, ExchangeSettings},
        policy::Applied,
        queue::{Queue, QueueSettings, Rules},
        refusal::{Operation, Refusal, Request},
        topology::{Kind, Topology, exchange_record, queue_record},
        value::{Table, Value},
    },
    store::{Position, QueueId},
};

/// An exchange as a client asks for it.
#[derive(Clone, Debug, Default)]
pub struct ExchangeDeclare {
    /// Its name.
    pub name: String,
    /// `direct`, `fanout` and the like.
    pub kind: String,
    /// Survives a restart.
    pub durable: bool,
    /// Gone with its last binding.
    pub auto_delete: bool,
    /// Clients may not publish to it.
    pub internal: bool,
    /// Arguments, kept as they are.
    pub arguments: Table,
}

impl Vhost {
    pub(in crate::broker) fn declare_exchange(
        &self,
        declare: ExchangeDeclare,
    ) -> Result<Option<Position>, Error> {
        let (name, settings) = self.exchange_settings(declare)?;
        let request = Request::exchange(Operation::Declare, &name);
        self.refuse_default(&name, request)?;
        let mut topology = self.topology.write();
        if let Some(exchange) = topology.exchanges.get(name.as_str()) {
            let what = (Kind::Exchange, name.as_str(), &*self.name);
            let is_same = check_exchange(what, &settings, &exchange.settings, self.dialect());
            is_same.map_err(|refusal| self.refuse(&refusal))?;
            return Ok(self.defined());
        }
        self.refuse_reserved(request)?;
        let (waiting, changes) = self.declared_exchange(&topology, &name, &settings);
        let position = self.define(&changes)?;
        if let Some(queue) = &waiting {
            topology.insert_queue(queue);
        }
        let mut exchange = Exchange::new(settings);
        exchange.govern(topology.parameters.policies().for_exchange(&name));
        topology.exchanges.insert(name.into(), exchange);
        self.changed(topology);
        Ok(position)
    }

    /// The name of an exchange to be, and what it is.
    pub(in crate::broker) fn exchange_settings(
        &self,
        declare: ExchangeDeclare,
    ) -> Result<(String, ExchangeSettings), Error> {
        let kind = self.checked_kind(&declare)?;
        let settings = ExchangeSettings {
            kind,
            durable: declare.durable,
            auto_delete: declare.auto_delete,
            internal: declare.internal,
            arguments: declare.arguments,
        };
        settings.check_deduplication((&declare.name, &self.name), self.dialect())?;
        settings.check_hash()?;
        if settings.chooses_as().is_none() {
            let named = settings.arguments.get("x-delayed-type");
            let refusal = Refusal::DelayedType(named.and_then(Value::as_str));
            return Err(self.refuse(&refusal));
        }
        Ok((declare.name, settings))
    }

    /// The queue that a new exchange needs, and what both are in the durable definitions.
    pub(in crate::broker) fn declared_exchange(
        &self,
        topology: &Topology,
        name: &str,
        settings: &ExchangeSettings,
    ) -> (Option<Arc<Queue>>, Vec<Change>) {
        let mut changes = Vec::new();
        if settings.durable {
            changes.push(exchange_record(&self.name, name, settings).set());
        }
        let waiting = (settings.kind == ExchangeKind::Delayed)
            .then(|| self.waiting_queue(topology, name, settings, &mut changes))
            .flatten();
        (waiting, changes)
    }

    /// The queue in which a new exchange's messages wait for their time, unless it is there.
    fn waiting_queue(
        &self,
        topology: &Topology,
        exchange: &str,
        settings: &ExchangeSettings,
        changes: &mut Vec<Change>,
    ) -> Option<Arc<Queue>> {
        let name = delay::queue_name(exchange);
        if topology.queues.contains_key(name.as_str()) {
            return None;
        }
        let settings = QueueSettings {
            durable: settings.durable,
            exclusive: None,
            auto_delete: false,
            arguments: delay::arguments(exchange),
        };
        let rules = Rules {
            delays: Some(exchange.to_owned()),
            ..Rules::default()
        };
        let is_logged = settings.durable;
        let id = if is_logged {
            self.core.next_queue()
        } else {
            QueueId(u32::MAX)
        };
        let declared = (settings, (rules, Applied::default()));
        let queue = self.new_queue(id, name.into(), declared);
        if is_logged {
            let counter = Record::Counter {
                queue_next: self.core.queue_next(),
            };
            changes.extend([counter.set(), queue_record(&self.name, &queue).set()]);
        }
        Some(queue)
    }

    pub(in crate::broker) fn check_exchange_exists(
        &self,
        name: &str,
        request: Request<'_>,
    ) -> Result<(), Error> {
        self.refuse_default(name, request)?;
        self.topology
            .read()
            .exchanges
            .get(name)
            .map(|_| ())
            .ok_or_else(|| self.no_such(request, (Kind::Exchange, name)))
    }

    pub(in crate::broker) fn delete_exchange(
        &self,
        name: &str,
        if_unused: bool,
    ) -> Result<Option<Position>, Error> {
        self.refuse_default(name, Request::exchange(Operation::Delete, name))?;
        let mut topology = self.topology.write();
        let Some(exchange) = topology.exchanges.get(name) else {
            return Ok(None);
        };
        if if_unused && exchange.has_bindings() {
            let what = (Kind::Exchange, name, &*self.name);
            return Err(self.refuse(&Refusal::InUse(what)));
        }
        let changes = topology.remove_exchange(&self.name, name);
        let position = self.define(&changes);
        if let Some(waiting) = topology.queues.get(&*delay::queue_name(name)).cloned() {
            waiting.delete(false, false)?;
            return self.remove_queue(topology, &waiting).and(position);
        }
        self.changed(topology);
        position
    }
}
