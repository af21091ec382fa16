//! A queue's part in transactions: what the log must know of it first, and what follows when the log does.
//!
//! Messages stay out in between: whoever has them does not settle them otherwise, and when the log refuses the entry
//! nothing has changed.

use super::{Dead, Queue, settle::settle_each};
use crate::{
    broker::{dead_letter::Reason, message::DeliveryRun, settlement::Verdict, stats::OfQueue},
    store::Batch,
};

/// What a transaction does to messages of a queue, once the log knows.
pub(crate) struct Foretold {
    /// Those that go where dead messages go: for the caller to put into the batch.
    pub(crate) dying: Vec<Dead>,
    /// How often a message may come back, as of this decision.
    pub(crate) limit: Option<u64>,
}

impl Queue {
    /// Has the batch settle messages that are out, those that die excepted.
    pub(in crate::broker) fn foretell(
        &self,
        verdict: Verdict,
        runs: &[DeliveryRun],
        batch: &mut Batch,
    ) -> Foretold {
        let rules = self.rules();
        let (limit, buries) = (rules.delivery_limit, rules.hands_on());
        let (mut dying, mut ended, mut back) = (Vec::new(), Vec::new(), Vec::new());
        let state = self.state.lock();
        for held in runs.iter().flat_map(|run| state.backlog.held.list(*run)) {
            let entry = held.entry;
            let is_too_often = limit.is_some_and(|limit| u64::from(entry.returns) >= limit);
            let reason = match verdict {
                Verdict::Ack => None,
                Verdict::Discard => Some(Reason::Rejected),
                Verdict::Requeue if is_too_often => Some(Reason::DeliveryLimit),
                Verdict::Requeue => {
                    back.extend(entry.logged);
                    continue;
                }
            };
            match reason {
                Some(reason) if buries => dying.push(Dead { entry, reason }),
                _ => ended.extend(entry.logged),
            }
        }
        drop(state);
        self.add_sorted(back, batch, Batch::returned);
        let end = match verdict {
            Verdict::Ack => Batch::ack,
            Verdict::Discard | Verdict::Requeue => Batch::drop_messages,
        };
        self.add_sorted(ended, batch, end);
        Foretold { dying, limit }
    }

    /// Does what was foretold, now that the log knows: the messages are gone, or back in their places.
    pub(in crate::broker) fn fulfil(
        &self,
        verdict: Verdict,
        runs: &[DeliveryRun],
        limit: Option<u64>,
    ) {
        let mut state = self.lock();
        let (mut settled, mut returned) = (0, Vec::new());
        settle_each(&mut state, runs.iter().copied(), |part, _| {
            settled += u64::from(part.len());
            if verdict == Verdict::Requeue {
                returned.extend(part.entries());
            }
        });
        for mut entry in returned {
            entry.is_redelivered = true;
            entry.returns = entry.returns.saturating_add(1);
            if limit.is_none_or(|limit| u64::from(entry.returns) <= limit) {
                state.backlog.put_back(entry);
            }
        }
        if verdict == Verdict::Ack {
            self.meter.add(OfQueue::Ack, settled);
        }
        self.note_time(&mut state);
        self.pump_locked(&mut state);
        self.unlock(state);
    }
}
