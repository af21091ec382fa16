//! Publisher confirms of one channel: which publishes wait for which position of the log.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use crate::broker::Position;

/// Publishes of a channel in confirm mode, numbered from 1.
#[derive(Debug, Default)]
pub(crate) struct Confirms {
    last: u64,
    settled: u64,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    up_to: u64,
    position: Position,
}

impl Confirms {
    /// Takes `count` publishes; those of a batch share the position that makes them durable.
    /// Publishes that need no log (`None`) share the fate of those before them, to keep the order.
    pub(crate) fn published(&mut self, count: usize, position: Option<Position>) {
        if count == 0 {
            return;
        }
        self.last += u64::try_from(count).unwrap_or(u64::MAX);
        let last_position = self.waiting.back().map(|waiting| waiting.position);
        let position = position.max(last_position).unwrap_or_default();
        match self.waiting.back_mut() {
            Some(waiting) if waiting.position == position => waiting.up_to = self.last,
            _ => self.waiting.push_back(Waiting {
                up_to: self.last,
                position,
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

    /// The last publish that `durable` covers, if any was waiting: confirms it and all before it.
    pub(crate) fn settle(&mut self, durable: Position) -> Option<u64> {
        let mut settled = None;
        while let Some(waiting) = self.waiting.front()
            && waiting.position <= durable
        {
            settled = Some(waiting.up_to);
            self.settled = waiting.up_to;
            self.waiting.pop_front();
        }
        settled
    }

    /// How many publishes wait.
    pub(crate) fn waiting_len(&self) -> u64 {
        let last = self.waiting.back().map(|waiting| waiting.up_to);
        last.map_or(0, |last| last.saturating_sub(self.settled))
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

    #[test]
    fn one_settlement_covers_every_publish_up_to_the_durable_position() {
        let mut confirms = Confirms::default();
        confirms.published(3, Some(Position(1)));
        confirms.published(2, Some(Position(2)));
        confirms.published(1, Some(Position(4)));
        assert_eq!(confirms.settle(Position(0)), None);
        assert_eq!(confirms.settle(Position(3)), Some(5));
        assert_eq!(confirms.settle(Position(3)), None);
        assert_eq!(confirms.fail(), Some(6));
        assert_eq!(confirms.settle(Position(9)), None);
    }

    #[test]
    fn a_transient_publish_is_settled_at_once_unless_an_earlier_one_waits() {
        let mut confirms = Confirms::default();
        confirms.published(1, None);
        assert_eq!(confirms.settle(Position(0)), Some(1));
        confirms.published(1, Some(Position(5)));
        confirms.published(1, None);
        assert_eq!(confirms.settle(Position(4)), None);
        assert_eq!(confirms.settle(Position(5)), Some(3));
    }
}
