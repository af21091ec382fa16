//! Taking back what was handed out: done with, refused, or to be handed out again.
//!
//! Invariant: what settles a message for good takes it from the unsettled ones first, so that it is settled once.

use std::sync::Arc;

use super::{Dead, Queue, State, held::Settled};
#[cfg(test)]
use crate::{broker::message::DeliveryId, store::mutation::Mutation};
use crate::{
    broker::{
        consumer::Consumer, dead_letter::Reason, message::DeliveryRun, settlement::Verdict,
        stats::OfQueue,
    },
    store::{Batch, MessageId, QueueId},
};

/// Credit on its way back to consumers: neighbours mostly came from the same one, which is told once.
#[derive(Default)]
struct Credits {
    consumer: Option<Arc<Consumer>>,
    count: u32,
}

impl Credits {
    /// Counts messages that `consumer` held.
    fn add(&mut self, consumer: &Arc<Consumer>, count: u32) {
        let is_same = |other: &Arc<Consumer>| Arc::ptr_eq(other, consumer);
        if !self.consumer.as_ref().is_some_and(is_same) {
            self.release();
            self.consumer = Some(Arc::clone(consumer));
        }
        self.count += count;
    }

    /// Gives back what was counted.
    fn release(&mut self) {
        if let Some(consumer) = self.consumer.take() {
            consumer.release(std::mem::take(&mut self.count));
        }
    }
}

impl Queue {
    /// Settles messages and hands out what that makes room for. Ids that are not out are ignored. What the log must
    /// know is added to `log`, which the caller appends; what goes back to the queue is logged here.
    pub(in crate::broker) fn settle(
        &self,
        verdict: Verdict,
        runs: impl Iterator<Item = DeliveryRun>,
        log: &mut Batch,
    ) {
        let mut state = self.lock();
        let mut logged = Vec::new();
        match verdict {
            Verdict::Ack => {
                let mut acked = 0;
                settle_each(&mut state, runs, |part, _| {
                    acked += u64::from(part.len());
                    logged.extend(part.logged());
                });
                self.meter.add(OfQueue::Ack, acked);
                self.add_sorted(logged, log, Batch::ack);
            }
            Verdict::Discard if self.buries() => {
                settle_each(&mut state, runs, |part, dead| {
                    let reason = Reason::Rejected;
                    dead.extend(part.entries().map(|entry| Dead { entry, reason }));
                });
            }
            Verdict::Discard => {
                settle_each(&mut state, runs, |part, _| logged.extend(part.logged()));
                self.add_sorted(logged, log, Batch::drop_messages);
            }
            #[cfg(test)]
            Verdict::Requeue if Mutation::LoseRequeue.is_on() => {
                settle_each(&mut state, runs, |_, _| {});
            }
            Verdict::Requeue => self.put_back(&mut state, runs),
        }
        self.note_time(&mut state);
        self.pump_locked(&mut state);
        self.unlock(state);
    }

    /// Puts messages back where they were in the queue, to be handed out again with the redelivered flag.
    fn put_back(&self, state: &mut State, runs: impl Iterator<Item = DeliveryRun>) {
        let limit = self.rules().delivery_limit;
        let (mut returned, mut logged) = (Vec::new(), Vec::new());
        settle_each(state, runs, |part, dead| {
            for mut entry in part.entries() {
                entry.is_redelivered = true;
                entry.returns = entry.returns.saturating_add(1);
                if limit.is_some_and(|limit| u64::from(entry.returns) > limit) {
                    let reason = Reason::DeliveryLimit;
                    dead.push(Dead { entry, reason });
                } else {
                    logged.extend(entry.logged);
                    returned.push(entry);
                }
            }
        });
        for entry in returned {
            state.backlog.put_back(entry);
        }
        // Counted before anyone can settle them again, so that the log never counts a message that is gone.
        self.log(&logged, Batch::returned);
    }

    /// Forgets everything that is out.
    pub(super) fn settle_all(state: &mut State) {
        let mut credits = Credits::default();
        state.backlog.held.settle_all(|part| {
            part.give_back(|consumer, count| credits.add(consumer, count));
        });
        credits.release();
    }

    pub(super) fn add_sorted(
        &self,
        mut logged: Vec<MessageId>,
        log: &mut Batch,
        add: fn(&mut Batch, QueueId, &[MessageId]),
    ) {
        if !logged.is_empty() {
            logged.sort_unstable();
            add(log, self.id, &logged);
        }
    }
}

/// Takes the messages of `runs` that are out, and gives their credit back.
pub(super) fn settle_each(
    state: &mut State,
    runs: impl Iterator<Item = DeliveryRun>,
    mut settle: impl FnMut(&Settled<'_>, &mut Vec<Dead>),
) {
    let State { backlog, dead, .. } = state;
    let mut credits = Credits::default();
    for run in runs {
        backlog.held.settle(run, |part| {
            part.give_back(|consumer, count| credits.add(consumer, count));
            settle(&part, dead);
        });
    }
    credits.release();
}
/// Single messages, in any order, as tests name them.
#[cfg(test)]
impl Queue {
    pub(crate) fn ack(&self, ids: &[DeliveryId]) {
        self.settle_ids(Verdict::Ack, ids);
    }

    pub(crate) fn discard(&self, ids: &[DeliveryId]) {
        self.settle_ids(Verdict::Discard, ids);
    }

    pub(crate) fn requeue(&self, ids: &[DeliveryId]) {
        self.settle_ids(Verdict::Requeue, ids);
    }

    fn settle_ids(&self, verdict: Verdict, ids: &[DeliveryId]) {
        let mut log = Batch::new();
        let runs = ids.iter().map(|id| DeliveryRun::of(*id));
        self.settle(verdict, runs, &mut log);
        if !log.is_empty() {
            self.append(log);
        }
    }
}
