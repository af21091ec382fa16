//! Counters of one object, cheap to add to, and their past.

use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;

use super::{
    history::{History, Series},
    past::Past,
    sampler::{PERIOD_MS, Sampled, Sampler},
};

/// In no period yet.
const NEVER: u32 = u32::MAX;

/// `N` counters or lengths of one object.
pub(crate) struct Meter<const N: usize> {
    values: [AtomicU64; N],
    /// The period in which it entered itself last.
    entered: AtomicU32,
    sampler: Arc<Sampler>,
    /// Where the same is counted of all objects of a kind.
    sum: Option<Arc<Self>>,
    /// None as long as nothing was counted.
    past: Mutex<Option<Box<Past<N>>>>,
    me: Weak<Self>,
}

impl<const N: usize> Meter<N> {
    /// A meter of one object, part of `sum`.
    pub(crate) fn new(sampler: &Arc<Sampler>, sum: Option<&Arc<Self>>) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            values: std::array::from_fn(|_| AtomicU64::new(0)),
            entered: AtomicU32::new(NEVER),
            sampler: Arc::clone(sampler),
            sum: sum.cloned(),
            past: Mutex::default(),
            me: me.clone(),
        })
    }

    /// A meter that others are part of.
    pub(super) fn of_sum(sampler: &Arc<Sampler>, sum: Option<&Arc<Self>>) -> Arc<Self> {
        let meter = Self::new(sampler, sum);
        sampler.add_sum(meter.me.clone());
        meter
    }

    /// Adds to a counter that nobody else adds to at the same time.
    pub(crate) fn add(&self, at: impl Into<usize>, count: u64) {
        let value = &self.values[at.into()];
        let grown = value.load(Ordering::Relaxed).wrapping_add(count);
        value.store(grown, Ordering::Relaxed);
        self.enter();
    }

    /// Adds to a counter that others may add to at the same time.
    pub(crate) fn add_shared(&self, at: impl Into<usize>, count: u64) {
        self.values[at.into()].fetch_add(count, Ordering::Relaxed);
        self.enter();
    }

    /// Says how long something is, which nobody else does at the same time.
    pub(crate) fn set(&self, at: impl Into<usize>, length: u64) {
        let value = &self.values[at.into()];
        if value.load(Ordering::Relaxed) != length {
            value.store(length, Ordering::Relaxed);
            self.enter();
        }
    }

    /// A counter now.
    pub(crate) fn get(&self, at: impl Into<usize>) -> u64 {
        self.values[at.into()].load(Ordering::Relaxed)
    }

    /// The counters now, and at the end of each of the last `periods`.
    pub(crate) fn history(&self, periods: u32) -> History {
        let last = self.sampler.period().saturating_sub(1);
        let past = self.past.lock();
        let series = (0..N).map(|at| Series {
            now: self.get(at),
            ended: match &*past {
                Some(past) => past.values(at, last, periods),
                None => vec![0; periods as usize],
            },
        });
        History {
            last_ms: (u64::from(last) + 1) * PERIOD_MS,
            series: series.collect(),
        }
    }

    fn enter(&self) {
        let period = self.sampler.period();
        if self.entered.load(Ordering::Relaxed) != period {
            self.enter_first(period);
        }
    }

    #[cold]
    fn enter_first(&self, period: u32) {
        self.entered.store(period, Ordering::Relaxed);
        if let Some(me) = self.me.upgrade() {
            self.sampler.enter(me);
        }
    }
}

impl<const N: usize> Sampled for Meter<N> {
    fn sample(&self, period: u32) {
        let mut past = self.past.lock();
        let is_first = past.is_none();
        let past = past.get_or_insert_with(|| Box::new(Past::new([0; N])));
        let was_empty = past.is_empty();
        let values = std::array::from_fn(|at| self.get(at));
        let grown = past.record(period, values);
        if let Some(sum) = &self.sum {
            for (at, count) in grown
                .into_iter()
                .enumerate()
                .filter(|(_, count)| *count > 0)
            {
                sum.values[at].fetch_add(count, Ordering::Relaxed);
            }
        }
        if is_first || was_empty && !past.is_empty() {
            self.sampler.remember(self.me.clone());
        }
    }

    fn trim(&self, period: u32) -> bool {
        let mut past = self.past.lock();
        past.as_mut().is_none_or(|past| past.trim(period))
    }
}

impl<const N: usize> fmt::Debug for Meter<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.values).finish()
    }
}
