//! Taking back what was handed out: done with, refused, or to be handed out again.
//!
//! Invariant: what settles a message for good takes it from the unsettled ones first, so that it is settled once.

use std::sync::Arc;

use super::{
    Dead, Queue, State,
    backlog::{Entry, Held},
};
#[cfg(test)]
use crate::broker::message::DeliveryId;
use crate::{
    broker::{consumer::Consumer, dead_letter::Reason, message::DeliveryRun, settlement::Verdict},
    store::{Batch, MessageId, QueueId},
};

/// Credit on its way back to consumers: neighbours mostly came from the same one, which is told once.
#[derive(Default)]
pub(super) struct Credits {
    consumer: Option<Arc<Consumer>>,
    count: u32,
}

impl Credits {
    /// Counts a message that `consumer` held, if a consumer did.
    pub(super) fn add(&mut self, consumer: Option<Arc<Consumer>>) {
        let Some(consumer) = consumer else {
            return;
        };
        let is_same = |other: &Arc<Consumer>| Arc::ptr_eq(other, &consumer);
        if !self.consumer.as_ref().is_some_and(is_same) {
            self.release();
            self.consumer = Some(consumer);
        }
        self.count += 1;
    }

    /// Gives back what was counted.
    pub(super) fn release(&mut self) {
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
        let mut state = self.state.lock();
        match verdict {
            Verdict::Ack => {
                let mut acked = 0;
                let logged = settle_each(&mut state, runs, |entry, _, logged| {
                    acked += 1;
                    logged.extend(entry.logged);
                });
                state.totals.acked += acked;
                self.add_sorted(logged, log, Batch::ack);
            }
            Verdict::Discard if self.buries() => {
                settle_each(&mut state, runs, |entry, dead, _| {
                    let reason = Reason::Rejected;
                    dead.push(Dead { entry, reason });
                });
            }
            Verdict::Discard => {
                let logged = settle_each(&mut state, runs, |entry, _, logged| {
                    logged.extend(entry.logged);
                });
                self.add_sorted(logged, log, Batch::drop_messages);
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
        let mut returned = Vec::new();
        let logged = settle_each(state, runs, |mut entry, dead, logged| {
            entry.is_redelivered = true;
            entry.returns = entry.returns.saturating_add(1);
            if limit.is_some_and(|limit| u64::from(entry.returns) > limit) {
                let reason = Reason::DeliveryLimit;
                dead.push(Dead { entry, reason });
                return;
            }
            logged.extend(entry.logged);
            returned.push(entry);
        });
        for entry in returned {
            state.backlog.put_back(entry);
        }
        // Counted before anyone can settle them again, so that the log never counts a message that is gone.
        self.log(&logged, Batch::returned);
    }

    fn add_sorted(
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

/// Takes the messages of `runs` that are out, and gives their credit back. Returns the log ids that `settle` noted.
fn settle_each(
    state: &mut State,
    runs: impl Iterator<Item = DeliveryRun>,
    mut settle: impl FnMut(Entry, &mut Vec<Dead>, &mut Vec<MessageId>),
) -> Vec<MessageId> {
    let State { backlog, dead, .. } = state;
    let mut credits = Credits::default();
    let mut logged = Vec::new();
    for run in runs {
        backlog.settle(run, |Held { entry, consumer }| {
            credits.add(consumer);
            settle(entry, dead, &mut logged);
        });
    }
    credits.release();
    logged
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
