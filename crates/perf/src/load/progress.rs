//! How far a run is: counters that every thread may look at, each written by one.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

/// A counter on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Counter(AtomicU64);

impl Deref for Counter {
    type Target = AtomicU64;

    fn deref(&self) -> &AtomicU64 {
        &self.0
    }
}

/// Shared by the threads of a run.
#[derive(Debug)]
pub(super) struct Progress {
    start: Instant,
    is_stopping: AtomicBool,
    is_published: AtomicBool,
    /// By publisher.
    pub(super) published: Vec<Counter>,
    /// By consumer.
    pub(super) received: Vec<Counter>,
}

impl Progress {
    pub(super) fn new(publishers: usize, consumers: usize) -> Self {
        Self {
            start: Instant::now(),
            is_stopping: AtomicBool::new(false),
            is_published: AtomicBool::new(false),
            published: (0..publishers).map(|_| Counter::default()).collect(),
            received: (0..consumers).map(|_| Counter::default()).collect(),
        }
    }

    /// Nanoseconds since the run was set up.
    pub(super) fn now_ns(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    pub(super) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    /// All publishers are done.
    pub(super) fn end_publishing(&self) {
        self.is_published.store(true, Ordering::Relaxed);
    }

    /// Whether consumers that wait for `backlog` messages need not wait any more.
    pub(super) fn has_backlog(&self, backlog: u64) -> bool {
        self.published_total() >= backlog
            || self.is_published.load(Ordering::Relaxed)
            || self.is_stopping()
    }

    pub(super) fn published_total(&self) -> u64 {
        total(&self.published)
    }

    pub(super) fn received_total(&self) -> u64 {
        total(&self.received)
    }
}

fn total(counters: &[Counter]) -> u64 {
    counters
        .iter()
        .map(|counter| counter.load(Ordering::Relaxed))
        .sum()
}
