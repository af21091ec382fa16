//! Delays between attempts: doubling, capped, with jitter so that a fleet does not come back at
//! the same instant after the control plane was away.

use std::time::Duration;

/// Delay before the attempt that follows the `failures`-th failure in a row (from 1).
/// `jitter` is in 0.0..1.0 and takes away up to half.
pub(crate) fn delay(failures: u32, first: Duration, cap: Duration, jitter: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(20);
    let full = first.saturating_mul(1 << doublings).min(cap);
    full.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0)
}

/// Counts failures in a row.
#[derive(Debug)]
pub(crate) struct Backoff {
    failures: u32,
    first: Duration,
    cap: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration, cap: Duration) -> Self {
        Self {
            failures: 0,
            first,
            cap,
        }
    }

    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }

    pub(crate) fn failed(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        delay(self.failures, self.first, self.cap, fastrand::f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_cap() {
        let (first, cap) = (Duration::from_millis(200), Duration::from_secs(5));
        let delays: Vec<u128> = (1..=7)
            .map(|failures| delay(failures, first, cap, 0.0).as_millis())
            .collect();
        assert_eq!(delays, [200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(delay(u32::MAX, first, cap, 0.0), cap);
    }

    #[test]
    fn jitter_takes_away_at_most_half() {
        let second = Duration::from_secs(1);
        assert_eq!(delay(1, second, second, 1.0), second / 2);
        assert_eq!(delay(1, second, second, 0.0), second);
    }
}
