//! A run: messages of one queue that lie one after the other in a file, known by one place for all of them.
//!
//! Which of them are gone is a count for those in front and a bitmap for the rest; where one lies within the run only
//! the file says. Invariant: ids grow within a run, and the bits in front of `skip` mean nothing.

use std::ops::Range;

use super::{ids::MessageId, sparse::Sparse};

/// Where a run lies, and which messages it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) first: MessageId,
    pub(crate) last: MessageId,
    /// How many messages it had at first.
    pub(crate) count: u32,
    pub(crate) file: u32,
    /// Where it starts in the file, and how many bytes it takes.
    pub(crate) offset: u32,
    pub(crate) len: u32,
    /// How many of these bytes are contents.
    pub(crate) content: u32,
    /// How many messages in front are gone.
    skip: u32,
    /// The ids, where they do not simply follow each other.
    ids: Option<Box<Sparse>>,
    gone: Option<Box<Bits>>,
}

/// Which messages behind the front of a run are gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Bits {
    words: Vec<u64>,
    count: u32,
}

impl Run {
    /// A run of consecutive ids, all of them there.
    pub(crate) fn consecutive(first: MessageId, count: u32, place: Place) -> Self {
        let last = MessageId(first.0 + u64::from(count.max(1)) - 1);
        Self::new((first, last), count, None, place)
    }

    /// A run of any ids, all of them there; none when there are none.
    pub(crate) fn of(ids: &[MessageId], place: Place) -> Option<Self> {
        let (first, last) = (*ids.first()?, *ids.last()?);
        let count = u32::try_from(ids.len()).ok()?;
        let is_consecutive = last.0 - first.0 + 1 == u64::from(count);
        let sparse = (!is_consecutive).then(|| Sparse::of(ids));
        Some(Self::new((first, last), count, sparse, place))
    }

    /// A run as an index tells it; none when the parts do not fit each other.
    pub(crate) fn from_parts(
        (first, last): (MessageId, MessageId),
        count: u32,
        ids: &[u8],
        place: Place,
    ) -> Option<Self> {
        if ids.is_empty() {
            let span = last.0.checked_sub(first.0)?.checked_add(1)?;
            return (span == u64::from(count)).then(|| Self::consecutive(first, count, place));
        }
        let sparse = Sparse::from_bytes(first, ids)?;
        let (found, end) = sparse.measure();
        (found == count && end == last)
            .then(|| Self::new((first, last), count, Some(sparse), place))
    }

    fn new(
        (first, last): (MessageId, MessageId),
        count: u32,
        ids: Option<Sparse>,
        place: Place,
    ) -> Self {
        Self {
            first,
            last,
            count,
            file: place.file,
            offset: place.offset,
            len: place.len,
            content: place.content,
            skip: 0,
            ids: ids.map(Box::new),
            gone: None,
        }
    }

    /// The ids in the form that [`Run::from_parts`] takes; empty when they follow each other.
    pub(crate) fn ids_bytes(&self) -> &[u8] {
        self.ids.as_ref().map_or(&[], |ids| ids.bytes())
    }

    /// How many messages are still there.
    pub(crate) fn live(&self) -> u32 {
        self.count - self.skip - self.gone.as_ref().map_or(0, |gone| gone.count)
    }

    /// About how many bytes of the file the messages take that are still there.
    pub(crate) fn live_len(&self) -> u64 {
        self.share(self.len)
    }

    /// About how many bytes their contents take.
    pub(crate) fn live_content(&self) -> u64 {
        self.share(self.content)
    }

    fn share(&self, bytes: u32) -> u64 {
        u64::from(bytes) * u64::from(self.live()) / u64::from(self.count.max(1))
    }

    /// Whether message number `at` is still there.
    pub(crate) fn is_live(&self, at: u32) -> bool {
        at >= self.skip
            && self
                .gone
                .as_ref()
                .is_none_or(|gone| gone.words[at as usize / 64] >> (at % 64) & 1 == 0)
    }

    /// The numbers of the messages whose ids lie in a range.
    fn numbers(&self, first: MessageId, last: MessageId) -> Range<u32> {
        if first <= self.first && last >= self.last {
            return 0..self.count;
        }
        match &self.ids {
            Some(ids) => ids.numbers(first, last),
            None => {
                let number = |id: u64| id.saturating_sub(self.first.0).min(u64::from(self.count));
                let (start, end) = (number(first.0), number(last.0.saturating_add(1)));
                start as u32..end.max(start) as u32
            }
        }
    }

    /// All its messages that are there, by number and id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, MessageId)> {
        let sparse = self.ids.as_ref().map(|ids| ids.iter());
        let count = if sparse.is_none() { self.count } else { 0 };
        let dense = (0..count).map(|number| MessageId(self.first.0 + u64::from(number)));
        let ids = dense.chain(sparse.into_iter().flatten());
        (0..).zip(ids).filter(|(number, _)| self.is_live(*number))
    }

    /// Its messages that are there, those of consecutive ids together: the first of them and how many.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (MessageId, u32)> {
        let mut ids = self.iter().map(|(_, id)| id).peekable();
        std::iter::from_fn(move || {
            let first = ids.next()?;
            let mut count = 1;
            while ids
                .next_if_eq(&MessageId(first.0 + u64::from(count)))
                .is_some()
            {
                count += 1;
            }
            Some((first, count))
        })
    }

    /// Whether it holds a message of this id.
    pub(crate) fn holds(&self, id: MessageId) -> bool {
        (self.first <= id && id <= self.last)
            && self.numbers(id, id).any(|number| self.is_live(number))
    }

    /// Notes that the messages from `first` to `last` are gone. Returns how many were there.
    pub(crate) fn remove(&mut self, first: MessageId, last: MessageId) -> u32 {
        let before = self.live();
        let Range { start, end } = self.numbers(first, last);
        let start = start.max(self.skip);
        if start >= end {
            return 0;
        }
        if start == self.skip && self.gone.is_none() {
            self.skip = end;
        } else {
            let gone = self.gone.get_or_insert_default();
            gone.words.resize(self.count.div_ceil(64) as usize, 0);
            for number in start..end {
                let (word, bit) = (&mut gone.words[number as usize / 64], 1 << (number % 64));
                gone.count += u32::from(*word & bit == 0);
                *word |= bit;
            }
            self.pass_front();
        }
        before - self.live()
    }

    /// Moves the front past what is gone, and drops the bitmap when nothing is in it.
    fn pass_front(&mut self) {
        let Some(gone) = &mut self.gone else { return };
        while self.skip < self.count
            && gone.words[self.skip as usize / 64] >> (self.skip % 64) & 1 == 1
        {
            self.skip += 1;
            gone.count -= 1;
        }
        if gone.count == 0 {
            self.gone = None;
        }
    }

    /// What is gone: how many in front, and the bitmap (empty when there is nothing else).
    pub(crate) fn marks(&self) -> (u32, &[u64]) {
        let words = self.gone.as_ref().map_or(&[][..], |gone| &gone.words);
        (self.skip, words)
    }

    /// Takes over what is gone. False when it does not fit.
    pub(crate) fn set_marks(&mut self, skip: u32, words: &[u64]) -> bool {
        let fits = words.is_empty() || words.len() == self.count.div_ceil(64) as usize;
        if skip > self.count || !fits {
            return false;
        }
        self.skip = skip;
        let is_gone = |at: &u32| words[*at as usize / 64] >> (at % 64) & 1 == 1;
        let count = match words {
            [] => 0,
            _ => (skip..self.count).filter(is_gone).count() as u32,
        };
        self.gone = (count > 0).then(|| {
            let words = words.to_vec();
            Box::new(Bits { words, count })
        });
        self.pass_front();
        true
    }
}

/// Where a run lies in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: u32,
    pub(crate) offset: u32,
    pub(crate) len: u32,
    pub(crate) content: u32,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Place, Run};
    use crate::store::ids::MessageId;

    const PLACE: Place = Place {
        file: 1,
        offset: 32,
        len: 3200,
        content: 1600,
    };

    #[test]
    fn behaves_as_a_set_of_ids() {
        for seed in 0..60 {
            let mut random = fastrand::Rng::with_seed(seed);
            let count = random.usize(1..200);
            let step = if seed % 2 == 0 { 1..2 } else { 1..70_000 };
            let mut id = random.u64(1..1 << 20);
            let mut ids = vec![MessageId(id)];
            while ids.len() < count {
                id += if random.bool() {
                    1
                } else {
                    random.u64(step.clone())
                };
                ids.push(MessageId(id));
            }
            let mut run = Run::of(&ids, PLACE).unwrap();
            let mut model: BTreeSet<MessageId> = ids.iter().copied().collect();
            for _ in 0..random.usize(..60) {
                let (first, last) = (
                    ids[random.usize(..ids.len())],
                    ids[random.usize(..ids.len())],
                );
                let last = if random.bool() { first } else { last };
                let (first, last) = (first.min(last), first.max(last));
                let expected = model.range(first..=last).count();
                model.retain(|id| !(first..=last).contains(id));
                assert_eq!(run.remove(first, last), expected as u32, "seed {seed}");
                assert_eq!(run.live() as usize, model.len());
                assert!(run.iter().map(|(_, id)| id).eq(model.iter().copied()));
                assert_eq!(run.holds(first), model.contains(&first));
                let grouped = run.groups().flat_map(|(first, count)| {
                    (first.0..first.0 + u64::from(count)).map(MessageId)
                });
                assert!(grouped.eq(model.iter().copied()));
                assert!(run.iter().all(|(number, id)| ids[number as usize] == id));
            }
            let (first, last) = (run.first, run.last);
            let mut copy =
                Run::from_parts((first, last), run.count, run.ids_bytes(), PLACE).unwrap();
            let (skip, words) = run.marks();
            assert!(copy.set_marks(skip, words));
            assert_eq!(copy, run, "seed {seed}");
            assert!(!copy.set_marks(run.count + 1, &[]));
        }
    }

    #[test]
    fn a_front_that_goes_in_order_needs_no_bitmap() {
        let mut run = Run::consecutive(MessageId(70), 512, PLACE);
        for id in 70..570 {
            run.remove(MessageId(id), MessageId(id));
            assert!(run.marks().1.is_empty());
        }
        run.remove(MessageId(575), MessageId(575));
        assert!(!run.marks().1.is_empty());
        run.remove(MessageId(570), MessageId(574));
        assert_eq!(run.marks(), (506, &[][..]));
    }
}
