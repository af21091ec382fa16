//! What operators see of a channel.

use super::Channel;
use super::consume::Subscribed;
use crate::broker::ChannelReport;

impl Channel {
    /// A snapshot.
    pub(crate) fn report(&self, periods: u32) -> ChannelReport {
        let consumers = self
            .consumers
            .values()
            .map(|Subscribed { queue, consumer }| {
                consumer.report(queue.name(), queue.activity(consumer))
            });
        let transaction = self.transaction.as_ref();
        ChannelReport {
            number: self.number,
            consumers: consumers.collect(),
            unacked: self.deliveries.unsettled_len(),
            unconfirmed: self
                .confirms
                .as_ref()
                .map_or(0, |confirms| confirms.waiting_len()),
            uncommitted: transaction.map_or((0, 0), |transaction| transaction.len()),
            is_confirming: self.confirms.is_some(),
            is_transactional: transaction.is_some(),
            prefetch: self.prefetch,
            channel_prefetch: self.credit.limit(),
            messages: self.meter.history(periods),
        }
    }
}
