//! Setting and clearing parameters, and what changes at once for the queues and exchanges that are there.
//!
//! One change of parameters at a time: whoever comes first is applied to every queue before the next one starts, so
//! that no queue is left with what was replaced.

use std::sync::{Arc, atomic::Ordering};

use parking_lot::RwLockWriteGuard;
use serde_json::Value;

use super::parse;
use crate::{
    broker::{
        definitions::{document::Parameter, record::Record},
        error::Error,
        limits::VhostLimits,
        policy::AppliedPolicies,
        refusal::Refusal,
        topology::Topology,
        vhost::{Vhost, is_internal},
    },
    store::Position,
};

impl Vhost {
    /// All parameters, by component and name.
    pub fn parameters(&self) -> Vec<Parameter> {
        let topology = self.topology.read();
        let parameters = topology
            .parameters
            .iter()
            .map(|(component, name, value)| Parameter {
                vhost: self.name().to_string(),
                component: component.to_owned(),
                name: name.to_owned(),
                value: value.clone(),
            });
        parameters.collect()
    }

    /// A parameter's value.
    pub fn parameter(&self, component: &str, name: &str) -> Option<Value> {
        let topology = self.topology.read();
        topology.parameters.get(component, name).cloned()
    }

    /// The policies that hold for an exchange, as they are shown.
    pub fn exchange_policies(&self, exchange: &str) -> AppliedPolicies {
        let topology = self.topology.read();
        let found = topology.exchanges.get(exchange);
        found
            .map(|exchange| exchange.applied().show())
            .unwrap_or_default()
    }

    pub(in crate::broker) fn limits(&self) -> VhostLimits {
        self.topology.read().parameters.limits()
    }

    /// Refuses one queue more than there may be.
    pub(in crate::broker) fn check_room(
        &self,
        topology: &Topology,
        name: &str,
    ) -> Result<(), Error> {
        let in_vhost = topology.parameters.limits().queues_max;
        let on_node = self.core.limits.queues_max;
        let count = self.core.queue_count.load(Ordering::Relaxed);
        if let Some(max) = in_vhost.filter(|max| topology.listed() >= *max) {
            let vhost = self.name();
            return Err(self.refuse(&Refusal::QueuesOfVhost {
                queue: name,
                vhost,
                max,
            }));
        }
        if let Some(max) = on_node.filter(|max| count >= *max) {
            return Err(self.refuse(&Refusal::QueuesOfNode { queue: name, max }));
        }
        Ok(())
    }

    /// Sets a parameter, and applies it. True when there was none before.
    pub(in crate::broker) fn put_parameter(
        &self,
        (component, name): (&str, &str),
        value: &Value,
    ) -> Result<(bool, Option<Position>), Error> {
        let parsed = parse(component, name, value, self.dialect())?;
        let _turn = self.governing.lock();
        let mut topology = self.topology.write();
        let record = parameter_record(self.name(), (component, name), value);
        let position = self.define(&[record.set()])?;
        let is_new = topology
            .parameters
            .insert((component, name), value.clone(), parsed);
        self.govern(topology);
        Ok((is_new, position))
    }

    /// Clears a parameter, and applies what is left. None when there is none.
    pub(in crate::broker) fn delete_parameter(
        &self,
        component: &str,
        name: &str,
    ) -> Result<Option<Position>, Error> {
        let _turn = self.governing.lock();
        let mut topology = self.topology.write();
        let Some(value) = topology.parameters.get(component, name) else {
            return Ok(None);
        };
        let record = parameter_record(self.name(), (component, name), value);
        let position = self.define(&[record.unset()])?;
        topology.parameters.remove(component, name);
        self.govern(topology);
        Ok(position)
    }

    /// Gives every exchange and queue the policies that hold now. Queues get theirs without the lock: what they give up
    /// for it is routed. The caller has the turn.
    pub(in crate::broker) fn govern(&self, mut topology: RwLockWriteGuard<'_, Topology>) {
        let Topology {
            parameters,
            exchanges,
            queues,
            ..
        } = &mut *topology;
        let policies = parameters.policies();
        for (name, exchange) in exchanges {
            exchange.govern(policies.for_exchange(name));
        }
        let changed: Vec<_> = queues
            .values()
            .filter(|queue| !is_internal(queue.name()))
            .map(|queue| (queue, policies.for_queue(queue.name(), queue.kind())))
            .filter(|(queue, applied)| !applied.is_same(&queue.applied()))
            .map(|(queue, applied)| (Arc::clone(queue), applied))
            .collect();
        self.changed(topology);
        for (queue, applied) in changed {
            queue.govern(applied);
        }
        // Routes found meanwhile rest on the rules that were.
        self.routes_changed();
    }
}

pub(crate) fn parameter_record(
    vhost: &str,
    (component, name): (&str, &str),
    value: &Value,
) -> Record {
    Record::Parameter {
        vhost: vhost.to_owned(),
        component: component.to_owned(),
        name: name.to_owned(),
        value: value.clone(),
    }
}
