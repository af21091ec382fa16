//! A virtual host: its topology under one lock, durable where it was declared so.
//!
//! Owns the rules of declaring and deleting; `routing` owns those of binding. Does not know users; sessions ask permission first.
//! Lock order: topology, then queue, then log.

mod exchanges;
mod queues;

use std::sync::{
    Arc, Weak,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use parking_lot::{Mutex, RwLock, RwLockWriteGuard};

pub use self::{exchanges::ExchangeDeclare, queues::QueueDeclare};
use super::{
    Core,
    definitions::{document, record::Change},
    error::Error,
    exchange::{ExchangeKind, ExchangeSettings},
    queue::{Dialect, Queue},
    refusal::{Refusal, Request},
    stats::{ExchangeMeter, History, Meter, Sums, Totals},
    topology::{Kind, Topology},
};
use crate::store::{Point, Position};
pub(super) use queues::is_internal;

pub(super) const RESERVED_PREFIX: &str = "amq.";

/// LavinMQ keeps the queues and exchanges of MQTT under these names.
const RESERVED_PREFIX_MQTT: &str = "mqtt.";

/// What the names of queues for answers start with; they are not listed.
pub(super) const REPLIES_PREFIX: &str = "amq.rabbitmq.reply-to.";

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
