//! Whether everything arrived, once, in order and whole.

use crate::body::Stamp;

/// What one consumer got, by queue-independent flow. Costs a bit a message.
#[derive(Debug, Default)]
pub(super) struct Received {
    flows: Vec<Flow>,
    pub(super) duplicates: u64,
    pub(super) redelivered: u64,
    pub(super) out_of_order: u64,
    pub(super) bad_bodies: u64,
}

#[derive(Debug, Default)]
struct Flow {
    /// One bit for each sequence number.
    seen: Vec<u64>,
    /// The highest that came, plus one.
    next: u64,
}

/// Sequence numbers beyond this are damage: a bit each must fit in memory.
const SEQUENCE_MAX: u64 = 1 << 36;

impl Received {
    /// Notes a message whose body was whole.
    #[inline]
    pub(super) fn add(&mut self, stamp: Stamp, is_redelivered: bool) {
        let flow = usize::from(stamp.flow);
        if flow >= self.flows.len() {
            self.flows.resize_with(flow + 1, Flow::default);
        }
        let flow = &mut self.flows[flow];
        let (word, bit) = ((stamp.sequence / 64) as usize, 1 << (stamp.sequence % 64));
        if word >= flow.seen.len() {
            if stamp.sequence > SEQUENCE_MAX {
                self.bad_bodies += 1;
                return;
            }
            flow.seen.resize((word + 1).next_multiple_of(1024), 0);
        }
        self.redelivered += u64::from(is_redelivered);
        if flow.seen[word] & bit != 0 {
            // Delivering again is right after an interruption, and said so.
            self.duplicates += u64::from(!is_redelivered);
            return;
        }
        flow.seen[word] |= bit;
        if stamp.sequence < flow.next {
            self.out_of_order += u64::from(!is_redelivered);
        } else {
            flow.next = stamp.sequence + 1;
        }
    }

    /// Adds what another consumer of the same queue got.
    pub(super) fn merge(&mut self, other: Self) {
        self.duplicates += other.duplicates;
        self.redelivered += other.redelivered;
        self.out_of_order += other.out_of_order;
        self.bad_bodies += other.bad_bodies;
        if other.flows.len() > self.flows.len() {
            self.flows.resize_with(other.flows.len(), Flow::default);
        }
        for (mine, theirs) in self.flows.iter_mut().zip(other.flows) {
            if theirs.seen.len() > mine.seen.len() {
                mine.seen.resize(theirs.seen.len(), 0);
            }
            for (mine, theirs) in mine.seen.iter_mut().zip(theirs.seen) {
                self.duplicates += u64::from((*mine & theirs).count_ones());
                *mine |= theirs;
            }
        }
    }

    /// How many of the first `published` messages of a flow never came.
    pub(super) fn missing(&self, flow: u16, published: u64) -> u64 {
        let Some(flow) = self.flows.get(usize::from(flow)) else {
            return published;
        };
        let whole = (published / 64) as usize;
        let ones = |words: &[u64]| words.iter().map(|word| u64::from(word.count_ones())).sum();
        let mut seen: u64 = ones(&flow.seen[..whole.min(flow.seen.len())]);
        if let Some(word) = flow.seen.get(whole) {
            let rest = word & ((1 << (published % 64)) - 1);
            seen += u64::from(rest.count_ones());
        }
        published - seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(flow: u16, sequence: u64) -> Stamp {
        Stamp {
            flow,
            sequence,
            sent_ns: 0,
        }
    }

    fn received(sequences: impl IntoIterator<Item = u64>) -> Received {
        let mut received = Received::default();
        for sequence in sequences {
            received.add(stamp(3, sequence), false);
        }
        received
    }

    #[test]
    fn what_came_once_in_order_is_clean() {
        let got = received(0..1000);
        assert_eq!((got.duplicates, got.out_of_order), (0, 0));
        assert_eq!(got.missing(3, 1000), 0);
        assert_eq!(got.missing(3, 1005), 5);
        assert_eq!(got.missing(4, 7), 7);
    }

    #[test]
    fn gaps_repetitions_and_overtaking_are_told_apart() {
        let got = received([0, 1, 3, 2, 2, 70]);
        assert_eq!((got.out_of_order, got.duplicates), (1, 1));
        assert_eq!(got.missing(3, 71), 66);
        assert_eq!(got.missing(3, 4), 0);
    }

    #[test]
    fn redeliveries_may_repeat_and_come_late() {
        let mut got = received([0, 1, 5]);
        for sequence in [1, 3] {
            got.add(stamp(3, sequence), true);
        }
        assert_eq!(
            (got.duplicates, got.out_of_order, got.redelivered),
            (0, 0, 2)
        );
    }

    #[test]
    fn competing_consumers_complete_each_other_and_must_not_share() {
        let mut one = received((0..200).step_by(2));
        one.merge(received((0..200).skip(1).step_by(2)));
        assert_eq!(
            (one.missing(3, 200), one.duplicates, one.out_of_order),
            (0, 0, 0)
        );
        one.merge(received([77]));
        assert_eq!(one.duplicates, 1);
    }
}
