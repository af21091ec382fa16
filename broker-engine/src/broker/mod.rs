//! The protocol-neutral core: virtual hosts, exchanges, queues, consumers, users.
//!
//! Owns what a message broker means; never sees a frame, a socket or a runtime. Every call is synchronous, short and
//! runs to completion; whoever must wait for the volume gets a [`Position`] and a [`Waiter`].
//!
//! Lock order: virtual hosts, access, topology, queue, log; a [`Sink`] may lock its connection below the queue, and
//! nobody calls the core with a connection locked.

mod access;
mod alarm;
mod bindings;
mod client_report;
mod clock;
mod commit;
mod consumer;
mod consumer_timeout;
mod dead_letter;
mod deadlines;
mod deduplication;
pub mod definitions;
mod delay;
mod delivery;
mod envelope;
mod equivalence;
mod erlang;
mod error;
mod exchange;
pub mod json;
mod limits;
mod message;
mod parameter;
mod password;
mod pattern;
mod policy;
mod publisher;
mod queue;
mod refusal;
mod restore;
mod route;
mod route_cache;
mod routing;
mod session;
mod settlement;
mod staged;
mod stats;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_access;
#[cfg(test)]
mod tests_deduplication;
#[cfg(test)]
mod tests_delivery;
#[cfg(test)]
mod tests_durability;
#[cfg(test)]
mod tests_governance;
#[cfg(test)]
mod tests_recovery;
#[cfg(test)]
mod tests_rules;
#[cfg(test)]
mod tests_spread;
#[cfg(test)]
mod tests_transactions;
mod topic_access;
mod topology;
mod value;
mod vhost;
mod vhosts;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use parking_lot::{Mutex, RwLock};

use self::{
    access::Access,
    consumer_timeout::ConsumerTimeouts,
    deadlines::Deadlines,
    deduplication::Bringer,
    definitions::{document, record::Record},
    limits::Counts,
    refusal::Refusal,
    stats::Stats,
};
pub use self::{
    access::Identity,
    alarm::{Alarm, AlarmListener, Alarms},
    bindings::Binding,
    client_report::{Activity, ChannelReport, Clients, ConnectionReport, ConsumerReport, Origin},
    clock::{Clock, SystemClock},
    consumer::{Consumer, Credit, Sink, Subscription},
    deadlines::DeadlineListener,
    definitions::Document,
    delivery::{Handed, Handout},
    envelope::{Envelope, NoProperties},
    error::Error,
    exchange::{ExchangeKind, ExchangeSettings},
    limits::NodeLimits,
    message::{Delivery, DeliveryId, DeliveryRun, Message, MessageRef, Publish},
    parameter::{LIMITS, OPERATOR_POLICY, POLICY, VHOST_LIMITS},
    policy::AppliedPolicies,
    publisher::{PublishOutcome, Publisher, ReadHeaders, Way},
    queue::{ConnectionId, Dialect, Queue, QueueKind, QueueSettings, QueueStats},
    session::{Declared, Deleted, Purged, Session},
    settlement::{Settlement, Settlements, Verdict},
    stats::{
        History, OfChannel, OfConnection, OfExchange, OfNode, OfQueue, PERIODS, Series, Totals,
    },
    value::{Table, Value},
    vhost::{ExchangeDeclare, QueueDeclare, Vhost},
    vhosts::Bystander,
};
pub(crate) use self::{
    password::PasswordHash,
    stats::{ChannelMeter, ConnectionMeter},
};
use crate::store::{self, QueueId, Store, disk::Disk};
pub use crate::store::{
    Damage, Durability, Error as StoreError, Point, Position, Progress, Waiter,
};

/// The virtual host that every broker starts with.
pub const DEFAULT_VHOST: &str = "/";

/// How a broker is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// How its log is opened.
    pub store: store::Options,
    /// How many bytes of persistent messages each queue keeps in memory; the rest is read back from the log.
    pub cached_bytes_max: u64,
    /// Makes up queue names.
    pub random: fastrand::Rng,
    /// Tells the time, for what expires.
    pub clock: Arc<dyn Clock>,
    /// Reads the properties of messages.
    pub envelope: Arc<dyn Envelope>,
    /// Whose rules about arguments hold.
    pub dialect: Dialect,
    /// How many connections and channels there may be.
    pub limits: NodeLimits,
    /// How long a consumer may keep a message before it must answer, where the queue does not say; `None` for ever.
    pub consumer_timeout_ms: Option<u64>,
    /// Whether a quorum queue may be declared again as another type.
    pub relaxed_redeclaration: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            store: store::Options::default(),
            cached_bytes_max: 4 << 20,
            random: fastrand::Rng::new(),
            clock: Arc::new(SystemClock),
            envelope: Arc::new(NoProperties),
            dialect: Dialect::default(),
            limits: NodeLimits::default(),
            consumer_timeout_ms: None,
            relaxed_redeclaration: false,
        }
    }
}

/// What opening a broker found.
#[derive(Clone, Debug, Default)]
pub struct Opened {
    /// Whether there was no broker before: definitions may be imported.
    pub is_new: bool,
    /// What could not be read and was set aside.
    pub damage: Vec<Damage>,
}

/// What the parts of a broker share.
pub(crate) struct Core {
    store: Arc<Store>,
    access: Access,
    cached_bytes_max: u64,
    queue_next: AtomicU32,
    random: Mutex<fastrand::Rng>,
    clock: Arc<dyn Clock>,
    envelope: Arc<dyn Envelope>,
    dialect: Dialect,
    deadlines: Deadlines,
    relaxed_redeclaration: bool,
    limits: NodeLimits,
    /// Queues of all virtual hosts that clients know of.
    queue_count: Arc<AtomicU64>,
    counts: Arc<Counts>,
    consumer_timeouts: ConsumerTimeouts,
    bringer_next: AtomicU64,
    stats: Stats,
}

impl Core {
    fn next_queue(&self) -> QueueId {
        QueueId(self.queue_next.fetch_add(1, Ordering::Relaxed))
    }

    fn queue_next(&self) -> u32 {
        self.queue_next.load(Ordering::Relaxed)
    }

    /// One who brings messages, as nobody did before.
    fn next_bringer(&self) -> Bringer {
        Bringer(self.bringer_next.fetch_add(1, Ordering::Relaxed))
    }

    /// A name for a queue that is declared without one.
    fn server_name(&self, declare: &QueueDeclare) -> Result<String, Error> {
        let kind = declare
            .arguments
            .get("x-queue-type")
            .and_then(Value::as_str);
        if kind == Some(QueueKind::Quorum.name()) && self.dialect != Dialect::LavinMq {
            let refusal = Refusal::ServerNamed(QueueKind::Quorum);
            return Err(self.dialect.refuse(&refusal));
        }
        Ok(format!("amq.gen-{}", self.random_name()))
    }

    fn random_name(&self) -> String {
        let bytes = self.random.lock().u128(..).to_be_bytes();
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

/// A message broker.
pub struct Broker {
    core: Arc<Core>,
    vhosts: RwLock<BTreeMap<String, Arc<Vhost>>>,
    /// Runtime parameters of the node.
    globals: RwLock<BTreeMap<String, serde_json::Value>>,
    bystanders: Mutex<Vec<Weak<dyn Bystander>>>,
    alarms: Alarms,
    connection_next: AtomicU64,
}

impl Broker {
    /// Opens the broker that a disk holds, or a new one on an empty disk.
    pub fn open(disk: Arc<dyn Disk>, options: Options) -> Result<(Arc<Self>, Opened), Error> {
        let (store, recovery) = Store::open(disk, options.store)?;
        let store = Arc::new(store);
        let core = Core {
            access: Access::new(Arc::clone(&store)),
            store,
            cached_bytes_max: options.cached_bytes_max,
            queue_next: AtomicU32::new(1),
            random: Mutex::new(options.random),
            clock: options.clock,
            envelope: options.envelope,
            dialect: options.dialect,
            deadlines: Deadlines::default(),
            relaxed_redeclaration: options.relaxed_redeclaration,
            limits: options.limits,
            queue_count: Arc::default(),
            counts: Arc::default(),
            consumer_timeouts: ConsumerTimeouts::new(options.consumer_timeout_ms),
            bringer_next: AtomicU64::new(0),
            stats: Stats::default(),
        };
        let broker = Self {
            core: Arc::new(core),
            vhosts: RwLock::default(),
            globals: RwLock::default(),
            bystanders: Mutex::default(),
            alarms: Alarms::default(),
            connection_next: AtomicU64::new(1),
        };
        let is_new = recovery.definitions.is_empty();
        if is_new {
            let (_, position) = broker.put_vhost(&document::Vhost {
                name: DEFAULT_VHOST.to_owned(),
                description: "Default virtual host".to_owned(),
                ..document::Vhost::default()
            })?;
            broker.core.store.wait(position)?;
        } else {
            broker.restore(
                &recovery.definitions,
                recovery.queues,
                recovery.damage.is_empty(),
            )?;
        }
        Ok((
            Arc::new(broker),
            Opened {
                is_new,
                damage: recovery.damage,
            },
        ))
    }

    /// The identity of a name and password, if they fit. `is_loopback` tells whether the peer is on this machine: only
    /// such a peer may be the monitoring user.
    pub fn authenticate(&self, name: &str, password: &[u8], is_loopback: bool) -> Option<Identity> {
        self.core.access.authenticate(name, password, is_loopback)
    }

    /// The identity of a user who proved it elsewhere, as by a certificate.
    pub fn identify(&self, name: &str) -> Option<Identity> {
        self.core.access.identify(name)
    }

    /// Sets or removes the user by which the node is watched. It is in memory only, may enter every virtual host, and
    /// is not listed.
    pub fn set_monitoring_user(&self, user: Option<(&str, &str)>) {
        self.core.access.set_monitoring(user);
    }

    /// Whether nobody but the monitoring user may log in from now on. Who is in stays in.
    pub fn set_closed(&self, is_closed: bool) {
        self.core.access.set_closed(is_closed);
    }

    /// All users, by name.
    pub fn users(&self) -> Vec<document::User> {
        self.core.access.users()
    }

    /// Creates or updates a user.
    pub fn put_user(&self, user: &document::User) -> Result<Position, Error> {
        self.core.access.put_user(user)
    }

    /// Creates or updates a user by password, with tags and every permission in the default virtual host. Does nothing
    /// when it is so already. Waits for the log.
    pub fn put_user_with_password(
        &self,
        name: &str,
        password: &str,
        tags: &[&str],
    ) -> Result<(), Error> {
        let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
        let is_current = self
            .authenticate(name, password.as_bytes(), false)
            .is_some_and(|user| *user.tags == tags);
        if !is_current {
            self.put_user(&document::User {
                name: name.to_owned(),
                password_hash: PasswordHash::new(password.as_bytes()).to_string(),
                hashing_algorithm: password::SHA256.to_owned(),
                tags: document::Tags(tags),
                limits: serde_json::Map::new(),
            })?;
        }
        let all = || ".*".to_owned();
        let permission = document::Permission {
            user: name.to_owned(),
            vhost: DEFAULT_VHOST.to_owned(),
            configure: all(),
            write: all(),
            read: all(),
        };
        if !self.permissions().contains(&permission) {
            let position = self.put_permission(&permission)?;
            self.core.store.wait(position)?;
        }
        Ok(())
    }

    /// Removes a user with all its permissions, and tells whose connections must go. None when there is no such user.
    pub fn delete_user(&self, name: &str) -> Result<Option<Position>, Error> {
        let position = self.core.access.delete_user(name)?;
        if position.is_some() {
            self.tell(|bystander| bystander.user_deleted(name));
        }
        Ok(position)
    }

    /// Sets a limit of a user (`max-connections`, `max-channels`), or clears it. None when there is no such user.
    pub fn limit_user(
        &self,
        user: &str,
        limit: &str,
        value: Option<&serde_json::Value>,
    ) -> Result<Option<Position>, Error> {
        self.core.access.limit_user(user, limit, value)
    }

    /// All permissions, by user and virtual host.
    pub fn permissions(&self) -> Vec<document::Permission> {
        self.core.access.permissions()
    }

    /// Creates or updates what a user may do in a virtual host.
    pub fn put_permission(&self, permission: &document::Permission) -> Result<Position, Error> {
        let vhosts = self.vhosts.read();
        check_vhost(&vhosts, &permission.vhost)?;
        self.core.access.put_permission(permission)
    }

    /// Takes away what a user may do in a virtual host. None when that is nothing.
    pub fn delete_permission(&self, user: &str, vhost: &str) -> Result<Option<Position>, Error> {
        self.core.access.delete_permission(user, vhost)
    }

    /// The runtime parameters of the node, by name.
    pub fn global_parameters(&self) -> BTreeMap<String, serde_json::Value> {
        self.globals.read().clone()
    }

    /// Sets a runtime parameter of the node; any value will do. True when it is new.
    pub fn put_global_parameter(
        &self,
        name: &str,
        value: &serde_json::Value,
    ) -> Result<(bool, Position), Error> {
        let mut globals = self.globals.write();
        let record = Record::GlobalParameter {
            name: name.to_owned(),
            value: value.clone(),
        };
        let position = self.core.store.define(&[record.set()])?;
        let old = globals.insert(name.to_owned(), value.clone());
        Ok((old.is_none(), position))
    }

    /// Clears a runtime parameter of the node. None when there is none.
    pub fn delete_global_parameter(&self, name: &str) -> Result<Option<Position>, Error> {
        let mut globals = self.globals.write();
        if !globals.contains_key(name) {
            return Ok(None);
        }
        let record = Record::GlobalParameter {
            name: name.to_owned(),
            value: serde_json::Value::Null,
        };
        let position = self.core.store.define(&[record.unset()])?;
        globals.remove(name);
        Ok(Some(position))
    }

    /// All topic permissions, by user, virtual host and exchange.
    pub fn topic_permissions(&self) -> Vec<document::TopicPermission> {
        self.core.access.topic_permissions()
    }

    /// Creates or updates which keys of a topic exchange a user may use.
    pub fn put_topic_permission(
        &self,
        permission: &document::TopicPermission,
    ) -> Result<Position, Error> {
        let vhosts = self.vhosts.read();
        check_vhost(&vhosts, &permission.vhost)?;
        self.core.access.put_topic_permission(permission)
    }

    /// Removes a user's topic permissions in a virtual host, of one exchange or of all. None when there are none.
    pub fn delete_topic_permissions(
        &self,
        user: &str,
        vhost: &str,
        exchange: Option<&str>,
    ) -> Result<Option<Position>, Error> {
        let access = &self.core.access;
        access.delete_topic_permissions(|permission| {
            permission.user == user
                && permission.vhost == vhost
                && exchange.is_none_or(|exchange| permission.exchange == exchange)
        })
    }

    /// Whose ways hold where the peers differ.
    pub fn dialect(&self) -> Dialect {
        self.core.dialect
    }

    /// Starts a connection's session in a virtual host.
    pub fn session(&self, identity: &Identity, vhost: &str) -> Result<Session, Error> {
        let core = &self.core;
        let refuse = |refusal: Refusal<'_>| core.dialect.refuse(&refusal);
        let found = self
            .vhost(vhost)
            .ok_or_else(|| refuse(Refusal::NoVhost(vhost)))?;
        // Whoever watches the node must see it when it is full.
        let (node, of_vhost) = if identity.is_monitoring {
            Default::default()
        } else {
            (core.limits.clone(), found.limits())
        };
        let of_user = core.access.limits(identity);
        let place = core
            .counts
            .connect((found.name(), &identity.name), &node, of_vhost, of_user)
            .map_err(refuse)?;
        if core.access.permission(identity, vhost).is_none() {
            let user = &*identity.name;
            return Err(refuse(Refusal::ForbiddenVhost { vhost, user }));
        }
        let connection = ConnectionId(self.connection_next.fetch_add(1, Ordering::Relaxed));
        Ok(Session::new(
            Arc::clone(&self.core),
            found,
            identity.clone(),
            (connection, place),
        ))
    }

    /// Lets expire what is due, and tells when the next is, in milliseconds since 1970. Call it then, and when
    /// [`DeadlineListener::nearer`] is called.
    pub fn tick(&self, now_ms: u64) -> Option<u64> {
        while let Some(queue) = self.core.deadlines.take_due(now_ms) {
            if queue.due(now_ms)
                && let Some(vhost) = queue.home()
                && let Err(error) = vhost.delete_expired(&queue, now_ms)
            {
                tracing::warn!(queue = %queue.name(), %error, "cannot delete an expired queue");
            }
        }
        self.core.deadlines.next()
    }

    /// Has `listener` told when something is due earlier than [`Broker::tick`] said.
    pub fn on_nearer_deadline(&self, listener: Weak<dyn DeadlineListener>) {
        self.core.deadlines.listen(listener);
    }

    /// The time, by the broker's clock.
    pub fn now_ms(&self) -> u64 {
        self.core.clock.now_ms()
    }

    /// Ends the period in which counters are sampled, if it is over. To be called once a second.
    pub fn sample(&self, now_ms: u64) {
        self.core.stats.sampler.advance(now_ms);
    }

    /// What was counted of everything on the node until now, and in the last `periods`.
    pub fn totals(&self, periods: u32) -> Totals {
        self.core.stats.sampler.collect();
        self.core.stats.sums.totals(periods)
    }

    /// What came and went, by [`OfNode`].
    pub fn churn(&self, periods: u32) -> History {
        self.core.stats.churn.history(periods)
    }

    /// Something came or went.
    pub(crate) fn count_churn(&self, what: OfNode) {
        self.core.stats.churn.add_shared(what, 1);
    }

    /// How many channels are open.
    pub fn channel_count(&self) -> u64 {
        self.core.counts.channels()
    }

    /// The shortest time that any queue lets consumers keep its messages, or once did; `None` while all wait for ever.
    pub fn consumer_timeout_min_ms(&self) -> Option<u64> {
        self.core.consumer_timeouts.min_ms()
    }

    /// Reads and writes the properties of messages.
    pub fn envelope(&self) -> &dyn Envelope {
        &*self.core.envelope
    }

    /// The node's alarms.
    pub fn alarms(&self) -> &Alarms {
        &self.alarms
    }

    /// Tells `waiter` when a position is durable (at once if it is), or that it never will be.
    pub fn when_durable(&self, position: Position, waiter: Arc<dyn Waiter>) {
        self.core.store.when_durable(position, waiter);
    }

    /// How far the log got.
    pub fn progress(&self) -> Progress {
        self.core.store.progress()
    }

    /// Blocks until a position is durable.
    pub fn wait(&self, position: Position) -> Result<(), Error> {
        Ok(self.core.store.wait(position)?)
    }

    /// Says that the volume is short of room: soon, the log gives back what it can.
    pub fn make_room(&self) {
        self.core.store.make_room();
    }

    /// Why the log failed, if it did. The node must exit then: nothing is durable any more.
    pub fn failed(&self) -> Option<Error> {
        self.core.store.failed().map(Error::from)
    }

    /// A broker that keeps nothing beyond the process.
    #[cfg(test)]
    pub(crate) fn in_memory() -> Arc<Self> {
        let disk = Arc::new(store::disk::FaultyDisk::new());
        let (broker, _) = Self::open(disk, Options::default()).expect("an empty disk opens");
        broker
    }

    /// The log below, for tests that drive or break it.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn store(&self) -> &Store {
        &self.core.store
    }

    /// Writes everything out. Call it when the connections are gone, so that what they held is counted as returned and
    /// redelivered flags are right after the next start.
    pub fn close(&self) -> Result<(), Error> {
        for vhost in self.vhosts() {
            for queue in vhost.queues() {
                queue.settle_marks();
            }
        }
        Ok(self.core.store.close()?)
    }
}

fn check_vhost(vhosts: &BTreeMap<String, Arc<Vhost>>, name: &str) -> Result<(), Error> {
    if vhosts.contains_key(name) {
        return Ok(());
    }
    Err(Error::NotFound(format!("no vhost '{name}'")))
}
