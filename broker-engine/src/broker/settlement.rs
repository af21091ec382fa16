//! What clients decide about messages they were given, on its way to the queues.
//!
//! Owns the order of decisions: kept for each queue, free between queues. What settles for good is one entry of the
//! log, however many queues it concerns.

use std::sync::Arc;

use super::{message::DeliveryRun, queue::Queue};
use crate::store::Batch;

/// What becomes of a message that was handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is done with.
    Ack,
    /// It is refused for good; it may go where dead messages go.
    Discard,
    /// It is handed out again, from its old place and with the redelivered flag.
    Requeue,
}

/// A decision about messages of one queue. Those that are not out are ignored.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// What becomes of them.
    pub verdict: Verdict,
    /// The queue they came from.
    pub queue: Arc<Queue>,
    /// Which they are.
    pub run: DeliveryRun,
}

impl Settlement {
    fn is_alike(&self, other: &Self) -> bool {
        self.verdict == other.verdict && Arc::ptr_eq(&self.queue, &other.queue)
    }
}

/// Decisions that the queues do not know yet.
#[derive(Debug, Default)]
pub struct Settlements(Vec<Settlement>);

impl Settlements {
    /// Adds a decision.
    pub fn add(&mut self, settlement: Settlement) {
        if let Some(last) = self.0.last_mut()
            && last.is_alike(&settlement)
            && last.run.join(settlement.run)
        {
            return;
        }
        self.0.push(settlement);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Moves all decisions of `later` to the end.
    pub fn append(&mut self, later: &mut Self) {
        if self.0.is_empty() {
            std::mem::swap(&mut self.0, &mut later.0);
        } else {
            self.0.append(&mut later.0);
        }
    }

    /// Tells the queues, each of which hands out what that makes room for.
    pub fn apply(&mut self) {
        let mut list = std::mem::take(&mut self.0);
        let Some(first) = list.first() else {
            return;
        };
        if !list.iter().all(|other| first.is_alike(other)) {
            // A stable sort: decisions about one queue stay in order.
            list.sort_by_key(|settlement| Arc::as_ptr(&settlement.queue));
        }
        let mut log = Batch::new();
        for alike in list.chunk_by(Settlement::is_alike) {
            let Settlement { verdict, queue, .. } = &alike[0];
            let runs = alike.iter().map(|settlement| settlement.run);
            queue.settle(*verdict, runs, &mut log);
        }
        if !log.is_empty() {
            // The queues share a log: any of them appends for all.
            list[0].queue.append(log);
        }
    }
}
