//! Distribution of durations in buckets of at most 3 % width, from a nanosecond to hours.

use std::fmt;

use serde::Serialize;

/// Buckets a power of two.
const STEPS: u64 = 32;
const STEPS_LOG: u32 = STEPS.trailing_zeros();
const BUCKETS: usize = (65 - STEPS_LOG as usize) * STEPS as usize;

/// Counted durations.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    len: u64,
    max_ns: u64,
}

/// Points of a distribution, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Percentiles {
    pub p50_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub max_us: f64,
}

impl fmt::Display for Percentiles {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "p50 {:.0} µs, p99 {:.0} µs, p99.9 {:.0} µs, max {:.0} µs",
            self.p50_us, self.p99_us, self.p999_us, self.max_us
        )
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            len: 0,
            max_ns: 0,
        }
    }
}

impl Histogram {
    pub(crate) fn record(&mut self, duration_ns: u64) {
        self.counts[bucket(duration_ns)] += 1;
        self.len += 1;
        self.max_ns = self.max_ns.max(duration_ns);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.len += other.len;
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    /// How many durations were recorded.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// `None` when nothing was recorded.
    pub(crate) fn percentiles(&self) -> Option<Percentiles> {
        (self.len > 0).then(|| Percentiles {
            p50_us: self.quantile_us(0.5),
            p99_us: self.quantile_us(0.99),
            p999_us: self.quantile_us(0.999),
            max_us: self.max_ns as f64 / 1e3,
        })
    }

    fn quantile_us(&self, quantile: f64) -> f64 {
        let rank = (self.len as f64 * quantile).ceil() as u64;
        let mut seen = 0;
        for (number, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper_ns(number).min(self.max_ns) as f64 / 1e3;
            }
        }
        self.max_ns as f64 / 1e3
    }
}

fn bucket(value: u64) -> usize {
    if value < STEPS {
        return value as usize;
    }
    let shift = value.ilog2() - STEPS_LOG;
    (u64::from(shift) * STEPS + (value >> shift)) as usize
}

/// The largest value of a bucket.
fn upper_ns(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < STEPS {
        return bucket;
    }
    let shift = bucket / STEPS - 1;
    let step = bucket % STEPS + STEPS;
    (u128::from(step + 1) << shift).min(u128::from(u64::MAX)) as u64 - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_a_bucket_that_is_narrow() {
        let values = (0..10_000u64).chain((14..63).flat_map(|power| {
            let base = 1u64 << power;
            [base - 1, base, base + base / 3]
        }));
        for value in values {
            let upper = upper_ns(bucket(value));
            assert!(
                upper >= value && (upper - value) as f64 <= value as f64 * 0.032,
                "{value} -> {upper}"
            );
        }
        assert!(bucket(u64::MAX) < BUCKETS);
    }

    #[test]
    fn percentiles_are_those_of_what_was_recorded() {
        let (mut low, mut high) = (Histogram::default(), Histogram::default());
        assert_eq!(low.percentiles(), None);
        (1..=980).for_each(|_| low.record(10_000));
        (1..=20).for_each(|_| high.record(5_000_000));
        low.merge(&high);
        let points = low.percentiles().unwrap();
        assert!((points.p50_us - 10.0).abs() < 0.4, "{points:?}");
        assert!((points.p99_us - 5000.0).abs() < 1.0, "{points:?}");
        assert!((points.max_us - 5000.0).abs() < 1e-9, "{points:?}");
    }
}
