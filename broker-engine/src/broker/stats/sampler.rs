//! Time in periods, and who counted something in the current one.
//!
//! Whoever counts enters itself once a period; when the period ends exactly those are looked at. Objects that do
//! nothing cost nothing.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicU32, Ordering},
};

use parking_lot::Mutex;

use super::past::PERIODS_MAX;

/// How long a period is: as often as RabbitMQ samples.
pub(crate) const PERIOD_MS: u64 = 5000;

/// Something with counters.
pub(super) trait Sampled: Send + Sync {
    /// Remembers what the counters are at the end of `period`, and adds what is new to the sum they are part of.
    fn sample(&self, period: u32);
    /// Forgets what is too long ago. True when nothing is left to forget.
    fn trim(&self, period: u32) -> bool;
}

/// The periods of one node.
#[derive(Default)]
pub(crate) struct Sampler {
    period: AtomicU32,
    entered: Mutex<Entered>,
    /// Sums that others add to, each before those that are part of it.
    sums: Mutex<Vec<Weak<dyn Sampled>>>,
    /// Who remembers something.
    remembering: Mutex<Vec<Weak<dyn Sampled>>>,
}

#[derive(Default)]
struct Entered {
    /// Who counted something in this period.
    now: Vec<Arc<dyn Sampled>>,
    /// And in the one before: what one of them counted in the very moment that ended it may not have been seen then.
    before: Vec<Arc<dyn Sampled>>,
}

/// The number of the period that a time is in.
fn period_of(now_ms: u64) -> u32 {
    u32::try_from(now_ms / PERIOD_MS).unwrap_or(u32::MAX)
}

impl Sampler {
    pub(super) fn period(&self) -> u32 {
        self.period.load(Ordering::Relaxed)
    }

    /// Has `object` looked at when the period ends.
    pub(super) fn enter(&self, object: Arc<dyn Sampled>) {
        self.entered.lock().now.push(object);
    }

    pub(super) fn add_sum(&self, sum: Weak<dyn Sampled>) {
        self.sums.lock().push(sum);
    }

    pub(super) fn remember(&self, object: Weak<dyn Sampled>) {
        self.remembering.lock().push(object);
    }

    /// Ends the period if its time is over. A clock that was set back begins no period before it is there again.
    pub(crate) fn advance(&self, now_ms: u64) {
        let (before, now) = (self.period(), period_of(now_ms));
        if now <= before {
            return;
        }
        // The first one began with the node.
        let ended = if before == 0 { now - 1 } else { before };
        self.period.store(now, Ordering::Relaxed);
        let (entered, last) = {
            let mut entered = self.entered.lock();
            let now = std::mem::take(&mut entered.now);
            let last = std::mem::replace(&mut entered.before, now.clone());
            (now, last)
        };
        for object in last.iter().chain(&entered) {
            object.sample(ended);
        }
        self.sum_up(ended);
        if now / PERIODS_MAX != before / PERIODS_MAX {
            let list = std::mem::take(&mut *self.remembering.lock());
            let kept = list.into_iter().filter(|object| {
                let object = object.upgrade();
                object.is_some_and(|object| !object.trim(now))
            });
            let kept: Vec<_> = kept.collect();
            self.remembering.lock().extend(kept);
        }
    }

    /// Adds up what was counted so far in this period.
    pub(crate) fn collect(&self) {
        let period = self.period();
        let entered = {
            let entered = self.entered.lock();
            [entered.before.clone(), entered.now.clone()].concat()
        };
        for object in entered {
            object.sample(period);
        }
        self.sum_up(period);
    }

    fn sum_up(&self, period: u32) {
        let sums: Vec<_> = {
            let mut sums = self.sums.lock();
            sums.retain(|sum| sum.strong_count() > 0);
            sums.iter().rev().filter_map(Weak::upgrade).collect()
        };
        for sum in sums {
            sum.sample(period);
        }
    }
}

impl std::fmt::Debug for Sampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sampler")
            .field("period", &self.period)
            .finish_non_exhaustive()
    }
}
