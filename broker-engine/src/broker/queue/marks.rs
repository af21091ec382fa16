//! What the log knows about what was handed out.
//!
//! The log is told ahead of time, in statements: nothing above this message was handed out. A message goes out when a
//! statement that covers it is durable, or came into the log before the message: then the one is not there without the
//! other (where an entry is missing, recovery takes all that is behind it for handed out).

use std::{collections::VecDeque, ops::RangeInclusive};

use crate::store::{MessageId, Position, Progress};

/// How far ahead, in ids, the log is told what may be handed out. Each logged statement covers this many entries, so
/// that a busy queue states it rarely; after a crash at most this many fresh messages carry the redelivered flag.
const AHEAD: u64 = 4096 << 16;

/// How many statements may be on their way: nobody else may be waiting for the log.
const STATEMENTS_MAX: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Marks {
    /// The log says that nothing above this was handed out.
    pub(super) logged: MessageId,
    /// And up to here that is durable.
    sure: MessageId,
    /// The statements about what is above, in order.
    unsure: VecDeque<Statement>,
    /// The highest that was handed out.
    pub(super) actual: MessageId,
}

#[derive(Debug)]
struct Statement {
    up_to: MessageId,
    /// The entry of the log that says so.
    entry: u64,
    position: Position,
}

impl Marks {
    /// The log says durably that nothing above `logged` was handed out.
    pub(super) fn settle(&mut self, logged: MessageId) {
        (self.logged, self.sure) = (logged, logged);
        self.unsure = VecDeque::new();
    }

    /// What the log is to be told before this message is handed out, if anything.
    pub(super) fn due(&self, id: MessageId) -> Option<MessageId> {
        (id.0 + AHEAD / 2 > self.logged.0).then(|| Self::ahead_of(id))
    }

    /// As far as is stated together with a message.
    pub(super) fn ahead_of(id: MessageId) -> MessageId {
        MessageId(id.0.saturating_add(AHEAD))
    }

    /// The log was told so, in this entry, which is durable at the position.
    pub(super) fn stated(&mut self, up_to: MessageId, (entry, position): (u64, Position)) {
        self.logged = up_to;
        self.unsure.push_back(Statement {
            up_to,
            entry,
            position,
        });
    }

    /// What must be durable before these messages are handed out, if it may not be.
    pub(super) fn awaited(&self, ids: RangeInclusive<MessageId>) -> Option<Position> {
        if self.unsure.len() > STATEMENTS_MAX {
            return self.unsure.front().map(|first| first.position);
        }
        let (mut first, last) = ids.into_inner();
        let (mut below, mut awaited) = (self.sure, None);
        for statement in &self.unsure {
            // The first one that this statement is needed for.
            first = first.max(MessageId(below.0 + 1));
            if first > last {
                break;
            }
            if first <= statement.up_to && first.entry() <= statement.entry {
                awaited = Some(statement.position);
            }
            below = below.max(statement.up_to);
        }
        awaited
    }

    /// The log got so far.
    pub(super) fn reached(&mut self, progress: Progress) {
        while let Some(first) = self.unsure.front()
            && progress.covers(first.position)
        {
            self.sure = self.sure.max(first.up_to);
            self.unsure.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Durability, Point};

    fn at(point: u64) -> Position {
        Position::new(Point(point), Durability::Sync)
    }

    fn synced(point: u64) -> Progress {
        Progress {
            written: Point(point),
            synced: Point(point),
        }
    }

    fn id(entry: u64) -> MessageId {
        MessageId::new(entry, 0)
    }

    fn awaited(marks: &Marks, first: u64, last: u64) -> Option<Position> {
        marks.awaited(id(first)..=id(last))
    }

    #[test]
    fn a_message_waits_for_its_statement_unless_it_came_behind() {
        let mut marks = Marks::default();
        assert_eq!(marks.due(id(1)), Some(id(4097)));
        marks.stated(id(4097), (10, at(1)));
        assert_eq!(awaited(&marks, 1, 1), Some(at(1)), "it was there before");
        assert_eq!(awaited(&marks, 11, 11), None, "it came behind");
        assert_eq!(
            (marks.due(id(2048)), marks.due(id(2050))),
            (None, Some(id(6146)))
        );
        marks.stated(id(6146), (2051, at(2)));
        assert_eq!(awaited(&marks, 2050, 2050), None, "the first one covers it");
        marks.reached(synced(1));
        assert_eq!(awaited(&marks, 1, 1), None);
        marks.stated(id(9000), (7000, at(3)));
        assert_eq!(
            awaited(&marks, 5000, 5000),
            None,
            "it came behind the second"
        );
        assert_eq!(awaited(&marks, 6900, 6900), Some(at(3)));
        assert_eq!(awaited(&marks, 5000, 6900), Some(at(3)));
        assert_eq!(awaited(&marks, 6900, 7500), Some(at(3)), "some came before");
        assert_eq!(awaited(&marks, 7001, 7500), None);
        marks.reached(synced(3));
        assert_eq!(awaited(&marks, 6900, 6900), None);
        assert!(marks.unsure.is_empty());
        for point in 0..=STATEMENTS_MAX as u64 {
            assert_eq!(awaited(&marks, 1 << 20, 1 << 20), None);
            marks.stated(id((1 << 20) + point), (point, at(4 + point)));
        }
        assert_eq!(
            awaited(&marks, 1 << 20, 1 << 20),
            Some(at(4)),
            "they are bounded"
        );
    }
}
