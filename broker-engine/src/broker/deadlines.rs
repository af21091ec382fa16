//! When which queue must be looked at: the one structure of timers of a node.
//!
//! Invariant: a queue that waits for something to expire has an entry no later than that. Entries may come early or
//! twice; the queue knows what is really due.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;

use super::queue::Queue;

/// Is told that a deadline came nearer than [`super::Broker::tick`] said. Called under a queue's lock: must be short.
pub trait DeadlineListener: Send + Sync {
    /// Something is due before what was due next.
    fn nearer(&self);
}

#[derive(Default)]
pub(crate) struct Deadlines {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    heap: BinaryHeap<Reverse<Entry>>,
    listener: Option<Weak<dyn DeadlineListener>>,
}

struct Entry {
    at_ms: u64,
    queue: Weak<Queue>,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.at_ms == other.at_ms
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at_ms.cmp(&other.at_ms)
    }
}

impl Deadlines {
    pub(crate) fn add(&self, at_ms: u64, queue: Weak<Queue>) {
        let mut state = self.state.lock();
        let is_nearer = state.heap.peek().is_none_or(|first| at_ms < first.0.at_ms);
        state.heap.push(Reverse(Entry { at_ms, queue }));
        let listener = state.listener.clone().filter(|_| is_nearer);
        drop(state);
        if let Some(listener) = listener.and_then(|listener| listener.upgrade()) {
            listener.nearer();
        }
    }

    /// Takes a queue that is due.
    pub(crate) fn take_due(&self, now_ms: u64) -> Option<Arc<Queue>> {
        let mut state = self.state.lock();
        while state
            .heap
            .peek()
            .is_some_and(|first| first.0.at_ms <= now_ms)
        {
            let queue = state.heap.pop().and_then(|first| first.0.queue.upgrade());
            if queue.is_some() {
                return queue;
            }
        }
        None
    }

    /// When the next one is due.
    pub(crate) fn next(&self) -> Option<u64> {
        self.state.lock().heap.peek().map(|first| first.0.at_ms)
    }

    pub(crate) fn listen(&self, listener: Weak<dyn DeadlineListener>) {
        self.state.lock().listener = Some(listener);
    }
}
