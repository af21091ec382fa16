//! What a publisher's broker confirmed, however it words it: one by one, in any order, or many at
//! once.

use std::collections::{BTreeSet, VecDeque};

use crate::latency::Histogram;

#[derive(Debug, Default)]
pub(super) struct Confirms {
    published: u64,
    /// All publishes up to this one are confirmed, and those in `ahead`.
    up_to: u64,
    ahead: BTreeSet<u64>,
    /// Last publish of each write that waits, and when it was written.
    writes: VecDeque<(u64, u64)>,
    pub(super) latency: Histogram,
    pub(super) refused: u64,
}

impl Confirms {
    /// Notes a write of `count` publishes.
    pub(super) fn published(&mut self, count: u64, now_ns: u64) {
        self.published += count;
        self.writes.push_back((self.published, now_ns));
    }

    /// Notes an ack or, with `is_refusal`, a nack.
    pub(super) fn settle(&mut self, tag: u64, multiple: bool, is_refusal: bool, now_ns: u64) {
        let before = self.unconfirmed();
        if multiple {
            self.up_to = self
                .up_to
                .max(if tag == 0 { self.published } else { tag })
                .min(self.published);
            self.ahead = self.ahead.split_off(&(self.up_to + 1));
        } else if tag > self.up_to && tag <= self.published {
            self.ahead.insert(tag);
        }
        while self.ahead.first() == Some(&(self.up_to + 1)) {
            self.ahead.pop_first();
            self.up_to += 1;
        }
        if is_refusal {
            self.refused += before - self.unconfirmed();
        }
        while let Some((last, written_ns)) = self.writes.front()
            && *last <= self.up_to
        {
            self.latency.record(now_ns.saturating_sub(*written_ns));
            self.writes.pop_front();
        }
    }

    pub(super) fn unconfirmed(&self) -> u64 {
        self.published - self.up_to - self.ahead.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confirms_in_any_order_and_wording_are_counted_once() {
        let mut confirms = Confirms::default();
        confirms.published(10, 100);
        for (tag, multiple, left) in [
            (3, false, 9),
            (3, false, 9),
            (1, false, 8),
            (2, false, 7),
            (8, false, 6),
            (7, true, 2),
            (99, false, 2),
            (0, true, 0),
        ] {
            confirms.settle(tag, multiple, false, 1100);
            assert_eq!(confirms.unconfirmed(), left, "after {tag}");
        }
        assert!((confirms.latency.percentiles().unwrap().max_us - 1.0).abs() < 1e-9);
        assert_eq!(confirms.refused, 0);
    }

    #[test]
    fn refusals_are_counted_by_message() {
        let mut confirms = Confirms::default();
        confirms.published(5, 0);
        confirms.settle(2, true, false, 0);
        confirms.settle(4, true, true, 0);
        confirms.settle(5, false, true, 0);
        assert_eq!((confirms.refused, confirms.unconfirmed()), (3, 0));
    }
}
