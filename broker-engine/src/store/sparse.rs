//! Ids of messages that do not simply follow each other, packed: about one byte for each message that came alone.
//!
//! Groups of consecutive ids within one entry: a varint with the distance in entries from the group before (doubled, plus
//! one if more follows), then for groups that are not just the first message of their entry the place and the span.

use std::ops::Range;

use super::{
    ids::MessageId,
    wire::{Reader, Write},
};

/// Sorted ids. The bytes are well-formed: they were packed, or checked, here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sparse {
    /// The entry of the first id.
    entry: u64,
    bytes: Box<[u8]>,
}

/// Consecutive ids.
struct Group {
    first: MessageId,
    span: u64,
}

impl Sparse {
    /// Packs sorted ids.
    pub(crate) fn of(ids: &[MessageId]) -> Self {
        let entry = ids.first().map_or(0, |id| id.entry());
        let (mut bytes, mut last) = (Vec::new(), entry);
        let is_next =
            |one: &MessageId, next: &MessageId| one.0 + 1 == next.0 && one.entry() == next.entry();
        for group in ids.chunk_by(is_next) {
            let (first, span) = (group[0], group.len() as u64 - 1);
            let (distance, place) = (first.entry() - last, first.place());
            last = first.entry();
            let has_more = place != 0 || span != 0;
            bytes.put_varint(distance << 1 | u64::from(has_more));
            if has_more {
                bytes.put_varint(u64::from(place));
                bytes.put_varint(span);
            }
        }
        Self {
            entry,
            bytes: bytes.into(),
        }
    }

    /// Takes packed ids that start with `first`; none when they are not sorted or not packed.
    pub(crate) fn from_bytes(first: MessageId, bytes: &[u8]) -> Option<Self> {
        let sparse = Self {
            entry: first.entry(),
            bytes: bytes.into(),
        };
        let mut reader = Reader::new(&sparse.bytes);
        let (mut entry, mut next) = (sparse.entry, first);
        while !reader.is_empty() {
            let group = read_group(&mut reader, &mut entry)?;
            let end = u64::from(group.first.place()).checked_add(group.span)?;
            if group.first < next || end >= MessageId::PER_ENTRY_MAX as u64 {
                return None;
            }
            next = MessageId(group.first.0 + group.span + 1);
        }
        Some(sparse)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn groups(&self) -> impl Iterator<Item = Group> {
        let mut reader = Reader::new(&self.bytes);
        let mut entry = self.entry;
        std::iter::from_fn(move || read_group(&mut reader, &mut entry))
    }

    /// How many ids there are, and the last.
    pub(crate) fn measure(&self) -> (u32, MessageId) {
        self.groups().fold((0, MessageId(0)), |(count, _), group| {
            (
                count.saturating_add(group.span as u32 + 1),
                MessageId(group.first.0 + group.span),
            )
        })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = MessageId> {
        self.groups()
            .flat_map(|group| (group.first.0..=group.first.0 + group.span).map(MessageId))
    }

    /// The numbers of the ids from `first` to `last`.
    pub(crate) fn numbers(&self, first: MessageId, last: MessageId) -> Range<u32> {
        let (mut start, mut end) = (0, 0);
        for group in self.groups() {
            if group.first > last {
                break;
            }
            // How many ids of the group come before a given one.
            let below = |id: u64| id.saturating_sub(group.first.0).min(group.span + 1) as u32;
            let so_far = end;
            if group.first < first {
                start = so_far + below(first.0);
            }
            end = so_far + below(last.0.saturating_add(1));
        }
        start..end.max(start)
    }
}

fn read_group(reader: &mut Reader<'_>, entry: &mut u64) -> Option<Group> {
    let head = reader.varint().ok()?;
    *entry = entry.checked_add(head >> 1)?;
    if *entry > MessageId::ENTRY_MAX {
        return None;
    }
    let (place, span) = if head & 1 == 1 {
        (reader.varint().ok()?, reader.varint().ok()?)
    } else {
        (0, 0)
    };
    Some(Group {
        first: MessageId::new(*entry, u16::try_from(place).ok()?),
        span,
    })
}

#[cfg(test)]
mod tests {
    use super::Sparse;
    use crate::store::ids::MessageId;

    #[test]
    fn a_message_that_came_alone_takes_one_byte() {
        let ids: Vec<_> = (1..500).map(|entry| MessageId::new(3 * entry, 0)).collect();
        let sparse = Sparse::of(&ids);
        assert_eq!(sparse.bytes().len(), ids.len());
        assert!(sparse.iter().eq(ids.iter().copied()));
        assert_eq!(sparse.measure(), (499, ids[498]));
    }

    #[test]
    fn numbers_are_those_of_a_search() {
        let ids: Vec<_> = [0x1_0000, 0x1_0001, 0x1_0005, 0x2_0000, 0x5_0003, 0x5_0004]
            .map(MessageId)
            .to_vec();
        let sparse = Sparse::of(&ids);
        for first in 0xffff..0x1_0008 {
            for last in (first..0x1_0008).chain([0x1_ffff, 0x2_0000, 0x5_0003, u64::MAX]) {
                let start = ids.partition_point(|id| id.0 < first) as u32;
                let end = ids.partition_point(|id| id.0 <= last) as u32;
                let found = sparse.numbers(MessageId(first), MessageId(last));
                assert_eq!((found.start, found.end), (start, end), "{first:x} {last:x}");
            }
        }
    }

    #[test]
    fn bytes_that_are_not_sorted_ids_are_refused() {
        let ids = [
            MessageId::new(7, 3),
            MessageId::new(7, 9),
            MessageId::new(8, 0),
        ];
        let bytes = Sparse::of(&ids).bytes().to_vec();
        assert!(Sparse::from_bytes(ids[0], &bytes).is_some());
        assert!(Sparse::from_bytes(ids[0], &bytes[..bytes.len() - 2]).is_none());
        // The same group again.
        assert!(Sparse::from_bytes(MessageId::new(7, 0), &[1, 3, 0, 1, 3, 0]).is_none());
        // A span beyond the entry's end.
        let mut long = vec![1, 0];
        long.extend([0x80, 0x80, 0x04]);
        assert!(Sparse::from_bytes(MessageId::new(7, 0), &long).is_none());
    }
}
