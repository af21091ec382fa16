//! Queues of a virtual host: how they are declared, found and deleted.

use std::sync::Arc;

use parking_lot::RwLockWriteGuard;

use super::{REPLIES_PREFIX, Vhost};
use crate::{
    broker::{
        consumer::Consumer,
        definitions::record::{Change, Record},
        delay,
        equivalence::{check_arguments, different},
        error::Error,
        policy::Applied,
        queue::{ConnectionId, Queue, QueueKind, QueueSettings, Rules, is_compared},
        refusal::{Operation, Refusal, Request},
        stats::OfNode,
        topology::{Kind, Topology, queue_record},
        value::{Table, Value},
    },
    store::{Batch, Position, QueueId},
};

/// A queue as a client asks for it.
#[derive(Clone, Debug, Default)]
pub struct QueueDeclare {
    /// Its name; empty to have one made up.
    pub name: String,
    /// Survives a restart.
    pub durable: bool,
    /// For this connection alone, and gone with it.
    pub exclusive: bool,
    /// Gone with its last consumer.
    pub auto_delete: bool,
    /// Arguments, kept as they are.
    pub arguments: Table,
}

impl Vhost {
    pub(in crate::broker) fn declare_queue(
        &self,
        mut declare: QueueDeclare,
        owner: ConnectionId,
    ) -> Result<(Arc<Queue>, Option<Position>), Error> {
        // What goes with its connection does not outlive the node either.
        declare.durable &= !declare.exclusive;
        let mut topology = self.topology.write();
        if let Some(queue) = topology.queues.get(declare.name.as_str()) {
            self.check_equivalent(queue, &declare, owner)?;
            queue.touch();
            return Ok((Arc::clone(queue), self.defined()));
        }
        let name: Arc<str> = declare.name.as_str().into();
        let settings = QueueSettings {
            durable: declare.durable,
            exclusive: declare.exclusive.then_some(owner),
            auto_delete: declare.auto_delete,
            arguments: declare.arguments,
        };
        let (queue, changes) = self.declared_queue(&topology, name, settings)?;
        self.check_room(&topology, queue.name())?;
        let position = self.define(&changes)?;
        topology.insert_queue(&queue);
        self.changed(topology);
        self.core.stats.churn.add_shared(OfNode::QueueCreated, 1);
        Ok((queue, position))
    }

    /// A queue that names no type has the virtual host's, where it can.
    pub(in crate::broker) fn complete(&self, declare: &mut QueueDeclare) {
        const TYPE: &str = "x-queue-type";
        let described = self.described.read();
        if let Some(kind) = &described.default_queue_type
            && declare.arguments.get(TYPE).is_none()
            && (kind != "quorum" || declare.durable && !declare.exclusive && !declare.auto_delete)
        {
            let kind = Value::String(kind.clone().into_bytes());
            declare.arguments.set(TYPE, kind);
        }
    }

    /// A queue that a client asks for, and what it is in the durable definitions.
    pub(in crate::broker) fn declared_queue(
        &self,
        topology: &Topology,
        name: Arc<str>,
        settings: QueueSettings,
    ) -> Result<(Arc<Queue>, Vec<Change>), Error> {
        let names = (&*name, &*self.name);
        let policies = topology.parameters.policies();
        let rules = Rules::new(names, &settings, policies, self.core.dialect)?;
        let is_logged = settings.durable && settings.exclusive.is_none();
        let id = if is_logged {
            self.core.next_queue()
        } else {
            QueueId(u32::MAX)
        };
        let queue = self.new_queue(id, name, (settings, rules));
        let mut changes = Vec::new();
        if is_logged {
            let counter = Record::Counter {
                queue_next: self.core.queue_next(),
            };
            changes = vec![counter.set(), queue_record(&self.name, &queue).set()];
        }
        Ok((queue, changes))
    }

    /// A queue for the answers to one consumer.
    pub(in crate::broker) fn declare_replies(
        &self,
        owner: ConnectionId,
    ) -> Result<Arc<Queue>, Error> {
        let name = format!("{REPLIES_PREFIX}{}", self.core.random_name());
        let settings = QueueSettings {
            durable: false,
            exclusive: Some(owner),
            auto_delete: true,
            arguments: Table::default(),
        };
        let mut topology = self.topology.write();
        let declared = (settings, Default::default());
        let queue = self.new_queue(QueueId(u32::MAX), name.into(), declared);
        topology.insert_queue(&queue);
        self.changed(topology);
        Ok(queue)
    }

    pub(in crate::broker) fn new_queue(
        &self,
        id: QueueId,
        name: Arc<str>,
        declared: (QueueSettings, (Rules, Applied)),
    ) -> Arc<Queue> {
        let names = (Arc::clone(&self.name), name);
        Queue::new(id, names, declared, Arc::clone(&self.core), self.me.clone())
    }

    fn check_equivalent(
        &self,
        queue: &Queue,
        declare: &QueueDeclare,
        owner: ConnectionId,
    ) -> Result<(), Error> {
        let settings = queue.settings();
        if settings.exclusive != declare.exclusive.then_some(owner) {
            let (name, vhost) = (&**queue.name(), &*self.name);
            let refusal = if settings.exclusive.is_none() {
                Refusal::Shared { queue: name, vhost }
            } else {
                let request = Request::queue(Operation::Declare, name);
                Refusal::Locked { request, vhost }
            };
            return Err(self.refuse(&refusal));
        }
        let is_same = self.check_same(queue, declare);
        is_same.map_err(|refusal| self.refuse(&refusal))
    }

    fn check_same<'a>(
        &'a self,
        queue: &'a Queue,
        declare: &'a QueueDeclare,
    ) -> Result<(), Refusal<'a>> {
        let settings = queue.settings();
        let what = (Kind::Queue, &**queue.name(), &*self.name);
        if settings.durable != declare.durable {
            let durable = (declare.durable, settings.durable);
            return Err(different(what, "durable", durable.0, durable.1));
        }
        if settings.auto_delete != declare.auto_delete {
            let auto_delete = (declare.auto_delete, settings.auto_delete);
            return Err(different(what, "auto_delete", auto_delete.0, auto_delete.1));
        }
        let (kind, dialect) = (queue.kind(), self.dialect());
        let is_relaxed = self.core.relaxed_redeclaration && kind == QueueKind::Quorum;
        let is_compared = |argument: &str| {
            is_compared(argument, kind, dialect) && !(is_relaxed && argument == "x-queue-type")
        };
        let (received, current) = (&declare.arguments, &settings.arguments);
        check_arguments(what, is_compared, received, current)
    }

    /// A queue that this connection may use.
    pub(in crate::broker) fn usable_queue(
        &self,
        request: Request<'_>,
        user: ConnectionId,
    ) -> Result<Arc<Queue>, Error> {
        let name = request.name;
        let queue = self
            .queue(name)
            .filter(|_| !delay::is_hidden(name))
            .ok_or_else(|| self.no_such(request, (Kind::Queue, name)))?;
        if is_kept_from(user, &queue) {
            return Err(self.locked(request));
        }
        Ok(queue)
    }

    /// Deletes a queue and tells its consumers. Returns how many messages were ready. A queue that is not there counts
    /// as deleted.
    pub(in crate::broker) fn delete_queue(
        &self,
        name: &str,
        (if_unused, if_empty): (bool, bool),
        user: ConnectionId,
    ) -> Result<(usize, Option<Position>), Error> {
        let topology = self.topology.write();
        let found = topology.queues.get(name).cloned();
        let Some(queue) = found.filter(|_| !delay::is_hidden(name)) else {
            return Ok((0, None));
        };
        if is_kept_from(user, &queue) {
            return Err(self.locked(Request::queue(Operation::Delete, name)));
        }
        let (ready, consumers) = queue.delete(if_unused, if_empty)?;
        let position = self.remove_queue(topology, &queue);
        tell_cancelled(&consumers);
        Ok((ready, position?))
    }

    /// Deletes a queue that lost its last consumer, unless another came in between.
    pub(in crate::broker) fn delete_unused(&self, queue: &Arc<Queue>) -> Result<(), Error> {
        let topology = self.topology.write();
        if is_current(&topology, queue) && !queue.has_consumers() {
            queue.delete(false, false)?;
            self.remove_queue(topology, queue)?;
        }
        Ok(())
    }

    /// Deletes a queue that nobody used for as long as it lives unused.
    pub(in crate::broker) fn delete_expired(
        &self,
        queue: &Arc<Queue>,
        now_ms: u64,
    ) -> Result<(), Error> {
        let topology = self.topology.write();
        if is_current(&topology, queue) && queue.is_unused(now_ms) {
            queue.delete(false, false)?;
            self.remove_queue(topology, queue)?;
        }
        Ok(())
    }

    /// Deletes what goes with a connection.
    pub(in crate::broker) fn delete_exclusive(&self, owner: ConnectionId) -> Result<(), Error> {
        let names = self.topology.read().exclusive_to(owner);
        for name in names {
            self.delete_queue(&name, (false, false), owner)?;
        }
        Ok(())
    }

    pub(super) fn remove_queue(
        &self,
        mut topology: RwLockWriteGuard<'_, Topology>,
        queue: &Arc<Queue>,
    ) -> Result<Option<Position>, Error> {
        let changes = topology.remove_queue(&self.name, queue.name());
        let mut position = self.define(&changes);
        if queue.is_logged() && position.is_ok() {
            let mut batch = Batch::new();
            batch.gone(queue.id());
            let appended = self.core.store.append(batch);
            // The messages are to stay away as surely as they would have stayed.
            let level = self.core.store.durability().stricter(queue.durability());
            position = appended
                .map(|appended| Some(appended.position.at(level)))
                .map_err(Error::from);
        }
        self.changed(topology);
        position
    }
}

/// Whether a queue is one that no client declared.
pub(in crate::broker) fn is_internal(queue: &str) -> bool {
    queue.starts_with(REPLIES_PREFIX) || delay::is_hidden(queue)
}

fn tell_cancelled(consumers: &[Arc<Consumer>]) {
    for consumer in consumers {
        consumer.sink.cancelled(consumer);
    }
}

/// Whether the queue is still the one of its name.
fn is_current(topology: &Topology, queue: &Arc<Queue>) -> bool {
    let of_name = topology.queues.get(queue.name());
    of_name.is_some_and(|other| Arc::ptr_eq(other, queue))
}

/// Whether another connection has the queue for itself.
fn is_kept_from(user: ConnectionId, queue: &Queue) -> bool {
    let owner = queue.settings().exclusive;
    owner.is_some_and(|owner| owner != user)
}
