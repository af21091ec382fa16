//! What the counters of one object were at the end of each period.
//!
//! Invariant: of periods in which nothing changed there is no sample; the one before stands for them.

use std::collections::VecDeque;

/// How many periods can be asked for: ten minutes.
pub(super) const PERIODS_MAX: u32 = 121;

/// Samples of `N` counters, the latest last.
#[derive(Debug)]
pub(super) struct Past<const N: usize> {
    samples: VecDeque<Sample<N>>,
    /// What the counters were before the first sample.
    base: [u64; N],
    /// What they were in the latest.
    latest: [u64; N],
}

/// The low halves of the counters. They tell it all: no counter moves by 2^31 between two samples.
#[derive(Clone, Copy, Debug)]
struct Sample<const N: usize> {
    period: u32,
    lows: [u32; N],
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the low half is what is kept"
)]
fn low(value: u64) -> u32 {
    value as u32
}

/// The counter that was `before` and whose low half is `low` now. Lengths shrink as well as grow.
fn moved(before: u64, now: u32) -> u64 {
    let step = now.wrapping_sub(low(before)).cast_signed();
    before.wrapping_add(i64::from(step).cast_unsigned())
}

impl<const N: usize> Past<N> {
    /// Of counters that were `base` when they were made.
    pub(super) fn new(base: [u64; N]) -> Self {
        Self {
            samples: VecDeque::new(),
            base,
            latest: base,
        }
    }

    /// Notes what the counters were when `period` ended. Returns by how much each has grown since the sample before,
    /// wrapping.
    pub(super) fn record(&mut self, period: u32, values: [u64; N]) -> [u64; N] {
        let grown = std::array::from_fn(|at| values[at].wrapping_sub(self.latest[at]));
        if grown == [0; N] {
            return grown;
        }
        self.latest = values;
        let lows = values.map(low);
        match self.samples.back_mut() {
            Some(last) if last.period >= period => last.lows = lows,
            _ => self.samples.push_back(Sample { period, lows }),
        }
        self.trim(period);
        grown
    }

    /// Whether there is no sample.
    pub(super) fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Forgets what cannot be asked for any more, as of `period`. True when nothing is left.
    pub(super) fn trim(&mut self, period: u32) -> bool {
        let oldest = period.saturating_sub(PERIODS_MAX);
        while let Some(first) = self.samples.front()
            && first.period <= oldest
        {
            for (base, low) in self.base.iter_mut().zip(first.lows) {
                *base = moved(*base, low);
            }
            self.samples.pop_front();
        }
        if self.samples.is_empty() {
            self.samples.shrink_to_fit();
        }
        self.samples.is_empty()
    }

    /// What counter `at` was at the end of the period `last` and of those before, as many as are asked for, the oldest
    /// first.
    pub(super) fn values(&self, at: usize, last: u32, count: u32) -> Vec<u64> {
        let mut samples = self.samples.iter().peekable();
        let mut value = self.base[at];
        (0..count)
            .rev()
            .map(|age| {
                let period = last.saturating_sub(age);
                while let Some(sample) = samples.next_if(|sample| sample.period <= period) {
                    value = moved(value, sample.lows[at]);
                }
                value
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_without_change_are_as_the_one_before() {
        let mut past = Past::new([0, 10]);
        assert_eq!(past.record(5, [3, 10]), [3, 0]);
        assert_eq!(past.record(6, [3, 10]), [0, 0]);
        assert_eq!(past.record(8, [4, 7]), [1, 3_u64.wrapping_neg()]);
        assert_eq!(past.samples.len(), 2);
        assert_eq!(past.values(0, 9, 6), [0, 3, 3, 3, 4, 4]);
        assert_eq!(past.values(1, 9, 3), [10, 7, 7]);
    }

    #[test]
    fn what_is_long_ago_is_forgotten_and_nothing_is_lost_of_the_rest() {
        let mut past = Past::new([u64::from(u32::MAX) - 1]);
        for period in 1..=1000 {
            past.record(period, [u64::from(u32::MAX) - 1 + u64::from(period)]);
        }
        assert_eq!(past.samples.len(), PERIODS_MAX as usize);
        let count = PERIODS_MAX;
        let first = u64::from(u32::MAX) - 1 + 1000 - u64::from(count - 1);
        assert_eq!(past.values(0, 1000, count)[0], first);
        assert!(!past.trim(1000));
        assert!(past.trim(1000 + PERIODS_MAX));
        assert_eq!(past.values(0, 1200, 2), [first + u64::from(count - 1); 2]);
        let last = first + u64::from(count - 1);
        past.record(1300, [last - 2000]);
        assert_eq!(past.values(0, 1300, 2), [last, last - 2000]);
    }
}
