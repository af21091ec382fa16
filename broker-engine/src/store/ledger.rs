//! The messages of one queue as the log knows them: where each lies and how often it came back.
//!
//! Ids only ever grow at the end and mostly go at the front, so a ring with a binary search does; what goes in the middle
//! leaves a tombstone until the tombstones are the majority.

use std::collections::VecDeque;

use super::ids::MessageId;

/// A message that is in a queue. The frame (length, checksum, content) starts at `offset` of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) id: MessageId,
    pub(crate) file: u32,
    pub(crate) offset: u32,
    /// The length of the content alone.
    pub(crate) len: u32,
    pub(crate) returns: u8,
    is_dead: bool,
}

impl Stored {
    pub(crate) fn new(id: MessageId, file: u32, offset: u32, len: u32, returns: u8) -> Self {
        Self {
            id,
            file,
            offset,
            len,
            returns,
            is_dead: false,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    messages: VecDeque<Stored>,
    dead: usize,
    pub(crate) handed_out: MessageId,
}

impl Ledger {
    /// Adds a message; one whose id is not above all others is already known and ignored (false).
    pub(crate) fn push(&mut self, stored: Stored) -> bool {
        if self
            .messages
            .back()
            .is_some_and(|last| last.id >= stored.id)
        {
            return false;
        }
        self.messages.push_back(stored);
        true
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.messages.len() - self.dead
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Stored> {
        self.messages.iter().filter(|stored| !stored.is_dead)
    }

    pub(crate) fn get(&self, id: MessageId) -> Option<&Stored> {
        let at = self
            .messages
            .binary_search_by_key(&id, |stored| stored.id)
            .ok()?;
        self.messages.get(at).filter(|stored| !stored.is_dead)
    }

    pub(crate) fn get_mut(&mut self, id: MessageId) -> Option<&mut Stored> {
        let at = self
            .messages
            .binary_search_by_key(&id, |stored| stored.id)
            .ok()?;
        self.messages.get_mut(at).filter(|stored| !stored.is_dead)
    }

    /// Counts a return of each message from `first` to `last`.
    pub(crate) fn returned(&mut self, first: MessageId, last: MessageId) {
        let start = self.messages.partition_point(|stored| stored.id < first);
        for stored in self
            .messages
            .range_mut(start..)
            .take_while(|stored| stored.id <= last)
        {
            stored.returns = stored.returns.saturating_add(1);
        }
    }

    /// Removes the messages from `first` to `last`, calling `removed` with each.
    pub(crate) fn remove(
        &mut self,
        first: MessageId,
        last: MessageId,
        mut removed: impl FnMut(&Stored),
    ) {
        let start = self.messages.partition_point(|stored| stored.id < first);
        let in_range = self
            .messages
            .range_mut(start..)
            .take_while(|stored| stored.id <= last);
        for stored in in_range.filter(|stored| !stored.is_dead) {
            stored.is_dead = true;
            self.dead += 1;
            removed(stored);
        }
        while self.messages.front().is_some_and(|stored| stored.is_dead) {
            self.messages.pop_front();
            self.dead -= 1;
        }
        if self.dead > 64 && self.dead > self.messages.len() / 2 {
            self.messages.retain(|stored| !stored.is_dead);
            self.dead = 0;
        }
        if self.messages.len() < self.messages.capacity() / 8 {
            self.messages.shrink_to(self.messages.len() * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Ledger, Stored};
    use crate::store::ids::MessageId;

    #[test]
    fn behaves_as_a_sorted_map() {
        let mut random = fastrand::Rng::with_seed(3);
        let (mut ledger, mut model, mut next) = (Ledger::default(), BTreeMap::new(), 0);
        for _ in 0..20_000 {
            if random.bool() {
                next += random.u64(1..4);
                assert!(ledger.push(Stored::new(MessageId(next), 1, 0, 0, 0)));
                model.insert(next, 0u8);
            } else {
                let first = random.u64(..=next);
                let last = first + random.u64(..4);
                if random.bool() {
                    ledger.returned(MessageId(first), MessageId(last));
                    model
                        .range_mut(first..=last)
                        .for_each(|(_, returns)| *returns = returns.saturating_add(1));
                } else {
                    let mut removed = Vec::new();
                    ledger.remove(MessageId(first), MessageId(last), |stored| {
                        removed.push(stored.id.0)
                    });
                    let expected: Vec<u64> = model.range(first..=last).map(|(id, _)| *id).collect();
                    expected.iter().for_each(|id| {
                        model.remove(id);
                    });
                    assert_eq!(removed, expected);
                }
            }
            assert_eq!(ledger.len(), model.len());
        }
        let content: Vec<_> = ledger
            .iter()
            .map(|stored| (stored.id.0, stored.returns))
            .collect();
        assert_eq!(content, model.into_iter().collect::<Vec<_>>());
        assert!(
            !ledger.push(Stored::new(MessageId(next), 1, 0, 0, 0)),
            "a known id is ignored"
        );
    }
}
