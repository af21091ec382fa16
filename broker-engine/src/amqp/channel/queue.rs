//! Class `queue`.

use std::sync::Arc;

use super::super::error::Error;
use super::super::refusal::Refusal;
use super::{Channel, Context, Deferred};
use super::{arguments, special};
use crate::broker::{self, Alarm};
use crate::codec::amqp::{
    QueueBind, QueueBindOk, QueueDeclare, QueueDeclareOk, QueueDelete, QueueDeleteOk, QueuePurge,
    QueuePurgeOk, QueueUnbind, QueueUnbindOk,
};

const QUEUE: &str = "Queue";

impl Channel {
    pub(super) fn queue_declare(
        &mut self,
        context: &Context,
        declare: &QueueDeclare<'_>,
    ) -> Result<Deferred, Error> {
        if let Some(reply) = self.reply_queue(context, declare)? {
            return Ok(reply);
        }
        let name = self.name(QUEUE, declare.queue)?;
        let declared = if declare.passive {
            context.session.queue_check(&name)?
        } else {
            self.check_room(context, &name)?;
            context.session.queue_declare(broker::QueueDeclare {
                name: name.to_string(),
                durable: declare.durable,
                exclusive: declare.exclusive,
                auto_delete: declare.auto_delete,
                arguments: arguments::table(&declare.arguments),
            })?
        };
        let name = Arc::clone(declared.queue.name());
        self.last_queue = Some(Arc::clone(&name));
        let reply = QueueDeclareOk {
            queue: &name,
            message_count: count(declared.messages),
            consumer_count: count(declared.consumers),
        };
        Ok(self.reply(declare.no_wait, declared.durable, &reply))
    }

    /// LavinMQ makes no queue on a volume that is nearly full.
    fn check_room(&self, context: &Context, name: &str) -> Result<(), Error> {
        let is_new = context.session.vhost().queue(name).is_none();
        let is_full = context.server.broker().alarms().is_on(Alarm::Disk);
        if is_new && is_full && context.server.is_lavinmq() {
            return Err(self.refuse(&Refusal::NoRoomForQueue));
        }
        Ok(())
    }

    /// The place of answers looks like a queue to whoever asks whether it is there.
    fn reply_queue(
        &self,
        context: &Context,
        declare: &QueueDeclare<'_>,
    ) -> Result<Option<Deferred>, Error> {
        let Some(rest) = special::after_reply_place(context, declare.queue) else {
            return Ok(None);
        };
        if !rest.is_empty() {
            context.session.queue_check_reply(declare.queue)?;
        }
        let reply = QueueDeclareOk {
            queue: declare.queue,
            message_count: 0,
            consumer_count: 1,
        };
        Ok(Some(self.reply(declare.no_wait, None, &reply)))
    }

    pub(super) fn queue_bind(
        &self,
        context: &Context,
        bind: &QueueBind<'_>,
    ) -> Result<Deferred, Error> {
        let queue = self.queue_name(&self.name(QUEUE, bind.queue)?)?;
        let exchange = self.name("Exchange", bind.exchange)?;
        let key = default_key(bind.queue, bind.routing_key, &queue);
        let arguments = arguments::table(&bind.arguments);
        let durable = context
            .session
            .queue_bind(&queue, &exchange, key, &arguments)?;
        Ok(self.reply(bind.no_wait, durable, &QueueBindOk {}))
    }

    pub(super) fn queue_unbind(
        &self,
        context: &Context,
        unbind: &QueueUnbind<'_>,
    ) -> Result<Deferred, Error> {
        let queue = self.queue_name(&self.name(QUEUE, unbind.queue)?)?;
        let exchange = self.name("Exchange", unbind.exchange)?;
        let key = default_key(unbind.queue, unbind.routing_key, &queue);
        let arguments = arguments::table(&unbind.arguments);
        let durable = context
            .session
            .queue_unbind(&queue, &exchange, key, &arguments)?;
        Ok(self.reply(false, durable, &QueueUnbindOk {}))
    }

    pub(super) fn queue_purge(
        &self,
        context: &Context,
        purge: &QueuePurge<'_>,
    ) -> Result<Deferred, Error> {
        let purged = context
            .session
            .queue_purge(&self.queue_name(purge.queue)?)?;
        Ok(self.reply(
            purge.no_wait,
            purged.durable,
            &QueuePurgeOk {
                message_count: count(purged.messages),
            },
        ))
    }

    /// A client that deletes the queue it consumes from hears of the deletion first, and of its
    /// consumers after, as RabbitMQ orders it.
    pub(super) fn queue_delete(
        &self,
        context: &Context,
        delete: &QueueDelete<'_>,
    ) -> Result<Deferred, Error> {
        let name = self.queue_name(&self.name(QUEUE, delete.queue)?)?;
        self.deliveries.hold_cancels();
        let deleted = context
            .session
            .queue_delete(&name, delete.if_unused, delete.if_empty);
        let cancels = self.deliveries.release_cancels();
        let deleted = deleted?;
        let reply = QueueDeleteOk {
            message_count: count(deleted.messages),
        };
        let mut deferred = self.reply(delete.no_wait, deleted.durable, &reply);
        match &mut deferred {
            Some((_, reply)) => reply.extend_from_slice(&cancels),
            None => self
                .outbox
                .append(|buffer| buffer.extend_from_slice(&cancels)),
        }
        Ok(deferred)
    }
}

/// With neither queue nor key named, the queue's name is the key (specification, `queue.bind`).
fn default_key<'a>(queue_as_sent: &str, key: &'a str, queue: &'a str) -> &'a str {
    if queue_as_sent.is_empty() && key.is_empty() {
        queue
    } else {
        key
    }
}

fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
