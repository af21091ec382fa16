//! What operators see of a channel.

use super::Channel;
use super::consume::Subscribed;
use crate::broker::{ChannelReport, ConsumerReport};

impl Channel {
    /// A snapshot.
    pub(crate) fn report(&self) -> ChannelReport {
        let consumers = self.consumers.values().map(consumer);
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
        }
    }
}

fn consumer(subscribed: &Subscribed) -> ConsumerReport {
    let Subscribed {
        queue,
        consumer,
        arguments,
    } = subscribed;
    ConsumerReport {
        tag: consumer.tag().to_string(),
        queue: queue.name().to_string(),
        no_ack: consumer.no_ack(),
        exclusive: consumer.exclusive(),
        prefetch: consumer.credit().limit(),
        priority: consumer.priority(),
        activity: queue.activity(consumer),
        arguments: arguments.clone(),
    }
}
