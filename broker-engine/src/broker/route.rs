//! Where messages of one exchange and key go, and what that asks of whoever brings them there.
//!
//! Owns nothing that changes: a route is found once and shared. Does not know how it was found.

use std::sync::Arc;

use super::{
    deduplication::{Note, Verdict},
    queue::{Extent, Queue},
};
#[cfg(test)]
use crate::store::mutation::Mutation;
use crate::store::{Durability, Position, QueueId};

/// The queues a message goes to.
#[derive(Debug)]
pub(super) struct Route {
    queues: Vec<Arc<Queue>>,
    /// Those that keep persistent messages in the log.
    logged: Vec<QueueId>,
    /// Those that keep every message there.
    always_logged: Vec<QueueId>,
    /// The strictest level of those, and of those.
    durability: [Durability; 2],
    /// Whether messages wait in one of them for a limited time only.
    is_timed: bool,
    /// Whether one of them refuses messages when it is full.
    may_reject: bool,
    /// Whether all of them take every message.
    is_plain: bool,
    /// What is known of the one message that goes this way, where somebody recognises messages that came before.
    seen: Option<Box<SeenBefore>>,
}

/// What those who recognise messages know of one.
#[derive(Debug, Default)]
pub(super) struct SeenBefore {
    /// To be settled when the message is taken.
    pub(super) notes: Vec<Note>,
    /// What must be durable before it may be said that the message came before.
    pub(super) position: Option<Position>,
    /// Whether the same message is on its way and may still be refused.
    pub(super) is_undecided: bool,
}

impl SeenBefore {
    /// Takes note of a verdict; true when the message is new to whoever gave it.
    pub(super) fn note(&mut self, verdict: Verdict) -> bool {
        match verdict {
            Verdict::New(note) => {
                self.notes.extend(note);
                return true;
            }
            Verdict::Duplicate(position) => {
                self.position = Position::of_both(self.position, position);
            }
            Verdict::Undecided => self.is_undecided = true,
        }
        false
    }
}

impl Route {
    /// Each queue once, whatever number of bindings led to it.
    pub(super) fn new(mut queues: Vec<Arc<Queue>>) -> Self {
        queues.sort_unstable_by_key(Arc::as_ptr);
        queues.dedup_by(|a, b| Arc::ptr_eq(a, b));
        let logging = |persistent: bool| {
            let logging = queues
                .iter()
                .filter(move |queue| queue.is_logging(persistent));
            logging.map(|queue| queue.id()).collect()
        };
        let strictest = |persistent: bool| {
            let logging = queues.iter().filter(|queue| queue.is_logging(persistent));
            let levels = logging.map(|queue| queue.durability());
            levels.fold(Durability::Write, Durability::stricter)
        };
        Self {
            durability: [strictest(true), strictest(false)],
            logged: logging(true),
            always_logged: logging(false),
            is_timed: queues.iter().any(|queue| queue.rules().is_timed()),
            may_reject: queues.iter().any(|queue| queue.rules().rejects()),
            is_plain: queues.iter().all(|queue| queue.is_plain()),
            seen: None,
            queues,
        }
    }

    /// The same way as it is now: without queues that are gone, by the rules that hold now.
    pub(super) fn renewed(self: Arc<Self>) -> Self {
        let mut queues = self.queues.clone();
        queues.retain(|queue| !queue.is_deleted());
        Self::new(queues).of_one(self.into_seen())
    }

    /// Whether it leads to the same queues.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.pointers().eq(other.pointers())
    }

    /// What tells it from routes to other queues.
    pub(super) fn pointers(&self) -> impl Iterator<Item = *const Queue> {
        self.queues.iter().map(Arc::as_ptr)
    }

    /// The same for one message, of which this is known.
    pub(super) fn of_one(self, seen: Option<Box<SeenBefore>>) -> Self {
        Self { seen, ..self }
    }

    /// Whether a message may be put there without asking.
    pub(super) fn is_plain(&self) -> bool {
        self.is_plain && self.seen.is_none()
    }

    /// Takes over what is known of the one message that goes this way.
    pub(super) fn into_seen(self: Arc<Self>) -> Option<Box<SeenBefore>> {
        Arc::into_inner(self)?.seen
    }

    /// The message was taken: it is durable when this position is.
    pub(super) fn settle(&self, position: Option<Position>) {
        for note in self.seen.iter().flat_map(|seen| &seen.notes) {
            note.settle(position);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// The queue, if it is one alone that takes every message, and this one to the log.
    pub(super) fn only_logged(&self, persistent: bool) -> Option<QueueId> {
        match self.logged(persistent) {
            [queue] if self.queues.len() == 1 && self.is_plain() => Some(*queue),
            _ => None,
        }
    }

    /// Gives back the room that its queues kept for messages.
    pub(super) fn unreserve(&self, extent: Extent) {
        if self.may_reject {
            let rejecting = self.queues.iter().filter(|queue| queue.rules().rejects());
            rejecting.for_each(|queue| queue.unreserve(extent));
        }
    }

    pub(super) fn is_timed(&self) -> bool {
        self.is_timed
    }

    pub(super) fn queues(&self) -> &[Arc<Queue>] {
        &self.queues
    }

    /// What makes a message durable that goes to the log for one of them.
    pub(super) fn durability(&self, persistent: bool) -> Durability {
        #[cfg(test)]
        if Mutation::ForgetLevel.is_on() {
            return Durability::Write;
        }
        let [of_persistent, of_any] = self.durability;
        if persistent { of_persistent } else { of_any }
    }

    /// For which queues a message goes to the log.
    pub(super) fn logged(&self, persistent: bool) -> &[QueueId] {
        if persistent {
            &self.logged
        } else {
            &self.always_logged
        }
    }
}
