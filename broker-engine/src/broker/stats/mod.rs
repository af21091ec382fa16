//! What is counted, of each object and of all together, and what the counts were lately.
//!
//! Owns the meters, their sums over a virtual host and over the node, and the periods in which they are sampled. Does
//! not know who shows them. Meters are added to once a batch; sums are added to when a period ends or somebody asks,
//! by those objects alone that counted something.

mod history;
mod meter;
mod past;
mod sampler;

use std::sync::Arc;

pub use self::history::{History, Series};
use self::past::PERIODS_MAX;
pub(crate) use self::{
    meter::Meter,
    sampler::{PERIOD_MS, Sampler},
};

/// How long one period is, in milliseconds, and how many can be asked for.
pub const PERIODS: (u64, u32) = (PERIOD_MS, PERIODS_MAX);

macro_rules! counters {
    ($(#[$about:meta])* $name:ident, $meter:ident { $($counter:ident = $text:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($counter,)* }

        impl $name {
            /// Their names, in the order of a history.
            pub const NAMES: &'static [&'static str] = &[$($text,)*];
        }

        impl From<$name> for usize {
            fn from(counter: $name) -> Self {
                counter as Self
            }
        }

        /// A meter of these.
        pub(crate) type $meter = Meter<{ $name::NAMES.len() }>;
    };
}

counters! {
    /// What a channel counts of messages.
    OfChannel, ChannelMeter {
        Publish = "publish",
        Confirm = "confirm",
        ReturnUnroutable = "return_unroutable",
        DropUnroutable = "drop_unroutable",
        Get = "get",
        GetNoAck = "get_no_ack",
        Deliver = "deliver",
        DeliverNoAck = "deliver_no_ack",
        Redeliver = "redeliver",
        Ack = "ack",
        GetEmpty = "get_empty",
    }
}

counters! {
    /// What a queue counts; the last two are lengths.
    OfQueue, QueueMeter {
        Publish = "publish",
        Get = "get",
        GetNoAck = "get_no_ack",
        Deliver = "deliver",
        DeliverNoAck = "deliver_no_ack",
        Redeliver = "redeliver",
        Ack = "ack",
        GetEmpty = "get_empty",
        Ready = "messages_ready",
        Unacked = "messages_unacknowledged",
    }
}

counters! {
    /// What an exchange counts: messages that were published to it, and how often they went to a queue.
    OfExchange, ExchangeMeter {
        In = "publish_in",
        Out = "publish_out",
    }
}

counters! {
    /// Bytes of a connection.
    OfConnection, ConnectionMeter {
        Received = "recv_oct",
        Sent = "send_oct",
    }
}

counters! {
    /// What comes and goes on a node.
    OfNode, ChurnMeter {
        ConnectionCreated = "connection_created",
        ConnectionClosed = "connection_closed",
        ChannelCreated = "channel_created",
        ChannelClosed = "channel_closed",
        QueueDeclared = "queue_declared",
        QueueCreated = "queue_created",
        QueueDeleted = "queue_deleted",
    }
}

/// What is counted of all objects of a virtual host, or of the node.
#[derive(Debug)]
pub(crate) struct Sums {
    pub(crate) channels: Arc<ChannelMeter>,
    pub(crate) queues: Arc<QueueMeter>,
    pub(crate) connections: Arc<ConnectionMeter>,
}

impl Sums {
    /// Sums that are part of others.
    pub(crate) fn new(sampler: &Arc<Sampler>, of: Option<&Self>) -> Self {
        Self {
            channels: Meter::of_sum(sampler, of.map(|of| &of.channels)),
            queues: Meter::of_sum(sampler, of.map(|of| &of.queues)),
            connections: Meter::of_sum(sampler, of.map(|of| &of.connections)),
        }
    }

    /// How they were in the last `periods`.
    pub(crate) fn totals(&self, periods: u32) -> Totals {
        Totals {
            channels: self.channels.history(periods),
            queues: self.queues.history(periods),
            connections: self.connections.history(periods),
        }
    }
}

/// What was counted of all objects of a virtual host, or of the node.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// By [`OfChannel`].
    pub channels: History,
    /// By [`OfQueue`].
    pub queues: History,
    /// By [`OfConnection`].
    pub connections: History,
}

impl Totals {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            channels: self.channels.plus(&other.channels),
            queues: self.queues.plus(&other.queues),
            connections: self.connections.plus(&other.connections),
        }
    }
}

/// The counters of a node.
#[derive(Debug)]
pub(crate) struct Stats {
    pub(crate) sampler: Arc<Sampler>,
    pub(crate) sums: Sums,
    pub(crate) churn: Arc<ChurnMeter>,
}

impl Default for Stats {
    fn default() -> Self {
        let sampler = Arc::default();
        Self {
            sums: Sums::new(&sampler, None),
            churn: Meter::new(&sampler, None),
            sampler,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;

    #[test]
    fn only_who_counted_is_looked_at_and_all_of_it_is_summed() {
        let stats = Stats::default();
        let vhost = Sums::new(&stats.sampler, Some(&stats.sums));
        stats.sampler.advance(MINUTE);
        let [busy, idle] = [(); 2].map(|()| Meter::new(&stats.sampler, Some(&vhost.queues)));
        busy.add(OfQueue::Publish, 10);
        busy.set(OfQueue::Ready, 10);
        stats.sampler.advance(MINUTE + PERIOD_MS);
        busy.add_shared(OfQueue::Publish, 5);
        busy.set(OfQueue::Ready, 3);
        stats.sampler.advance(MINUTE + 2 * PERIOD_MS);

        for meter in [&busy, &vhost.queues, &stats.sums.queues] {
            let history = meter.history(3);
            assert_eq!(history.last_ms, MINUTE + 2 * PERIOD_MS);
            let series = |at: OfQueue| history.series[usize::from(at)].clone();
            assert_eq!(series(OfQueue::Publish).ended, [0, 10, 15]);
            assert_eq!(series(OfQueue::Ready).ended, [0, 10, 3]);
            assert_eq!(series(OfQueue::Ready).now, 3);
        }
        assert_eq!(idle.history(2).series[0].ended, [0, 0]);
    }

    #[test]
    fn whoever_asks_sees_what_this_period_brought_and_nothing_counts_twice() {
        let stats = Stats::default();
        let meter = Meter::new(&stats.sampler, Some(&stats.sums.channels));
        for time in 1..5 {
            meter.add(OfChannel::Publish, 1);
            stats.sampler.collect();
            assert_eq!(stats.sums.channels.get(OfChannel::Publish), time);
            stats.sampler.advance(MINUTE + time * PERIOD_MS);
            assert_eq!(stats.sums.channels.get(OfChannel::Publish), time);
        }
        // What goes leaves its counts behind.
        meter.add(OfChannel::Publish, 1);
        drop(meter);
        stats.sampler.advance(2 * MINUTE);
        assert_eq!(stats.sums.channels.get(OfChannel::Publish), 5);
    }

    #[test]
    fn what_was_long_ago_takes_no_memory() {
        let stats = Stats::default();
        let meter = Meter::new(&stats.sampler, Some(&stats.sums.channels));
        meter.add(OfChannel::Publish, 7);
        stats.sampler.advance(MINUTE);
        for minute in 2..40 {
            stats.sampler.advance(minute * MINUTE);
        }
        let series = meter.history(2).series[0].clone();
        assert_eq!((series.now, series.ended), (7, vec![7, 7]));
        meter.add(OfChannel::Publish, 1);
        stats.sampler.advance(41 * MINUTE);
        assert_eq!(stats.sums.channels.get(OfChannel::Publish), 8);
    }
}
