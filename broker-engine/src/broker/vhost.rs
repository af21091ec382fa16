//! A virtual host: its topology under one lock, durable where it was declared so.
//!
//! Owns the rules of declaring, binding and deleting. Does not know users; sessions ask permission first.
//! Lock order: topology, then queue, then log.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use parking_lot::{Mutex, RwLock, RwLockWriteGuard};

use super::{
    Core,
    consumer::Consumer,
    definitions::{
        document,
        record::{Change, Record},
    },
    delay,
    equivalence::{check_arguments, check_exchange, different},
    error::Error,
    exchange::{Exchange, ExchangeKind, ExchangeSettings},
    policy::Applied,
    queue::{ConnectionId, Dialect, Queue, QueueKind, QueueSettings, Rules, is_compared},
    refusal::{Operation, Refusal, Request},
    stats::{ExchangeMeter, History, Meter, OfNode, Sums, Totals},
    topology::{Kind, Topology, exchange_record, queue_record},
    value::{Table, Value},
};
use crate::store::{Batch, Point, Position, QueueId};

pub(super) const RESERVED_PREFIX: &str = "amq.";

/// LavinMQ keeps the queues and exchanges of MQTT under these names.
const RESERVED_PREFIX_MQTT: &str = "mqtt.";

/// What the names of queues for answers start with; they are not listed.
pub(super) const REPLIES_PREFIX: &str = "amq.rabbitmq.reply-to.";

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

/// A virtual host.
pub struct Vhost {
    name: Arc<str>,
    me: Weak<Self>,
    pub(super) core: Arc<Core>,
    described: RwLock<document::Vhost>,
    pub(super) is_deleted: AtomicBool,
    pub(super) topology: RwLock<Topology>,
    /// Grows with every change of the topology, so that publishers may cache routes.
    version: AtomicU64,
    /// The log's position after the latest definition.
    defined: AtomicU64,
    /// Whoever changes what holds for queues and exchanges waits for the turn.
    pub(super) governing: Mutex<()>,
    stats: Sums,
    /// Of the exchange without a name.
    default_exchange: Arc<ExchangeMeter>,
}

impl Vhost {
    pub(super) fn new(described: document::Vhost, core: Arc<Core>) -> Arc<Self> {
        let queue_count = Arc::clone(&core.queue_count);
        Arc::new_cyclic(|me| Self {
            name: described.name.as_str().into(),
            described: RwLock::new(described),
            stats: Sums::new(&core.stats.sampler, Some(&core.stats.sums)),
            default_exchange: Meter::new(&core.stats.sampler, None),
            is_deleted: AtomicBool::new(false),
            me: me.clone(),
            core,
            topology: RwLock::new(Topology::new(queue_count)),
            version: AtomicU64::new(1),
            defined: AtomicU64::new(0),
            governing: Mutex::default(),
        })
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What is counted of everything in it.
    pub(crate) fn stats(&self) -> &Sums {
        &self.stats
    }

    /// What was counted of everything in it until now, and in the last `periods`.
    pub fn totals(&self, periods: u32) -> Totals {
        self.core.stats.sampler.collect();
        self.stats.totals(periods)
    }

    /// The meter of an exchange that is there.
    pub(super) fn exchange_meter(&self, name: &str) -> Option<Arc<ExchangeMeter>> {
        if name.is_empty() {
            return Some(Arc::clone(&self.default_exchange));
        }
        let topology = self.topology.read();
        let exchange = topology.exchanges.get(name)?;
        Some(Arc::clone(exchange.meter(&self.core.stats.sampler)))
    }

    /// What an exchange counted, by [`super::OfExchange`], now and at the end of each of the last `periods`.
    pub fn exchange_history(&self, name: &str, periods: u32) -> Option<History> {
        Some(self.exchange_meter(name)?.history(periods))
    }

    /// What is said about it.
    pub fn described(&self) -> document::Vhost {
        self.described.read().clone()
    }

    pub(super) fn describe(&self, described: document::Vhost) {
        *self.described.write() = described;
    }

    /// Whether it is gone: who is still in it must leave.
    pub fn is_deleted(&self) -> bool {
        self.is_deleted.load(Ordering::Acquire)
    }

    /// How many queues it lists.
    pub fn queue_count(&self) -> usize {
        let topology = self.topology.read();
        let names = topology.queues.keys();
        names.filter(|name| !is_internal(name)).count()
    }

    /// How many consumers its queues have.
    pub fn consumer_count(&self) -> usize {
        let topology = self.topology.read();
        let listed = topology
            .queues
            .values()
            .filter(|queue| !is_internal(queue.name()));
        listed.map(|queue| queue.consumer_count()).sum()
    }

    /// All its queues, in no order.
    pub fn queues(&self) -> Vec<Arc<Queue>> {
        let topology = self.topology.read();
        let listed = topology
            .queues
            .values()
            .filter(|queue| !is_internal(queue.name()));
        listed.cloned().collect()
    }

    /// A queue by name.
    pub fn queue(&self, name: &str) -> Option<Arc<Queue>> {
        self.topology.read().queues.get(name).cloned()
    }

    /// All its exchanges with how they were declared, in no order; the default exchange is not among them.
    pub fn exchanges(&self) -> Vec<(Arc<str>, ExchangeSettings)> {
        let topology = self.topology.read();
        topology
            .exchanges
            .iter()
            .map(|(name, exchange)| (Arc::clone(name), exchange.settings.clone()))
            .collect()
    }

    /// Whether there is such an exchange, and it looks at the words of keys.
    pub(super) fn is_topic(&self, exchange: &str) -> bool {
        let topology = self.topology.read();
        let found = topology.exchanges.get(exchange);
        found.is_some_and(|found| found.settings.kind == ExchangeKind::Topic)
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.core.dialect
    }

    /// A refusal in the words of the profile's peer.
    pub(super) fn refuse(&self, refusal: &Refusal<'_>) -> Error {
        self.core.dialect.refuse(refusal)
    }

    /// The kind of exchange that is asked for.
    pub(super) fn checked_kind(&self, declare: &ExchangeDeclare) -> Result<ExchangeKind, Error> {
        ExchangeKind::from_name(&declare.kind)
            .ok_or_else(|| self.refuse(&Refusal::UnknownType(&declare.kind)))
    }

    pub(super) fn refuse_reserved(&self, request: Request<'_>) -> Result<(), Error> {
        let prefixes: &[&str] = match self.dialect() {
            Dialect::LavinMq => &[RESERVED_PREFIX, RESERVED_PREFIX_MQTT],
            Dialect::RabbitMq3 | Dialect::RabbitMq4 => &[RESERVED_PREFIX],
        };
        if prefixes
            .iter()
            .any(|prefix| request.name.starts_with(prefix))
        {
            return Err(self.refuse(&Refusal::ReservedName(request)));
        }
        Ok(())
    }

    pub(super) fn refuse_default(&self, exchange: &str, request: Request<'_>) -> Result<(), Error> {
        if exchange.is_empty() {
            return Err(self.refuse(&Refusal::DefaultExchange(request)));
        }
        Ok(())
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.core.clock.now_ms()
    }

    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub(super) fn declare_queue(
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
    pub(super) fn complete(&self, declare: &mut QueueDeclare) {
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
    pub(super) fn declared_queue(
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
    pub(super) fn declare_replies(&self, owner: ConnectionId) -> Result<Arc<Queue>, Error> {
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

    pub(super) fn new_queue(
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
    pub(super) fn usable_queue(
        &self,
        request: Request<'_>,
        user: ConnectionId,
    ) -> Result<Arc<Queue>, Error> {
        let name = request.name;
        let queue = self
            .queue(name)
            .filter(|_| !delay::is_hidden(name))
            .ok_or_else(|| self.no_such(request, (Kind::Queue, name)))?;
        if queue
            .settings()
            .exclusive
            .is_some_and(|owner| owner != user)
        {
            return Err(self.locked(request));
        }
        Ok(queue)
    }

    /// Deletes a queue and tells its consumers. Returns how many messages were ready. A queue that is not there counts
    /// as deleted.
    pub(super) fn delete_queue(
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
        if queue
            .settings()
            .exclusive
            .is_some_and(|owner| owner != user)
        {
            return Err(self.locked(Request::queue(Operation::Delete, name)));
        }
        let (ready, consumers) = queue.delete(if_unused, if_empty)?;
        let position = self.remove_queue(topology, &queue);
        tell_cancelled(&consumers);
        Ok((ready, position?))
    }

    /// Deletes a queue that lost its last consumer, unless another came in between.
    pub(super) fn delete_unused(&self, queue: &Arc<Queue>) -> Result<(), Error> {
        let topology = self.topology.write();
        let is_current = topology
            .queues
            .get(queue.name())
            .is_some_and(|other| Arc::ptr_eq(other, queue));
        if is_current && !queue.has_consumers() {
            queue.delete(false, false)?;
            self.remove_queue(topology, queue)?;
        }
        Ok(())
    }

    /// Deletes a queue that nobody used for as long as it lives unused.
    pub(super) fn delete_expired(&self, queue: &Arc<Queue>, now_ms: u64) -> Result<(), Error> {
        let topology = self.topology.write();
        let is_current = topology
            .queues
            .get(queue.name())
            .is_some_and(|other| Arc::ptr_eq(other, queue));
        if is_current && queue.is_unused(now_ms) {
            queue.delete(false, false)?;
            self.remove_queue(topology, queue)?;
        }
        Ok(())
    }

    /// Deletes what goes with a connection.
    pub(super) fn delete_exclusive(&self, owner: ConnectionId) -> Result<(), Error> {
        let names = self.topology.read().exclusive_to(owner);
        for name in names {
            self.delete_queue(&name, (false, false), owner)?;
        }
        Ok(())
    }

    fn remove_queue(
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

    pub(super) fn declare_exchange(
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
    pub(super) fn exchange_settings(
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
    pub(super) fn declared_exchange(
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

    pub(super) fn check_exchange_exists(
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

    pub(super) fn delete_exchange(
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

    pub(super) fn define(&self, changes: &[Change]) -> Result<Option<Position>, Error> {
        if changes.is_empty() {
            return Ok(None);
        }
        if self.is_deleted() {
            return Err(Error::NotAllowed(format!(
                "vhost '{}' is deleted",
                self.name
            )));
        }
        let position = self.core.store.define(changes)?;
        self.note_defined(position);
        Ok(Some(position))
    }

    /// Something here was defined in an entry that others share.
    pub(super) fn note_defined(&self, position: Position) {
        let Point(point) = position.point();
        self.defined.fetch_max(point, Ordering::AcqRel);
    }

    /// What must be durable before it may be said that something is there: somebody else may have declared it just now.
    pub(super) fn defined(&self) -> Option<Position> {
        let point = Point(self.defined.load(Ordering::Acquire));
        let position = Position::new(point, self.core.store.durability());
        (!self.core.store.progress().covers(position)).then_some(position)
    }

    /// Makes a change visible: routes cached before it are not used after the lock is released.
    pub(super) fn changed(&self, topology: RwLockWriteGuard<'_, Topology>) {
        self.version.fetch_add(1, Ordering::AcqRel);
        drop(topology);
    }

    /// Has routes found anew that were cached until now.
    pub(super) fn routes_changed(&self) {
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    /// What somebody asks for, or needs for it, is not there.
    pub(super) fn no_such(&self, request: Request<'_>, (kind, name): (Kind, &str)) -> Error {
        let what = (kind, name, &*self.name);
        self.refuse(&Refusal::NoSuch { request, what })
    }

    fn locked(&self, request: Request<'_>) -> Error {
        let vhost = &*self.name;
        self.refuse(&Refusal::Locked { request, vhost })
    }
}

/// Whether a queue is one that no client declared.
pub(super) fn is_internal(queue: &str) -> bool {
    queue.starts_with(REPLIES_PREFIX) || delay::is_hidden(queue)
}

fn tell_cancelled(consumers: &[Arc<Consumer>]) {
    for consumer in consumers {
        consumer.sink.cancelled(consumer);
    }
}
