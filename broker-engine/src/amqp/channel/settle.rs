//! Acknowledgements on their way back: collected over one read, applied to each queue at once.

use std::sync::Arc;

use super::super::delivery::Unsettled;
use super::super::error::Error;
use super::{Channel, Context, Deferred};
use crate::broker::{DeliveryId, Queue};
use crate::codec::amqp::{BasicAck, BasicNack, BasicRecoverOk, BasicReject};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Ack,
    Discard,
    Requeue,
}

/// What clients decided and the queues do not know yet, in order.
#[derive(Debug, Default)]
pub(super) struct Settlements(Vec<(Verdict, Arc<Queue>, Vec<DeliveryId>)>);

impl Settlements {
    fn add(&mut self, verdict: Verdict, unsettled: Vec<Unsettled>) {
        for Unsettled { queue, id, .. } in unsettled {
            let of_queue = self
                .0
                .iter_mut()
                .rev()
                .find(|(_, other, _)| Arc::ptr_eq(other, &queue));
            match of_queue {
                // Only its last group: the order of verdicts on one queue stays.
                Some((last, _, ids)) if *last == verdict => ids.push(id),
                _ => self.0.push((verdict, queue, vec![id])),
            }
        }
    }

    pub(super) fn add_one(&mut self, verdict: Verdict, queue: Arc<Queue>, id: DeliveryId) {
        self.0.push((verdict, queue, vec![id]));
    }

    pub(super) fn requeue(&mut self, unsettled: Vec<Unsettled>) {
        self.add(Verdict::Requeue, unsettled);
    }

    /// Tells the queues.
    pub(super) fn apply(&mut self) {
        for (verdict, queue, ids) in self.0.drain(..) {
            match verdict {
                Verdict::Ack => queue.ack(&ids),
                Verdict::Discard => queue.discard(&ids),
                Verdict::Requeue => queue.requeue(&ids),
            }
        }
    }
}

impl Channel {
    /// A verdict takes effect soon, or with the transaction.
    fn decide(&mut self, verdict: Verdict, unsettled: Vec<Unsettled>) {
        match &mut self.transaction {
            Some(transaction) => transaction.settle(verdict, unsettled),
            None => self.settlements.add(verdict, unsettled),
        }
    }

    pub(super) fn ack(&mut self, ack: &BasicAck) -> Result<Deferred, Error> {
        let unsettled = self.deliveries.take(ack.delivery_tag, ack.multiple)?;
        self.decide(Verdict::Ack, unsettled);
        Ok(None)
    }

    pub(super) fn nack(&mut self, nack: &BasicNack) -> Result<Deferred, Error> {
        let unsettled = self.deliveries.take(nack.delivery_tag, nack.multiple)?;
        self.decide(refusal(nack.requeue), unsettled);
        Ok(None)
    }

    pub(super) fn reject(&mut self, reject: &BasicReject) -> Result<Deferred, Error> {
        let unsettled = self.deliveries.take(reject.delivery_tag, false)?;
        self.decide(refusal(reject.requeue), unsettled);
        Ok(None)
    }

    /// `basic.recover`: everything unsettled goes back to its queue.
    pub(super) fn recover(
        &mut self,
        context: &Context,
        requeue: bool,
        replies: bool,
    ) -> Result<Deferred, Error> {
        if !requeue && !context.server.is_lavinmq() {
            return Err(Error::not_implemented("requeue=false"));
        }
        let unsettled = self.deliveries.take_all();
        if replies {
            // Before the redeliveries, which requeueing sends at once.
            self.send(&BasicRecoverOk {});
        }
        self.settlements.requeue(unsettled);
        self.settlements.apply();
        Ok(None)
    }
}

fn refusal(requeue: bool) -> Verdict {
    if requeue {
        Verdict::Requeue
    } else {
        Verdict::Discard
    }
}
