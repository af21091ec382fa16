//! A queue: messages in order of arrival, handed out to consumers in turn.
//!
//! Owns the order, the consumers' turns and what is unsettled. Does not know names of exchanges, permissions or frames.
//! There is no task: whoever publishes, settles or becomes writable pumps the queue, under one short lock a batch.
//!
//! Messages come as a [`Run`]: many in one piece of shared bytes. The `backlog` keeps runs, `pump` hands out from their
//! front in rounds, a `rotation` of consumers at a time, and what is out is a slice of a run with a bit for each
//! message (`held`) until it is settled. A message is an object of its own (an [`Entry`]) only where it leaves the row:
//! it came back, expired, died, has a rank, or is read back from the log.

mod arguments;
mod backlog;
mod entry;
mod framing;
mod governed;
mod held;
mod limits;
mod marks;
mod pump;
mod recovered;
mod redeliver;
mod rotation;
mod rules;
mod run;
mod settle;
mod transacted;

use std::{
    ops::{Deref, DerefMut},
    sync::{Arc, Weak, atomic::AtomicU64},
};

use arc_swap::ArcSwap;
use parking_lot::{Mutex, MutexGuard};

pub use self::rules::{Dialect, QueueKind};
pub(crate) use self::{
    arguments::{Arguments, is_compared},
    entry::Entry,
    framing::{Extent, Framing},
    limits::{Admission, Dead},
    rules::{DeadLetter, Overflow, Rules},
    run::Run,
};
use self::{
    backlog::{Backlog, Rank},
    marks::Marks,
    rotation::Rotation,
};
use super::{
    Core,
    client_report::{Activity, ConsumerReport},
    consumer::{Consumer, Subscription},
    deduplication::Deduper,
    error::Error,
    message::Delivery,
    policy::Applied,
    refusal::{Operation, Refusal, Request, What},
    stats::{History, Meter, OfNode, OfQueue, QueueMeter},
    topology::Kind,
    value::Table,
    vhost::Vhost,
};
use crate::store::{Batch, Durability, MessageId, Position, QueueId};

/// A connection, as the owner of exclusive queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionId(pub u64);

/// What a queue was declared as.
#[derive(Clone, Debug)]
pub struct QueueSettings {
    /// Whether it, and persistent messages in it, survive a restart.
    pub durable: bool,
    /// The only connection that may use it; it goes with that connection.
    pub exclusive: Option<ConnectionId>,
    /// Whether it goes with its last consumer.
    pub auto_delete: bool,
    /// The declaration's arguments.
    pub arguments: Table,
}

/// Counts of a queue, at one moment. The totals count since the node started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// Messages to hand out.
    pub ready: usize,
    /// Their size in bytes.
    pub ready_bytes: u64,
    /// Messages handed out and not settled.
    pub unacked: usize,
    /// Consumers.
    pub consumers: usize,
    /// Messages that came in.
    pub published_total: u64,
    /// Messages handed out, again or for the first time.
    pub delivered_total: u64,
    /// Messages handed out again.
    pub redelivered_total: u64,
    /// Messages that a client acknowledged.
    pub acked_total: u64,
    /// Messages that did not come in because they had come before.
    pub deduplicated_total: u64,
}

/// A queue.
pub struct Queue {
    id: QueueId,
    name: Arc<str>,
    vhost: Arc<str>,
    settings: QueueSettings,
    /// Replaced under the lock of the state, where they hold still; without it they are those of a moment.
    rules: ArcSwap<Rules>,
    applied: Mutex<Applied>,
    /// When messages count as come that do not tell, in milliseconds since 1970.
    timed_since_ms: AtomicU64,
    deduper: Option<Arc<Deduper>>,
    core: Arc<Core>,
    /// Where dead messages are routed.
    home: Weak<Vhost>,
    me: Weak<Self>,
    meter: Arc<QueueMeter>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    backlog: Backlog,
    /// Highest priority first, within one in order of arrival.
    consumers: Vec<Arc<Consumer>>,
    /// Whose turn it is.
    turn: usize,
    rotation: Rotation,
    had_consumer: bool,
    is_deleted: bool,
    marks: Marks,
    /// The only one that is served, where that is asked for.
    active: Option<Arc<Consumer>>,
    /// Messages that left and are not sent off yet.
    dead: Vec<Dead>,
    /// Whether something in here may expire.
    may_expire: bool,
    /// The time, as of the latest look at the clock.
    now_ms: u64,
    /// When the node's timers look at this queue.
    deadline_ms: Option<u64>,
    /// When it was last used, if that matters.
    used_ms: u64,
    /// Messages on their way that the queue agreed to take, and their bytes.
    reserved: (usize, u64),
    /// Whether the lengths of bodies that came back with a start are estimates.
    is_estimated: bool,
}

/// The state under its lock. When it is let go, the lengths are measured.
struct Locked<'a> {
    meter: &'a QueueMeter,
    state: MutexGuard<'a, State>,
}

impl Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let backlog = &self.state.backlog;
        self.meter.set(OfQueue::Ready, backlog.ready_len() as u64);
        self.meter.set(OfQueue::Unacked, backlog.held.len() as u64);
    }
}

impl Queue {
    pub(super) fn new(
        id: QueueId,
        (vhost, name): (Arc<str>, Arc<str>),
        (settings, (rules, applied)): (QueueSettings, (Rules, Applied)),
        core: Arc<Core>,
        home: Weak<Vhost>,
    ) -> Arc<Self> {
        let deduper = rules.deduplication.clone().map(Deduper::new);
        let vhost_queues = home.upgrade().map(|home| Arc::clone(&home.stats().queues));
        let meter = Meter::new(&core.stats.sampler, vhost_queues.as_ref());
        let queue = Arc::new_cyclic(|me| Self {
            id,
            name,
            vhost,
            settings,
            rules: ArcSwap::from_pointee(rules),
            applied: Mutex::new(applied),
            timed_since_ms: AtomicU64::new(0),
            deduper,
            core,
            home,
            me: me.clone(),
            meter,
            state: Mutex::default(),
        });
        queue.time_from_now();
        queue.note_consumer_timeout();
        queue.note_durability();
        queue.touch();
        queue
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Its virtual host's name.
    pub fn vhost(&self) -> &Arc<str> {
        &self.vhost
    }

    /// What it was declared as.
    pub fn settings(&self) -> &QueueSettings {
        &self.settings
    }

    /// How it is kept.
    pub fn kind(&self) -> QueueKind {
        self.rules().kind
    }

    pub(super) fn id(&self) -> QueueId {
        self.id
    }

    pub(super) fn core(&self) -> &Core {
        &self.core
    }

    pub(super) fn home(&self) -> Option<Arc<Vhost>> {
        self.home.upgrade()
    }

    /// Whether a message goes to the log for this queue. LavinMQ does not ask messages what they want.
    pub(super) fn is_logging(&self, persistent: bool) -> bool {
        let takes_all =
            || self.rules().kind == QueueKind::Quorum || self.core.dialect == Dialect::LavinMq;
        self.is_logged() && (persistent || takes_all())
    }

    /// Whether persistent messages in it go to the log.
    pub fn is_logged(&self) -> bool {
        self.settings.durable && self.settings.exclusive.is_none()
    }

    /// What makes messages in it durable, where they go to the log.
    pub fn durability(&self) -> Durability {
        let level = self.rules().durability;
        level.unwrap_or_else(|| self.core.store.durability())
    }

    /// Has the log sync what nobody waits for, such as acknowledgements, if this queue is worth it.
    fn note_durability(&self) {
        if self.is_logged() && self.durability() == Durability::Sync {
            self.core.store.sync_soon();
        }
    }

    fn lock(&self) -> Locked<'_> {
        Locked {
            meter: &self.meter,
            state: self.state.lock(),
        }
    }

    /// What it counted, by [`OfQueue`], now and at the end of each of the last `periods`.
    pub fn history(&self, periods: u32) -> History {
        self.meter.history(periods)
    }

    /// Its counts now.
    pub fn stats(&self) -> QueueStats {
        let state = self.state.lock();
        let sum = |counters: &[OfQueue]| {
            let counts = counters.iter().map(|counter| self.meter.get(*counter));
            counts.sum()
        };
        QueueStats {
            ready: state.backlog.ready_len(),
            ready_bytes: state.backlog.ready_bytes(),
            unacked: state.backlog.held.len(),
            consumers: state.consumers.len(),
            published_total: sum(&[OfQueue::Publish]),
            delivered_total: sum(&[
                OfQueue::Deliver,
                OfQueue::DeliverNoAck,
                OfQueue::Get,
                OfQueue::GetNoAck,
            ]),
            redelivered_total: sum(&[OfQueue::Redeliver]),
            acked_total: sum(&[OfQueue::Ack]),
            deduplicated_total: self.deduper.as_ref().map_or(0, |deduper| deduper.dropped()),
        }
    }

    /// Its consumers, in the order in which they are served.
    pub fn consumers(&self) -> Vec<Arc<Consumer>> {
        self.state.lock().consumers.clone()
    }

    /// How many consumers it has.
    pub fn consumer_count(&self) -> usize {
        self.state.lock().consumers.len()
    }

    /// Its consumers as operators see them.
    pub fn consumer_reports(&self) -> Vec<ConsumerReport> {
        let (consumers, active) = {
            let state = self.state.lock();
            (state.consumers.clone(), state.active.clone())
        };
        let report = |consumer: &Arc<Consumer>| {
            consumer.report(&self.name, Activity::of(consumer, active.as_ref()))
        };
        consumers.iter().map(report).collect()
    }

    /// Whether it is gone, and takes nothing any more.
    pub(super) fn is_deleted(&self) -> bool {
        self.state.lock().is_deleted
    }

    /// Appends messages and hands out what it can. `now_ms` is given when one of them may expire. Returns what had to
    /// go for it; send it off with [`Queue::bury`].
    pub(super) fn push(&self, run: Run, now_ms: Option<u64>) -> Vec<Dead> {
        let mut state = self.lock();
        if state.is_deleted {
            return Vec::new();
        }
        if let Some(now_ms) = now_ms {
            (state.may_expire, state.now_ms) = (true, now_ms);
        } else {
            self.note_time(&mut state);
        }
        let extent = run.extent();
        self.meter.add(OfQueue::Publish, u64::from(extent.messages));
        if self.rules().rejects() {
            Self::use_reserved(&mut state, extent);
        }
        let cached_bytes_max = self.core.cached_bytes_max;
        if self.rules().ranks() {
            // Whoever is ready gets each as it comes, not the best of those that happen to come together.
            for entry in run.into_entries() {
                // The one before may have expired and left an empty queue.
                state.may_expire |= now_ms.is_some();
                let rank = entry.message.as_ref().map(|message| self.rank(message));
                let rank = rank.unwrap_or(Rank::Priority(0));
                state.backlog.push_ranked(entry, rank, cached_bytes_max);
                self.pump_locked(&mut state);
            }
        } else {
            state.backlog.push(run, cached_bytes_max);
            self.pump_locked(&mut state);
        }
        std::mem::take(&mut state.dead)
    }

    /// Takes the oldest ready message, and tells how many remain. Without `no_ack` it must be settled.
    pub fn get(&self, no_ack: bool) -> Result<Option<(Delivery, usize)>, Error> {
        let mut state = self.lock();
        self.note_time(&mut state);
        self.touch_locked(&mut state);
        let taken = self.take_one(&mut state, None, no_ack);
        if state.may_expire {
            self.enforce(&mut state);
        }
        let remaining = state.backlog.ready_len();
        self.unlock(state);
        let Some((delivery, settled)) = taken? else {
            self.meter.add_shared(OfQueue::GetEmpty, 1);
            return Ok(None);
        };
        self.log_settled(settled.as_slice());
        Ok(Some((delivery, remaining)))
    }

    /// Removes what is ready, not what is handed out. Returns how many went, and what must be durable for them not to
    /// come back.
    pub fn purge(&self) -> (usize, Option<Position>) {
        let mut state = self.lock();
        let purged = state.backlog.ready_len();
        let logged = state.backlog.clear_ready();
        drop(state);
        (purged, self.log(&logged, Batch::drop_messages))
    }

    /// Adds a consumer. It gets nothing before [`Queue::pump`] is called, so that the client can be told first.
    pub(super) fn subscribe(&self, subscription: Subscription) -> Result<Arc<Consumer>, Error> {
        let mut state = self.lock();
        if state.is_deleted {
            let request = Request::queue(Operation::Consume, &self.name);
            let what = self.what();
            return Err(self.refuse(&Refusal::NoSuch { request, what }));
        }
        let is_taken = state.consumers.iter().any(|consumer| consumer.exclusive());
        let is_shared = !state.consumers.is_empty() || self.rules().is_single_active;
        let is_refused = is_taken || (subscription.exclusive && is_shared);
        // Quorum queues know single active consumers instead, and share whatever is asked for.
        if is_refused && self.kind() != QueueKind::Quorum {
            let (queue, vhost) = (&*self.name, &*self.vhost);
            return Err(self.refuse(&Refusal::ConsumedExclusively { queue, vhost }));
        }
        let consumer = Arc::new(Consumer::new(subscription));
        let at = state
            .consumers
            .partition_point(|other| other.priority() >= consumer.priority());
        state.consumers.insert(at, Arc::clone(&consumer));
        state.turn = 0;
        state.had_consumer = true;
        self.choose_active(&mut state);
        self.foresee_deliveries(&mut state);
        Ok(consumer)
    }

    /// Whether a consumer of this queue is given messages.
    pub fn activity(&self, consumer: &Arc<Consumer>) -> Activity {
        Activity::of(consumer, self.state.lock().active.as_ref())
    }

    /// Removes a consumer. What it holds stays out until it is settled. True when the queue must go with it.
    pub(super) fn unsubscribe(&self, consumer: &Arc<Consumer>) -> bool {
        let mut state = self.lock();
        let before = state.consumers.len();
        state
            .consumers
            .retain(|other| !Arc::ptr_eq(other, consumer));
        consumer.cancel();
        state.turn = 0;
        self.choose_active(&mut state);
        if state.consumers.is_empty() {
            self.touch_locked(&mut state);
        }
        let is_last = state.consumers.is_empty() && before > 0;
        self.settings.auto_delete && is_last && !state.is_deleted
    }

    /// Ends the queue if the conditions hold. Returns how many messages were ready, and the consumers to tell.
    pub(super) fn delete(
        &self,
        if_unused: bool,
        if_empty: bool,
    ) -> Result<(usize, Vec<Arc<Consumer>>), Error> {
        if self.kind() == QueueKind::Quorum {
            self.refuse_conditions([("if-unused", if_unused), ("if-empty", if_empty)])?;
        }
        let mut state = self.lock();
        if if_unused && !state.consumers.is_empty() {
            return Err(self.refuse(&Refusal::InUse(self.what())));
        }
        if if_empty && state.backlog.ready_len() > 0 {
            let (queue, vhost) = (&*self.name, &*self.vhost);
            return Err(self.refuse(&Refusal::NotEmpty { queue, vhost }));
        }
        state.is_deleted = true;
        self.core.stats.churn.add_shared(OfNode::QueueDeleted, 1);
        let ready = state.backlog.ready_len();
        state.backlog.clear_ready();
        Self::settle_all(&mut state);
        let consumers = std::mem::take(&mut state.consumers);
        for consumer in &consumers {
            consumer.cancel();
        }
        Ok((ready, consumers))
    }

    fn refuse_conditions(&self, conditions: [(&str, bool); 2]) -> Result<(), Error> {
        match conditions.iter().find(|(_, is_set)| *is_set) {
            None => Ok(()),
            Some((condition, _)) => {
                let (queue, vhost) = (&*self.name, &*self.vhost);
                Err(self.refuse(&Refusal::Condition {
                    queue,
                    vhost,
                    condition,
                }))
            }
        }
    }

    fn what(&self) -> What<'_> {
        (Kind::Queue, &self.name, &self.vhost)
    }

    fn refuse(&self, refusal: &Refusal<'_>) -> Error {
        self.core.dialect.refuse(refusal)
    }

    /// Whether it lost its last consumer although it goes with that one; a get does not count as a consumer.
    pub(super) fn has_consumers(&self) -> bool {
        !self.state.lock().consumers.is_empty()
    }

    /// Tells the log exactly what was handed out, so that the next start flags only that as redelivered.
    pub(super) fn settle_marks(&self) {
        let mut state = self.lock();
        if self.is_logged() && state.marks.logged != state.marks.actual {
            let mut batch = Batch::new();
            batch.handed_out(self.id, state.marks.actual);
            self.append(batch);
            let actual = state.marks.actual;
            state.marks.settle(actual);
        }
    }

    fn log_settled(&self, logged: &[MessageId]) {
        self.log(logged, Batch::ack);
    }

    fn log(
        &self,
        logged: &[MessageId],
        add: fn(&mut Batch, QueueId, &[MessageId]),
    ) -> Option<Position> {
        if logged.is_empty() {
            return None;
        }
        let mut batch = Batch::new();
        if logged.is_sorted() {
            add(&mut batch, self.id, logged);
        } else {
            let mut sorted = logged.to_vec();
            sorted.sort_unstable();
            add(&mut batch, self.id, &sorted);
        }
        self.append(batch)
    }

    /// Appends what the queue has decided. Returns what makes it durable, for whoever waits for that. A failure is not lost: the log stays failed and the node exits, or the volume is
    /// full and the messages come back after a restart, flagged as redelivered.
    pub(in crate::broker) fn append(&self, batch: Batch) -> Option<Position> {
        match self.core.store.append(batch) {
            Ok(appended) => Some(appended.position.at(self.durability())),
            Err(error) => {
                tracing::warn!(queue = %self.name, vhost = %self.vhost, %error, "the log did not take a settlement");
                None
            }
        }
    }

    /// Log ids and returns of all logged messages, in order.
    #[cfg(test)]
    pub(super) fn logged(&self) -> Vec<(MessageId, u8)> {
        self.state.lock().backlog.logged()
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue")
            .field("vhost", &self.vhost)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
