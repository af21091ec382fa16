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
    remembering: Mutex<Remembering>,
}

/// How many who remember something are there before it is asked who of them is still alive.
const REMEMBERING_MIN: usize = 1024;

/// Who remembers something.
#[derive(Default)]
struct Remembering {
    list: Vec<Weak<dyn Sampled>>,
    /// How many of them were alive when that was asked last.
    alive: usize,
}

impl Remembering {
    /// Adds one. The dead keep their memory while they are listed: they are never many more than the living.
    fn add(&mut self, object: Weak<dyn Sampled>) {
        if self.list.len() >= 2 * self.alive.max(REMEMBERING_MIN) {
            self.list.retain(|object| object.strong_count() > 0);
            self.list.shrink_to(2 * self.list.len());
            self.alive = self.list.len();
        }
        self.list.push(object);
    }
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
        self.remembering.lock().add(object);
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
            let Remembering { mut list, .. } = std::mem::take(&mut *self.remembering.lock());
            list.retain(|object| {
                let object = object.upgrade();
                object.is_some_and(|object| !object.trim(now))
            });
            let mut remembering = self.remembering.lock();
            remembering.alive += list.len();
            remembering.list.append(&mut list);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::stats::meter::Meter;

    #[test]
    fn the_dead_are_forgotten_while_others_come() {
        let sampler = Arc::<Sampler>::default();
        let meter = || Meter::<1>::new(&sampler, None);
        let living: Vec<_> = (0..100).map(|_| meter()).collect();
        let count = |meter: &Meter<1>| meter.add(0_usize, 1);
        for number in 0..100_u64 {
            living.iter().for_each(|meter| count(meter));
            (0..1000).for_each(|_| count(&meter()));
            sampler.advance(PERIOD_MS * (1000 + number));
            let listed = sampler.remembering.lock().list.len();
            // Those who counted live for two periods.
            assert!(listed <= 2 * (100 + 2 * 1000), "{listed}");
        }
        sampler.advance(PERIOD_MS * 1102);
        let listed = sampler.remembering.lock().list.clone();
        let living = listed.iter().filter(|object| object.strong_count() > 0);
        assert_eq!(living.count(), 100);
    }
}
