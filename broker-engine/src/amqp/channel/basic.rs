//! Class `basic`: prefetch and single gets.

use super::super::error::Error;
use super::super::refusal::Refusal;
use super::{Channel, Context, Deferred};
use crate::broker::OfChannel;
use crate::codec::amqp::{BasicGet, BasicGetEmpty, BasicQos, BasicQosOk};

impl Channel {
    /// RabbitMQ's meaning of `global`: false for each consumer made from now on, true for all
    /// consumers of the channel together.
    pub(super) fn qos(&mut self, qos: &BasicQos) -> Result<Deferred, Error> {
        if qos.prefetch_size != 0 {
            return Err(self.refuse(&Refusal::PrefetchSize(qos.prefetch_size)));
        }
        let count = u32::from(qos.prefetch_count);
        self.send(&BasicQosOk {});
        if qos.global {
            self.credit.set_limit(count);
            self.pump();
        } else {
            self.prefetch = count;
        }
        Ok(None)
    }

    pub(super) fn get(&self, context: &Context, get: &BasicGet<'_>) -> Result<Deferred, Error> {
        let name = self.queue_name(get.queue)?;
        let queue = context.session.readable_queue(&name)?;
        if !get.no_ack {
            context.expect_answers();
        }
        match queue.get(get.no_ack)? {
            Some((delivery, ready)) => {
                self.deliveries
                    .send_got(&queue, &delivery, ready, get.no_ack);
            }
            None => {
                self.meter.add(OfChannel::GetEmpty, 1);
                self.send(&BasicGetEmpty { reserved_1: "" });
            }
        }
        Ok(None)
    }
}
