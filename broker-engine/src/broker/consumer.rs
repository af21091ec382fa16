//! Who takes messages from a queue, and how many it may hold unsettled.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use super::{
    client_report::{Activity, ConsumerReport, Origin},
    delivery::Handout,
    value::Table,
};

/// Where a queue puts what a consumer gets. Implemented by protocols, one per channel or session.
///
/// Called with the queue's lock held: an implementation may lock its connection, and must neither call the core nor
/// make a system call. Nobody may call the core with a connection locked (lock order: queue, then connection).
pub trait Sink: Send + Sync {
    /// Takes the messages, in order; they are gone when this returns.
    fn deliver(&self, consumer: &Arc<Consumer>, handout: Handout<'_>);
    /// The queue is gone; nothing further comes. Called without locks of the core.
    fn cancelled(&self, consumer: &Arc<Consumer>);
    /// Whether it takes more now. When that turns true again, call [`super::Queue::pump`].
    fn is_writable(&self) -> bool;
    /// The channel behind it, if there is one.
    fn channel(&self) -> Option<(&Arc<Origin>, u16)> {
        None
    }
    /// What the consumer was asked for with.
    fn arguments(&self) -> Table {
        Table::default()
    }
}

/// A bound on unsettled messages, exact also when several queues draw on it. Zero means no bound.
#[derive(Debug, Default)]
pub struct Credit {
    limit: AtomicU32,
    in_flight: AtomicU32,
}

impl Credit {
    /// A bound of `limit` messages; 0 for none.
    pub fn new(limit: u32) -> Self {
        Self {
            limit: AtomicU32::new(limit),
            in_flight: AtomicU32::new(0),
        }
    }

    /// Changes the bound. What is out already stays out. Pump the queues concerned after raising it.
    pub fn set_limit(&self, limit: u32) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// The bound; 0 for none.
    pub fn limit(&self) -> u32 {
        self.limit.load(Ordering::Relaxed)
    }

    /// How many are out.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// How many more may go out now.
    fn available(&self) -> u32 {
        match self.limit() {
            0 => u32::MAX,
            limit => limit.saturating_sub(self.in_flight()),
        }
    }

    /// Counts `wanted` messages as out, or as many as the bound allows. Returns how many.
    fn acquire(&self, wanted: u32) -> u32 {
        let limit = self.limit();
        if limit == 0 {
            self.in_flight.fetch_add(wanted, Ordering::Relaxed);
            return wanted;
        }
        let granted = |out: u32| wanted.min(limit.saturating_sub(out));
        let take = |out: u32| (granted(out) > 0).then(|| out + granted(out));
        self.in_flight
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .map_or(0, granted)
    }

    pub(crate) fn release(&self, count: u32) {
        self.in_flight.fetch_sub(count, Ordering::Relaxed);
    }
}

/// What a client asks for when it subscribes.
pub struct Subscription {
    /// Where deliveries go.
    pub sink: Arc<dyn Sink>,
    /// The consumer tag, unique in its channel.
    pub tag: Arc<str>,
    /// Handout count as acknowledged at once; prefetch does not apply.
    pub no_ack: bool,
    /// Nobody else may consume from the queue.
    pub exclusive: bool,
    /// Higher ones are served first while they can take more. The default is 0.
    pub priority: i32,
    /// The most this consumer may hold unsettled; 0 for no bound.
    pub prefetch: u32,
    /// The bound shared by the channel's consumers (`basic.qos` with `global`).
    pub channel_credit: Arc<Credit>,
}

/// A subscription that is in effect.
pub struct Consumer {
    pub(crate) sink: Arc<dyn Sink>,
    tag: Arc<str>,
    no_ack: bool,
    pub(crate) exclusive: bool,
    pub(crate) priority: i32,
    credit: Credit,
    channel_credit: Arc<Credit>,
    is_cancelled: AtomicBool,
}

impl Consumer {
    pub(crate) fn new(subscription: Subscription) -> Self {
        Self {
            sink: subscription.sink,
            tag: subscription.tag,
            no_ack: subscription.no_ack,
            exclusive: subscription.exclusive,
            priority: subscription.priority,
            credit: Credit::new(subscription.prefetch),
            channel_credit: subscription.channel_credit,
            is_cancelled: AtomicBool::new(false),
        }
    }

    /// The consumer tag.
    pub fn tag(&self) -> &Arc<str> {
        &self.tag
    }

    /// Whether deliveries need no acknowledgement.
    pub fn no_ack(&self) -> bool {
        self.no_ack
    }

    /// Whether nobody else may consume from the queue.
    pub fn exclusive(&self) -> bool {
        self.exclusive
    }

    /// Its rank among the queue's consumers.
    pub fn priority(&self) -> i32 {
        self.priority
    }

    /// Its own bound.
    pub fn credit(&self) -> &Credit {
        &self.credit
    }

    /// Whether it was unsubscribed or its queue deleted.
    pub fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Relaxed)
    }

    pub(crate) fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Relaxed);
    }

    /// What operators see of it.
    pub(crate) fn report(&self, queue: &str, activity: Activity) -> ConsumerReport {
        let channel = self.sink.channel();
        ConsumerReport {
            channel: channel.map(|(origin, number)| (Arc::clone(origin), number)),
            tag: self.tag.to_string(),
            queue: queue.to_owned(),
            no_ack: self.no_ack,
            exclusive: self.exclusive,
            prefetch: self.credit.limit(),
            priority: self.priority,
            activity,
            arguments: self.sink.arguments(),
        }
    }

    /// About how many messages it could take now, as far as bounds go.
    pub(crate) fn available(&self) -> u32 {
        if self.no_ack {
            return u32::MAX;
        }
        self.credit.available().min(self.channel_credit.available())
    }

    /// Takes credit for `wanted` messages, or for as many as it can take now. Returns how many. All of them should go
    /// out: credit that the channel shares and gets back at once may have been missing at another queue meanwhile.
    pub(crate) fn acquire(&self, wanted: u32) -> u32 {
        if self.no_ack {
            return wanted;
        }
        let own = self.credit.acquire(wanted);
        let granted = self.channel_credit.acquire(own);
        // Nobody but this queue draws on the consumer's own credit: what goes back here was missing nowhere.
        self.credit.release(own - granted);
        granted
    }

    /// Gives back the credit of settled messages.
    pub(crate) fn release(&self, count: u32) {
        self.credit.release(count);
        self.channel_credit.release(count);
    }

    /// Whether it could take a message now.
    pub(crate) fn is_ready(&self) -> bool {
        self.available() > 0 && self.sink.is_writable()
    }
}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer")
            .field("tag", &self.tag)
            .field("no_ack", &self.no_ack)
            .finish_non_exhaustive()
    }
}
