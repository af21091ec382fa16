//! Publisher confirms of one channel: which publishes wait for which position of the log.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use crate::broker::{Position, Progress};

/// Publishes of a channel in confirm mode, numbered from 1.
#[derive(Debug, Default)]
pub(crate) struct Confirms {
    last: u64,
    /// How many were confirmed.
    confirmed: u64,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    up_to: u64,
    /// How many there are: numbers in between may have been refused.
    count: u64,
    /// How far the log must get.
    needed: Progress,
}

impl Confirms {
    /// Takes `count` publishes; those of a batch share the position that makes them durable.
    /// Publishes that need no log (`None`) share the fate of those before them, to keep the order.
    pub(crate) fn published(&mut self, count: usize, position: Option<Position>) {
        if count == 0 {
            return;
        }
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.last += count;
        let before = self.waiting.back().map(|waiting| waiting.needed);
        let before = before.unwrap_or_default();
        let needed = position.map_or(before, |position| before.raised_to(position));
        match self.waiting.back_mut() {
            Some(waiting) if waiting.needed == needed => {
                waiting.up_to = self.last;
                waiting.count += count;
            }
            _ => self.waiting.push_back(Waiting {
                up_to: self.last,
                count,
                needed,
            }),
        }
    }

    /// Numbers `count` publishes that were not taken; each is refused on its own, because those
    /// before them may still wait.
    pub(crate) fn refused(&mut self, count: usize) -> RangeInclusive<u64> {
        let first = self.last + 1;
        self.last += u64::try_from(count).unwrap_or(u64::MAX);
        first..=self.last
    }

    /// The last publish that need not wait any more, if any was waiting: confirms it and all before it.
    pub(crate) fn settle(&mut self, reached: Progress) -> Option<u64> {
        let mut settled = None;
        while let Some(waiting) = self.waiting.front()
            && reached.includes(waiting.needed)
        {
            settled = Some(waiting.up_to);
            self.confirmed += waiting.count;
            self.waiting.pop_front();
        }
        settled
    }

    /// How many publishes wait.
    pub(crate) fn waiting_len(&self) -> u64 {
        self.waiting.iter().map(|waiting| waiting.count).sum()
    }

    /// How many were confirmed.
    pub(crate) fn confirmed(&self) -> u64 {
        self.confirmed
    }

    /// The last publish that waits; nobody will wait any more.
    pub(crate) fn fail(&mut self) -> Option<u64> {
        let last = self.waiting.back().map(|waiting| waiting.up_to);
        self.waiting.clear();
        last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::{Durability, Point};

    fn position(point: u64, level: Durability) -> Option<Position> {
        Some(Position::new(Point(point), level))
    }

    fn reached(written: u64, synced: u64) -> Progress {
        Progress {
            written: Point(written),
            synced: Point(synced),
        }
    }

    #[test]
    fn one_settlement_covers_every_publish_up_to_the_durable_position() {
        let mut confirms = Confirms::default();
        confirms.published(3, position(1, Durability::Sync));
        confirms.published(2, position(2, Durability::Sync));
        confirms.published(1, position(4, Durability::Sync));
        assert_eq!(confirms.settle(reached(4, 0)), None);
        assert_eq!(confirms.settle(reached(4, 3)), Some(5));
        assert_eq!(confirms.settle(reached(4, 3)), None);
        assert_eq!(confirms.fail(), Some(6));
        assert_eq!(confirms.settle(reached(9, 9)), None);
    }

    #[test]
    fn a_transient_publish_is_settled_at_once_unless_an_earlier_one_waits() {
        let mut confirms = Confirms::default();
        confirms.published(1, None);
        assert_eq!(confirms.settle(reached(0, 0)), Some(1));
        confirms.published(1, position(5, Durability::Sync));
        confirms.published(1, None);
        assert_eq!(confirms.settle(reached(5, 4)), None);
        assert_eq!(confirms.settle(reached(5, 5)), Some(3));
    }

    #[test]
    fn a_publish_waits_for_the_level_of_its_queues_and_for_those_before_it() {
        let mut confirms = Confirms::default();
        confirms.published(1, position(1, Durability::Write));
        confirms.published(1, position(2, Durability::Sync));
        confirms.published(1, position(3, Durability::Write));
        assert_eq!(confirms.settle(reached(2, 0)), Some(1));
        assert_eq!(confirms.settle(reached(3, 1)), None, "the second waits");
        assert_eq!(
            confirms.settle(reached(2, 2)),
            Some(2),
            "the third is not written"
        );
        assert_eq!(
            confirms.settle(reached(3, 2)),
            Some(3),
            "and need not be synced"
        );
    }
}
