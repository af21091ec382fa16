//! Which of the queues on a message's way take it: some refuse what is too much, or what came before.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    super::{
        dead_letter::{self, Reason},
        message::{Message, Parts, Publish},
        queue::{Admission, Dead, Entry, Extent, Overflow, Queue},
        route::{Route, SeenBefore},
    },
    PublishOutcome, Publisher,
};
use crate::store::Position;

/// Who of those on a message's way takes it.
pub(in crate::broker) struct Accepting {
    pub(in crate::broker) route: Arc<Route>,
    /// Those that are full.
    pub(super) refusing: Vec<Arc<Queue>>,
    /// Whether the same message is on its way from somebody else, and may be refused there.
    is_undecided: bool,
}

impl Accepting {
    /// Whether the publisher must be told that the message did not get everywhere.
    pub(in crate::broker) fn is_refused(&self) -> bool {
        self.is_undecided || !self.refusing.is_empty()
    }

    /// Gives back the room that those who take it keep for the message.
    pub(in crate::broker) fn unreserve(&self, message: &Publish<'_>) {
        let mut extent = Extent::default();
        extent.add(0, message.body.len());
        self.route.unreserve(extent);
    }
}

impl Publisher {
    /// The route without the queues that are full and refuse, or that had the message before.
    pub(in crate::broker) fn accepting(
        &self,
        message: &Publish<'_>,
        route: Arc<Route>,
        outcome: &mut PublishOutcome,
    ) -> Accepting {
        if route.is_plain() {
            return Accepting {
                route,
                refusing: Vec::new(),
                is_undecided: false,
            };
        }
        let (mut taking, mut refusing) = (Vec::new(), Vec::new());
        let mut seen = SeenBefore::default();
        for queue in route.queues() {
            match queue.admit(message.properties, message.body.len(), self.bringer) {
                Admission::Taken(note) => {
                    seen.notes.extend(note);
                    taking.push(Arc::clone(queue));
                }
                Admission::Duplicate(position) => {
                    seen.position = Position::of_both(seen.position, position);
                }
                Admission::Undecided => seen.is_undecided = true,
                Admission::Refused => refusing.push(Arc::clone(queue)),
            }
        }
        if let Some(exchange) = route.into_seen() {
            seen.position = Position::of_both(seen.position, exchange.position);
            seen.is_undecided |= exchange.is_undecided;
            // Whoever is told no may try again: the exchange must not take that for a repetition.
            if refusing.is_empty() && !seen.is_undecided {
                seen.notes.extend(exchange.notes);
            }
        }
        outcome.durable = Position::of_both(outcome.durable, seen.position);
        let is_undecided = seen.is_undecided;
        let seen = (!seen.notes.is_empty()).then(|| Box::new(seen));
        Accepting {
            route: Arc::new(Route::new(taking).of_one(seen)),
            refusing,
            is_undecided,
        }
    }

    /// What a queue refuses may go where its dead messages go.
    pub(super) fn bury_refused(&self, message: &Publish<'_>, refusing: &[Arc<Queue>]) {
        for queue in refusing {
            if queue.rules().overflow == Overflow::RejectAndBury
                && let Some(parts) = Parts::new(message, None)
            {
                let bytes = Bytes::from(parts.of(message).concat());
                let entry = Entry::of(Message::from_parts(bytes));
                let reason = Reason::MaxLength;
                dead_letter::bury(self.session.vhost(), queue, vec![Dead { entry, reason }]);
            }
        }
    }
}
