//! Taking over a definitions document: all of it or nothing.
//!
//! Everything is checked and made under the locks of all it touches, then logged in one entry, then put in place. What
//! is there already stays as it is, except users, permissions, parameters and what describes a virtual host, which the
//! document replaces.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
};

use parking_lot::RwLockWriteGuard;
use serde_json::{Map, Value, json};

use super::{
    document::{self, DestinationType, Document},
    record::{Change, Record},
};
use crate::{
    broker::{
        Broker,
        error::Error,
        exchange::{Destination, Exchange},
        parameter::{self, POLICY, Parsed, parameter_record},
        queue::{Queue, QueueSettings},
        refusal::{Operation, Request},
        topology::{Kind, Topology, binding_record},
        vhost::{ExchangeDeclare, QueueDeclare, RESERVED_PREFIX, Vhost, is_internal},
        vhosts::{check_queue_type, updated, vhost_record},
    },
    store::Position,
};

impl Broker {
    fn check_queue_room(&self, more: u64) -> Result<(), Error> {
        let count = self.core.queue_count.load(Ordering::Relaxed);
        match self.core.limits.queues_max {
            Some(max) if more > 0 && count + more > max => Err(Error::PreconditionFailed(format!(
                "Adding {more} queue(s) would exceed the limit of {max} queue(s) in the cluster.\n\n\
                     It currently has {count} queue(s) defined.\n\nImport aborted!"
            ))),
            Some(_) | None => Ok(()),
        }
    }

    /// Takes over a definitions document, and waits until it is durable. Who imports (`by`) may do everything in the
    /// virtual hosts that are made.
    pub fn import(&self, document: &Document, by: Option<&str>) -> Result<(), Error> {
        let position = self.import_locked(document, by)?;
        Ok(self.core.store.wait(position)?)
    }

    fn import_locked(&self, document: &Document, by: Option<&str>) -> Result<Position, Error> {
        let mut vhosts = self.vhosts.write();
        let mut described = BTreeMap::new();
        let mut targets = vhosts.clone();
        let mut changes = Vec::new();
        for vhost in &document.vhosts {
            check_queue_type(vhost)?;
            let new = updated(vhost, vhosts.get(&vhost.name).map(|vhost| &**vhost));
            changes.push(vhost_record(&new).set());
            if !targets.contains_key(&vhost.name) {
                self.check_vhost_room(&vhost.name, targets.len())?;
            }
            targets
                .entry(vhost.name.clone())
                .or_insert_with(|| Vhost::new(new.clone(), Arc::clone(&self.core)));
            described.insert(vhost.name.as_str(), new);
        }
        let made = |name: &String| !vhosts.contains_key(name);
        let granted = granted(document, by, targets.keys().filter(|name| made(name)));
        let permissions = granted.permissions.iter().map(|it| &it.vhost);
        let topics = granted.topic_permissions.iter().map(|it| &it.vhost);
        for name in permissions.chain(topics) {
            target(&targets, name)?;
        }
        for global in &document.global_parameters {
            let (name, value) = (global.name.clone(), global.value.clone());
            changes.push(Record::GlobalParameter { name, value }.set());
        }

        targets.retain(|name, _| document.names(name) || described.contains_key(name.as_str()));
        let _turns: Vec<_> = targets
            .values()
            .map(|vhost| vhost.governing.lock())
            .collect();
        let mut drafts: BTreeMap<&str, Draft<'_>> = targets
            .iter()
            .map(|(name, vhost)| (name.as_str(), Draft::new(vhost)))
            .collect();
        draft(document, &mut drafts)?;
        self.check_queue_room(drafts.values().map(|draft| draft.queues.len() as u64).sum())?;
        for draft in drafts.values_mut() {
            changes.append(&mut draft.changes);
        }

        let position = self.core.access.import(&granted, |own| {
            let changes = [own, changes].concat();
            Ok(self.core.store.define(&changes)?)
        })?;
        let globals = document.global_parameters.iter();
        let globals = globals.map(|global| (global.name.clone(), global.value.clone()));
        self.globals.write().extend(globals);
        for (name, draft) in drafts {
            draft.vhost.note_defined(position);
            if let Some(described) = described.remove(name) {
                draft.vhost.describe(described);
            }
            draft.put_in_place();
        }
        for (name, vhost) in &targets {
            vhosts
                .entry(name.clone())
                .or_insert_with(|| Arc::clone(vhost));
        }
        Ok(position)
    }
}

/// Users and what they may do, with what falls to whoever makes virtual hosts.
fn granted<'a>(
    document: &Document,
    by: Option<&str>,
    made: impl Iterator<Item = &'a String>,
) -> Document {
    let mut granted = Document {
        users: document.users.clone(),
        permissions: document.permissions.clone(),
        topic_permissions: document.topic_permissions.clone(),
        ..Document::default()
    };
    let Some(by) = by else { return granted };
    let named: BTreeSet<&str> = document
        .permissions
        .iter()
        .filter(|permission| permission.user == by)
        .map(|permission| permission.vhost.as_str())
        .collect();
    let all = || ".*".to_owned();
    let own = made.filter(|name| !named.contains(name.as_str()));
    granted
        .permissions
        .extend(own.map(|name| document::Permission {
            user: by.to_owned(),
            vhost: name.clone(),
            configure: all(),
            write: all(),
            read: all(),
        }));
    granted
}

fn target<'t, T>(targets: &'t BTreeMap<String, T>, name: &str) -> Result<&'t T, Error> {
    targets.get(name).ok_or_else(|| no_vhost(name))
}

fn no_vhost(name: &str) -> Error {
    Error::PreconditionFailed(if name.is_empty() {
        "Virtual host does not exist and is not specified in definitions file.".to_owned()
    } else {
        format!("Please create virtual host \"{name}\" prior to importing definitions.")
    })
}

impl Document {
    /// Whether something in it is in the virtual host.
    fn names(&self, vhost: &str) -> bool {
        let parameters = self.parameters.iter().map(|it| &it.vhost);
        let policies = self.policies.iter().map(|it| &it.vhost);
        let exchanges = self.exchanges.iter().map(|it| &it.vhost);
        let queues = self.queues.iter().map(|it| &it.vhost);
        let bindings = self.bindings.iter().map(|it| &it.vhost);
        parameters
            .chain(policies)
            .chain(exchanges)
            .chain(queues)
            .chain(bindings)
            .any(|name| name == vhost)
    }
}

/// Drafts what is in virtual hosts, each thing after what it needs.
fn draft<'a>(document: &'a Document, drafts: &mut BTreeMap<&str, Draft<'a>>) -> Result<(), Error> {
    fn of<'d, 'a>(
        drafts: &'d mut BTreeMap<&str, Draft<'a>>,
        vhost: &str,
    ) -> Result<&'d mut Draft<'a>, Error> {
        drafts.get_mut(vhost).ok_or_else(|| no_vhost(vhost))
    }
    for policy in &document.policies {
        let mut value: Map<String, Value> = policy.value.clone();
        value.entry("priority").or_insert(json!(0));
        value.entry("apply-to").or_insert(json!("all"));
        let draft = of(drafts, &policy.vhost)?;
        draft.parameter((POLICY, &policy.name), Value::Object(value))?;
    }
    for parameter in &document.parameters {
        let draft = of(drafts, &parameter.vhost)?;
        let names = (parameter.component.as_str(), parameter.name.as_str());
        draft.parameter(names, parameter.value.clone())?;
    }
    for exchange in &document.exchanges {
        of(drafts, &exchange.vhost)?.exchange(exchange)?;
    }
    for queue in &document.queues {
        of(drafts, &queue.vhost)?.queue(queue)?;
    }
    for draft in drafts.values() {
        draft.check_room()?;
    }
    for binding in &document.bindings {
        of(drafts, &binding.vhost)?.binding(binding)?;
    }
    Ok(())
}

/// What a virtual host will have besides what it has.
struct Draft<'a> {
    vhost: &'a Vhost,
    topology: RwLockWriteGuard<'a, Topology>,
    parameters: Vec<(&'a str, &'a str, Value, Parsed)>,
    exchanges: BTreeMap<&'a str, (Exchange, Option<Arc<Queue>>)>,
    queues: BTreeMap<&'a str, Arc<Queue>>,
    bindings: Vec<(&'a document::Binding, Destination)>,
    changes: Vec<Change>,
}

impl<'a> Draft<'a> {
    fn new(vhost: &'a Vhost) -> Self {
        Self {
            vhost,
            topology: vhost.topology.write(),
            parameters: Vec::new(),
            exchanges: BTreeMap::new(),
            queues: BTreeMap::new(),
            bindings: Vec::new(),
            changes: Vec::new(),
        }
    }

    fn parameter(
        &mut self,
        (component, name): (&'a str, &'a str),
        value: Value,
    ) -> Result<(), Error> {
        let parsed = parameter::parse(component, name, &value, self.vhost.dialect());
        let parsed = parsed.map_err(|error| {
            Error::PreconditionFailed(format!(
                "{error} (vhost: \"{}\" / component: \"{component}\" / key: \"{name}\")",
                self.vhost.name()
            ))
        })?;
        let record = parameter_record(self.vhost.name(), (component, name), &value);
        self.changes.push(record.set());
        self.parameters.push((component, name, value, parsed));
        Ok(())
    }

    fn exchange(&mut self, exchange: &'a document::Exchange) -> Result<(), Error> {
        let name = exchange.name.as_str();
        let is_there =
            self.topology.exchanges.contains_key(name) || self.exchanges.contains_key(name);
        if is_there || !is_free("exchange", name) {
            return Ok(());
        }
        let (_, settings) = self.vhost.exchange_settings(ExchangeDeclare {
            name: name.to_owned(),
            kind: exchange.kind.clone(),
            durable: exchange.durable,
            auto_delete: exchange.auto_delete,
            internal: exchange.internal,
            arguments: exchange.arguments.clone(),
        })?;
        let (waiting, changes) = self
            .vhost
            .declared_exchange(&self.topology, name, &settings);
        self.changes.extend(changes);
        self.exchanges
            .insert(name, (Exchange::new(settings), waiting));
        Ok(())
    }

    fn queue(&mut self, queue: &'a document::Queue) -> Result<(), Error> {
        let name = queue.name.as_str();
        let is_there = self.topology.queues.contains_key(name) || self.queues.contains_key(name);
        if is_there || !is_free("queue", name) {
            return Ok(());
        }
        let mut declare = QueueDeclare {
            name: name.to_owned(),
            durable: queue.durable,
            exclusive: false,
            auto_delete: queue.auto_delete,
            arguments: queue.arguments.clone(),
        };
        self.vhost.complete(&mut declare);
        let settings = QueueSettings {
            durable: declare.durable,
            exclusive: None,
            auto_delete: declare.auto_delete,
            arguments: declare.arguments,
        };
        let (queue, changes) =
            self.vhost
                .declared_queue(&self.topology, declare.name.into(), settings)?;
        self.changes.extend(changes);
        self.queues.insert(name, queue);
        Ok(())
    }

    fn check_room(&self) -> Result<(), Error> {
        let Some(max) = self.topology.parameters.limits().queues_max else {
            return Ok(());
        };
        let count = self.topology.listed();
        let more = self.queues.len() as u64;
        if more == 0 || count + more <= max {
            return Ok(());
        }
        Err(Error::PreconditionFailed(format!(
            "Adding {more} queue(s) to virtual host \"{}\" would exceed the limit of {max} queue(s).\n\n\
             This virtual host currently has {count} queue(s) defined.\n\nImport aborted!",
            self.vhost.name()
        )))
    }

    fn binding(&mut self, binding: &'a document::Binding) -> Result<(), Error> {
        let source = self.find_exchange(&binding.source)?;
        self.vhost
            .check_binding(source, &binding.routing_key, &binding.arguments)?;
        let is_durable = source.settings.durable;
        let name = binding.destination.as_str();
        let destination = match binding.destination_type {
            DestinationType::Exchange => {
                let durable = self.find_exchange(name)?.settings.durable;
                Destination::Exchange(name.into(), durable)
            }
            DestinationType::Queue => {
                let found = self
                    .queues
                    .get(name)
                    .or_else(|| self.topology.queues.get(name))
                    .filter(|_| !is_internal(name));
                let request = Request::queue(Operation::Bind, name);
                let missing = || self.vhost.no_such(request, (Kind::Queue, name));
                Destination::Queue(Arc::clone(found.ok_or_else(missing)?))
            }
        };
        if is_durable && destination.is_durable() {
            let key = &binding.routing_key;
            let record = binding_record(
                self.vhost.name(),
                &binding.source,
                &destination,
                key,
                &binding.arguments,
            );
            self.changes.push(record.set());
        }
        self.bindings.push((binding, destination));
        Ok(())
    }

    fn find_exchange(&self, name: &str) -> Result<&Exchange, Error> {
        let drafted = self.exchanges.get(name).map(|(exchange, _)| exchange);
        drafted
            .or_else(|| self.topology.exchanges.get(name))
            .ok_or_else(|| {
                let request = Request::exchange(Operation::Bind, name);
                self.vhost.no_such(request, (Kind::Exchange, name))
            })
    }

    /// The document is logged: what was made is there from now on.
    fn put_in_place(self) {
        let Self {
            vhost,
            mut topology,
            parameters,
            exchanges,
            queues,
            bindings,
            ..
        } = self;
        for (component, name, value, parsed) in parameters {
            topology.parameters.insert((component, name), value, parsed);
        }
        for (name, (exchange, waiting)) in exchanges {
            if let Some(queue) = waiting {
                topology.insert_queue(&queue);
            }
            topology.exchanges.insert(name.into(), exchange);
        }
        for queue in queues.into_values() {
            topology.insert_queue(&queue);
        }
        for (binding, destination) in bindings {
            let key = &binding.routing_key;
            topology.bind(&binding.source, &destination, key, &binding.arguments);
        }
        vhost.govern(topology);
    }
}

/// Names that only the broker gives are not imported.
fn is_free(kind: &str, name: &str) -> bool {
    let is_free = !name.is_empty() && !name.starts_with(RESERVED_PREFIX);
    if !is_free {
        tracing::info!(kind, name, "not imported: the name is reserved");
    }
    is_free
}
