//! The messages of one queue as the log knows them: runs in the order of ids, and how often some of them came back.
//!
//! Ids only ever grow at the end and mostly go at the front, so a ring with a binary search does; a run that empties in
//! the middle stays as a tombstone until the tombstones are the majority. Memory follows runs, not messages.

use std::collections::{BTreeMap, VecDeque};

use super::{ids::MessageId, run::Run};

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    runs: VecDeque<Run>,
    /// How many runs are empty.
    empty: usize,
    /// How often messages came back that ever did.
    returns: BTreeMap<MessageId, u8>,
    pub(crate) handed_out: MessageId,
}

impl Ledger {
    /// Adds a run; one whose ids are not above all others is already known and ignored (false).
    pub(crate) fn push(&mut self, run: Run) -> bool {
        if self.runs.back().is_some_and(|last| last.last >= run.first) {
            return false;
        }
        self.runs.push_back(run);
        true
    }

    /// The runs that have messages.
    pub(crate) fn runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(|run| run.live() > 0)
    }

    /// The highest id of all messages.
    pub(crate) fn last(&self) -> Option<MessageId> {
        self.runs().last().map(|run| run.last)
    }

    /// The first run with messages from `first` on.
    pub(crate) fn run_from(&self, first: MessageId) -> Option<&Run> {
        let start = self.runs.partition_point(|run| run.last < first);
        self.runs.range(start..).find(|run| run.live() > 0)
    }

    /// The ids of all messages.
    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = MessageId> {
        self.runs().flat_map(|run| run.iter().map(|(_, id)| id))
    }

    /// How often messages came back, of those that ever did, by id.
    pub(crate) fn returns(&self) -> impl Iterator<Item = (MessageId, u8)> {
        self.returns.iter().map(|(id, returns)| (*id, *returns))
    }

    pub(crate) fn returns_of(&self, id: MessageId) -> u8 {
        self.returns.get(&id).copied().unwrap_or(0)
    }

    /// Notes how often a message came back, if it is there.
    pub(crate) fn set_returns(&mut self, id: MessageId, returns: u8) {
        if returns > 0 && self.run_from(id).is_some_and(|run| run.holds(id)) {
            self.returns.insert(id, returns);
        }
    }

    /// Counts a return of each message from `first` to `last`.
    pub(crate) fn returned(&mut self, first: MessageId, last: MessageId) {
        let start = self.runs.partition_point(|run| run.last < first);
        let in_range = self.runs.range(start..);
        for run in in_range.take_while(|run| run.first <= last) {
            let ids = run.iter().map(|(_, id)| id);
            for id in ids
                .skip_while(|id| *id < first)
                .take_while(|id| *id <= last)
            {
                let returns = self.returns.entry(id).or_default();
                *returns = returns.saturating_add(1);
            }
        }
    }

    /// Removes the messages from `first` to `last`, calling `freed` with each file and how many bytes less it has.
    pub(crate) fn remove(
        &mut self,
        first: MessageId,
        last: MessageId,
        mut freed: impl FnMut(u32, u64),
    ) {
        if first > last {
            return;
        }
        let is_at_front = self.runs.front().is_some_and(|run| first <= run.last);
        let start = if is_at_front {
            0
        } else {
            self.runs.partition_point(|run| run.last < first)
        };
        let in_range = self.runs.range_mut(start..);
        for run in in_range.take_while(|run| run.first <= last) {
            let before = run.live_len();
            if run.remove(first, last) > 0 {
                freed(run.file, before - run.live_len());
                self.empty += usize::from(run.live() == 0);
            }
        }
        if !self.returns.is_empty() {
            self.returns
                .extract_if(first..=last, |_, _| true)
                .for_each(drop);
        }
        self.tidy();
    }

    fn tidy(&mut self) {
        while self.runs.front().is_some_and(|run| run.live() == 0) {
            self.runs.pop_front();
            self.empty -= 1;
        }
        if self.empty > 64 && self.empty > self.runs.len() / 2 {
            self.runs.retain(|run| run.live() > 0);
            self.empty = 0;
        }
        if self.runs.len() < self.runs.capacity() / 8 {
            self.runs.shrink_to(self.runs.len() * 2);
        }
    }

    /// Puts `new` runs, which hold what the `old` ones held when they were copied, in the place of those. What went
    /// since goes from the new ones. Both are in the order of ids, and no other run lies between those of one new run.
    pub(crate) fn relocate(
        &mut self,
        old: &[Run],
        new: Vec<Run>,
        mut freed: impl FnMut(u32, u64),
    ) -> Vec<(u32, u64)> {
        let mut arrivals = Self {
            runs: new.into(),
            ..Self::default()
        };
        let mut runs = std::mem::take(&mut self.runs);
        let mut stay =
            VecDeque::with_capacity(runs.len().saturating_sub(old.len()) + arrivals.runs.len());
        let mut copied = old.iter().peekable();
        let gone_since = |was: &Run, arrivals: &mut Self, now: Option<&Run>| {
            let is_there = |id| now.is_some_and(|run| run.holds(id));
            if now.is_none_or(|run| run.live() != was.live()) {
                for (_, id) in was.iter().filter(|(_, id)| !is_there(*id)) {
                    arrivals.mark(id);
                }
            }
        };
        for run in runs.drain(..) {
            while let Some(was) = copied.next_if(|was| was.first < run.first) {
                gone_since(was, &mut arrivals, None);
            }
            match copied.next_if(|was| was.first == run.first && was.file == run.file) {
                Some(was) => {
                    gone_since(was, &mut arrivals, Some(&run));
                    freed(run.file, run.live_len());
                }
                None if run.live() > 0 => stay.push_back(run),
                // A new run may reach over it, and runs keep apart.
                None => {}
            }
        }
        for was in copied {
            gone_since(was, &mut arrivals, None);
        }
        let added = arrivals
            .runs()
            .map(|run| (run.file, run.live_len()))
            .collect();
        stay.extend(arrivals.runs.into_iter().filter(|run| run.live() > 0));
        stay.make_contiguous().sort_by_key(|run| run.first);
        (self.runs, self.empty) = (stay, 0);
        self.tidy();
        added
    }

    /// As [`Ledger::remove`] of one message, but runs stay.
    fn mark(&mut self, id: MessageId) {
        let at = self.runs.partition_point(|run| run.last < id);
        if let Some(run) = self.runs.get_mut(at) {
            run.remove(id, id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::Ledger;
    use crate::store::{
        ids::MessageId,
        run::{Place, Run},
    };

    fn place(file: u32) -> Place {
        Place {
            file,
            offset: 0,
            len: 100,
            content: 50,
        }
    }

    fn content(ledger: &Ledger) -> Vec<(u64, u8)> {
        let ids = ledger.iter();
        ids.map(|id| (id.0, ledger.returns_of(id))).collect()
    }

    #[test]
    fn behaves_as_a_sorted_map() {
        let mut random = fastrand::Rng::with_seed(3);
        let (mut ledger, mut model, mut next) = (Ledger::default(), BTreeMap::new(), 0);
        for step in 0..20_000 {
            if random.bool() {
                next += random.u64(1..4);
                let count = random.u64(1..5);
                let run = Run::consecutive(MessageId(next), count as u32, place(0));
                assert!(ledger.push(run));
                model.extend((next..next + count).map(|id| (id, 0u8)));
                next += count - 1;
            } else {
                let first = random.u64(..=next);
                let last = first + random.u64(..9);
                if random.bool() {
                    ledger.returned(MessageId(first), MessageId(last));
                    model
                        .range_mut(first..=last)
                        .for_each(|(_, returns)| *returns = returns.saturating_add(1));
                } else {
                    ledger.remove(MessageId(first), MessageId(last), |_, _| {});
                    model.retain(|id, _| !(first..=last).contains(id));
                }
            }
            if step % 100 == 0 {
                assert!(content(&ledger).into_iter().eq(model.clone()));
            }
        }
        let run = Run::consecutive(MessageId(next), 1, place(0));
        assert!(!ledger.push(run), "a known id is ignored");
    }

    #[test]
    fn what_went_while_it_was_copied_stays_gone() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let (mut ledger, mut bytes) = (Ledger::default(), BTreeMap::<u32, u64>::new());
            let mut first = 1;
            for _ in 0..random.u64(1..12) {
                let count = random.u32(1..20);
                let file = random.u32(1..4);
                let run = Run::consecutive(MessageId(first), count, place(file));
                *bytes.entry(file).or_default() += run.live_len();
                assert!(ledger.push(run));
                first += u64::from(count) + random.u64(..3);
            }
            let mut remove = |ledger: &mut Ledger, bytes: &mut BTreeMap<u32, u64>| {
                for _ in 0..random.usize(..6) {
                    let id = random.u64(..first);
                    let (id, last) = (MessageId(id), MessageId(id + random.u64(..6)));
                    ledger.remove(id, last, |file, less| {
                        *bytes.entry(file).or_default() -= less
                    });
                }
            };
            remove(&mut ledger, &mut bytes);
            // Everything of files 1 and 2 moves to file 9.
            let (mut old, mut new, mut is_broken) =
                (Vec::new(), Vec::<Vec<MessageId>>::new(), true);
            for run in ledger.runs() {
                if run.file == 3 {
                    is_broken = true;
                    continue;
                }
                if std::mem::take(&mut is_broken) || new.is_empty() {
                    new.push(Vec::new());
                }
                old.push(run.clone());
                new.last_mut().unwrap().extend(run.iter().map(|(_, id)| id));
            }
            let new = new
                .iter()
                .filter_map(|ids| Run::of(ids, place(9)))
                .collect();
            remove(&mut ledger, &mut bytes);
            let expected = content(&ledger);
            let added = ledger.relocate(&old, new, |file, less| {
                *bytes.entry(file).or_default() -= less
            });
            for (file, more) in added {
                *bytes.entry(file).or_default() += more;
            }
            assert_eq!(content(&ledger), expected, "seed {seed}");
            assert!(ledger.runs().all(|run| run.file == 3 || run.file == 9));
            let mut counted = BTreeMap::<u32, u64>::new();
            for run in ledger.runs() {
                *counted.entry(run.file).or_default() += run.live_len();
            }
            bytes.retain(|_, bytes| *bytes > 0);
            assert_eq!(bytes, counted, "seed {seed}");
            let all = (MessageId(0), MessageId(u64::MAX));
            ledger.remove(all.0, all.1, |_, _| {});
            assert!(content(&ledger).is_empty());
        }
    }
}
