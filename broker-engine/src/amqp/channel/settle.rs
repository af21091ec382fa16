//! Acknowledgements on their way back: collected over one read, then told to the queues together.

use std::sync::Arc;

use super::super::error::Error;
use super::super::owed::Unsettled;
use super::super::refusal::Refusal;
use super::acks::Acked;
use super::transaction::Transaction;
use super::{Channel, Context, Deferred};
use crate::broker::{OfChannel, Settlement, Settlements, Verdict};
use crate::codec::amqp::{BasicNack, BasicRecoverOk, BasicReject};

/// The decision about deliveries that were taken from the channel.
pub(super) fn settlement(verdict: Verdict, unsettled: Unsettled) -> Settlement {
    let Unsettled { queue, run, .. } = unsettled;
    Settlement {
        verdict,
        queue,
        run,
    }
}

impl Channel {
    /// A verdict takes effect soon, or with the transaction.
    fn decide(&mut self, verdict: Verdict, unsettled: Vec<Unsettled>) {
        match &mut self.transaction {
            Some(transaction) => transaction.settle(verdict, unsettled),
            None => self.settle_each(verdict, unsettled),
        }
    }

    fn settle_each(&mut self, verdict: Verdict, unsettled: Vec<Unsettled>) {
        for unsettled in unsettled {
            self.settlements.add(settlement(verdict, unsettled));
        }
    }

    /// Acks count up to the first that names no delivery, which is the error.
    pub(crate) fn ack(&mut self, acked: &[Acked]) -> Result<(), Error> {
        let (unsettled, outcome) = self.deliveries.take_acked(acked);
        let count = unsettled.iter().map(|unsettled| unsettled.run.len).sum();
        self.meter.add(OfChannel::Ack, count);
        self.decide(Verdict::Ack, unsettled);
        outcome.map_err(|tag| self.unknown_tag(tag))
    }

    /// What a tag is that names no delivery: it may have been settled, too.
    fn unknown_tag(&self, tag: u64) -> Error {
        let is_settled = |transaction: &Transaction| transaction.settles(tag);
        self.refuse(&if self.transaction.as_ref().is_some_and(is_settled) {
            Refusal::SettledTag(tag)
        } else {
            Refusal::UnknownTag(tag)
        })
    }

    pub(super) fn nack(&mut self, nack: &BasicNack) -> Result<Deferred, Error> {
        let refused = Acked {
            first: nack.delivery_tag,
            last: nack.delivery_tag,
            multiple: nack.multiple,
        };
        self.turn_down(refused, nack.requeue)
    }

    pub(super) fn reject(&mut self, reject: &BasicReject) -> Result<Deferred, Error> {
        let refused = Acked {
            first: reject.delivery_tag,
            last: reject.delivery_tag,
            multiple: false,
        };
        self.turn_down(refused, reject.requeue)
    }

    fn turn_down(&mut self, refused: Acked, requeue: bool) -> Result<Deferred, Error> {
        let (unsettled, outcome) = self.deliveries.take_acked(&[refused]);
        outcome.map_err(|tag| self.unknown_tag(tag))?;
        let verdict = if requeue {
            Verdict::Requeue
        } else {
            Verdict::Discard
        };
        self.decide(verdict, unsettled);
        Ok(None)
    }

    /// `basic.recover`: everything unsettled goes back to its queue or, without `requeue`, to the same consumers again.
    pub(super) fn recover(
        &mut self,
        context: &Context,
        requeue: bool,
        replies: bool,
    ) -> Result<Deferred, Error> {
        if !requeue && !context.server.is_lavinmq() {
            return Err(self.refuse(&Refusal::RecoverWithoutRequeue));
        }
        if replies {
            // Before the redeliveries, which requeueing sends at once.
            self.send(&BasicRecoverOk {});
        }
        if requeue {
            self.requeue_all();
            return Ok(None);
        }
        for unsettled in self.deliveries.take_all() {
            let Unsettled { queue, run, .. } = unsettled;
            for run in queue.redeliver(run) {
                self.settlements.add(Settlement {
                    verdict: Verdict::Requeue,
                    queue: Arc::clone(&queue),
                    run,
                });
            }
        }
        self.apply_settlements();
        Ok(None)
    }

    /// Puts back everything unsettled.
    pub(super) fn requeue_all(&mut self) {
        let unsettled = self.deliveries.take_all();
        self.settle_each(Verdict::Requeue, unsettled);
        self.apply_settlements();
    }

    /// Hands over the decisions of this read, to be applied with those of other channels. True when queues must be
    /// pumped that they do not concern.
    pub(crate) fn settle(&mut self, settlements: &mut Settlements) -> bool {
        let makes_room = self.shares_credit() && !self.settlements.is_empty();
        settlements.append(&mut self.settlements);
        makes_room
    }
}
