//! Class `basic`: subscriptions.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::super::delivery::ConsumerSink;
use super::super::error::Error;
use super::super::refusal::Refusal;
use super::{Channel, Context, Deferred, arguments, special};
use crate::broker::{Consumer, Queue, QueueKind, Sink, Subscription};
use crate::codec::amqp::{BasicCancel, BasicCancelOk, BasicConsume, BasicConsumeOk};

/// A consumer of the channel and the queue it reads.
pub(super) struct Subscribed {
    pub(super) queue: Arc<Queue>,
    pub(super) consumer: Arc<Consumer>,
}

impl Channel {
    pub(super) fn consume(
        &mut self,
        context: &Context,
        consume: &BasicConsume<'_>,
    ) -> Result<Deferred, Error> {
        let is_reply = special::after_reply_place(context, consume.queue) == Some("");
        let name = if is_reply {
            self.check_reply_consumer(consume)?;
            Arc::from("")
        } else {
            self.queue_name(consume.queue)?
        };
        let tag: Arc<str> = match consume.consumer_tag {
            "" => server_tag().into(),
            tag => tag.into(),
        };
        // A consumer whose queue is gone has given its tag back.
        if self
            .consumers
            .get(&tag)
            .is_some_and(|other| !other.consumer.is_cancelled())
        {
            return Err(self.refuse(&Refusal::TagInUse(&tag)));
        }
        self.check_consumers(context)?;
        if !consume.no_ack {
            context.expect_answers();
        }
        let arguments = arguments::table(&consume.arguments);
        let priority = if is_reply {
            0
        } else {
            let queue = context.session.consumable_queue(&name)?;
            queue.consumer_priority(&arguments)?
        };
        let deliveries = Arc::clone(&self.deliveries);
        let mut sink = ConsumerSink::new(
            deliveries,
            context.handles_cancel,
            context.origin(),
            arguments,
        );
        if is_reply && !context.server.is_lavinmq() {
            sink = sink.without_tags();
        }
        let sink = Arc::new(sink);
        let subscription = Subscription {
            sink: Arc::<ConsumerSink>::clone(&sink) as Arc<dyn Sink>,
            tag: Arc::clone(&tag),
            no_ack: consume.no_ack,
            exclusive: consume.exclusive,
            priority,
            prefetch: self.prefetch,
            channel_credit: Arc::clone(&self.credit),
        };
        let (queue, consumer) = if is_reply {
            context.session.subscribe_replies(subscription)?
        } else {
            self.check_qos(context, &name)?;
            context.session.subscribe(&name, subscription)?
        };
        if is_reply {
            self.reply_to = Some((Arc::clone(&tag), Arc::clone(queue.name())));
        }
        self.reply(
            consume.no_wait,
            None,
            &BasicConsumeOk { consumer_tag: &tag },
        );
        sink.announce(&queue);
        self.consumers.insert(
            tag,
            Subscribed {
                queue: Arc::clone(&queue),
                consumer,
            },
        );
        queue.pump();
        Ok(None)
    }

    /// A tag that is not there counts as cancelled.
    pub(super) fn cancel(
        &mut self,
        context: &Context,
        cancel: &BasicCancel<'_>,
    ) -> Result<Deferred, Error> {
        if self
            .reply_to
            .as_ref()
            .is_some_and(|(tag, _)| **tag == *cancel.consumer_tag)
        {
            self.reply_to = None;
        }
        if let Some(Subscribed {
            queue, consumer, ..
        }) = self.consumers.remove(cancel.consumer_tag)
        {
            context.session.unsubscribe(&queue, &consumer)?;
        }
        let reply = BasicCancelOk {
            consumer_tag: cancel.consumer_tag,
        };
        Ok(self.reply(cancel.no_wait, None, &reply))
    }
}

impl Channel {
    fn check_consumers(&self, context: &Context) -> Result<(), Error> {
        match context.server.consumers_per_channel_max() {
            Some(max) if self.consumers.len() as u64 >= max => {
                Err(self.refuse(&Refusal::ConsumersOfChannel { max }))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The consumer of answers on this channel: one, and it need not acknowledge.
    fn check_reply_consumer(&self, consume: &BasicConsume<'_>) -> Result<(), Error> {
        if self.reply_to.is_some() {
            return Err(self.refuse(&Refusal::ReplyConsumerThere));
        }
        if !consume.no_ack {
            return Err(self.refuse(&Refusal::ReplyConsumerAcknowledges));
        }
        Ok(())
    }

    /// Quorum queues do not count towards a bound of the whole channel.
    fn check_qos(&self, context: &Context, name: &str) -> Result<(), Error> {
        let queue = context.session.vhost().queue(name);
        if self.credit.limit() > 0 && queue.is_some_and(|queue| queue.kind() == QueueKind::Quorum) {
            let (queue, vhost) = (name, &**context.vhost_name());
            return Err(self.refuse(&Refusal::QosOfChannel { queue, vhost }));
        }
        Ok(())
    }
}

fn server_tag() -> String {
    format!(
        "amq.ctag-{}",
        URL_SAFE_NO_PAD.encode(fastrand::u128(..).to_be_bytes())
    )
}
