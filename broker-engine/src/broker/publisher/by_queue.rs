//! Messages of a call that go to one queue each, brought together by queue.
//!
//! A publisher that spreads its messages would otherwise cost a queue a visit, and the log an operation, for each of
//! them. Owns the order in which they are stored: within a queue the one in which they were published; between queues
//! there is none to keep (AMQP 0-9-1, section 4.7). Does not know what a message says.

use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;

use super::super::route::Route;
use crate::{lists, store::QueueId};

thread_local! {
    static LIST: Cell<Vec<Stretch>> = const { Cell::new(Vec::new()) };
}

/// Messages in a row that go to the same queue.
struct Stretch {
    queue: QueueId,
    numbers: Range<usize>,
    route: Arc<Route>,
}

/// Which messages of a call go where, by their numbers.
#[derive(Default)]
pub(super) struct ByQueue {
    stretches: Vec<Stretch>,
}

impl ByQueue {
    pub(super) fn is_empty(&self) -> bool {
        self.stretches.is_empty()
    }

    /// Takes note of a message that goes to this queue alone.
    pub(super) fn add(&mut self, number: usize, queue: QueueId, route: &Arc<Route>) {
        if self.stretches.capacity() == 0 {
            self.stretches = lists::take(&LIST);
        }
        match self.stretches.last_mut() {
            Some(last) if last.numbers.end == number && Arc::ptr_eq(&last.route, route) => {
                last.numbers.end = number + 1;
            }
            _ => self.stretches.push(Stretch {
                queue,
                numbers: number..number + 1,
                route: Arc::clone(route),
            }),
        }
    }

    /// Takes note of a message that goes where the one before it goes.
    pub(super) fn extend(&mut self) {
        if let Some(last) = self.stretches.last_mut() {
            last.numbers.end += 1;
        }
    }

    /// Tells `stage` all messages, queue by queue, until that fails.
    pub(super) fn stage<E>(
        self,
        mut stage: impl FnMut(Range<usize>, &Arc<Route>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut stretches = self.stretches;
        stretches.sort_unstable_by_key(|stretch| (stretch.queue, stretch.numbers.start));
        let staged = stretches
            .iter()
            .try_for_each(|stretch| stage(stretch.numbers.clone(), &stretch.route));
        lists::give(&LIST, stretches);
        staged
    }
}
