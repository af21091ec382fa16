//! Class `queue`.

use std::sync::Arc;

use super::super::error::Error;
use super::super::reply_code::ReplyCode;
use super::{Channel, Context, Deferred};
use super::{arguments, special, without_breaks};
use crate::broker;
use crate::codec::amqp::{
    QueueBind, QueueBindOk, QueueDeclare, QueueDeclareOk, QueueDelete, QueueDeleteOk, QueuePurge,
    QueuePurgeOk, QueueUnbind, QueueUnbindOk,
};

impl Channel {
    pub(super) fn queue_declare(
        &mut self,
        context: &Context,
        declare: &QueueDeclare<'_>,
    ) -> Result<Deferred, Error> {
        if let Some(reply) = self.reply_queue(context, declare)? {
            return Ok(reply);
        }
        let name = without_breaks(declare.queue);
        let declared = if declare.passive {
            context.session.queue_check(&name)?
        } else {
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

    /// The place of answers looks like a queue to whoever asks whether it is there.
    fn reply_queue(
        &self,
        context: &Context,
        declare: &QueueDeclare<'_>,
    ) -> Result<Option<Deferred>, Error> {
        let Some(rest) = special::after_reply_place(context, declare.queue) else {
            return Ok(None);
        };
        let vhost = context.session.vhost();
        if !rest.is_empty() && vhost.queue(declare.queue).is_none() {
            return Err(Error::new(
                ReplyCode::NotFound,
                format!("no queue '{}' in vhost '{}'", declare.queue, vhost.name()),
            ));
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
        let queue = self.queue_name(&without_breaks(bind.queue))?;
        let exchange = without_breaks(bind.exchange);
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
        let queue = self.queue_name(&without_breaks(unbind.queue))?;
        let exchange = without_breaks(unbind.exchange);
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
            None,
            &QueuePurgeOk {
                message_count: count(purged),
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
        let name = self.queue_name(&without_breaks(delete.queue))?;
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
