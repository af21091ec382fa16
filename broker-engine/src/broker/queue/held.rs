//! What is handed out and not settled: slices of runs, and which of their messages are still out.
//!
//! A slice is what consumers got at once, 64 messages at most. Settling clears bits; the slice goes with the last one,
//! and with it its hold on the shared bytes. Ids are given in order of handing out, so that slices are sorted by them.
//!
//! Invariant: `out` is never empty in the first slice, and slices with nothing out are never the majority.

use std::{collections::VecDeque, sync::Arc};

use super::{
    super::{
        consumer::Consumer,
        message::{DeliveryId, DeliveryRun},
    },
    entry::Entry,
    run::Run,
};
use crate::store::MessageId;

/// How many messages a slice has at most: a bit for each.
pub(super) const SLICE_MAX: usize = u64::BITS as usize;

/// How many emptied slices may stand between others whatever their number.
const EMPTY_MIN: usize = 32;

/// Who has the messages of a slice.
#[derive(Debug)]
pub(super) enum Holders {
    /// A get.
    Nobody,
    One(Arc<Consumer>),
    /// For each message, which of the consumers.
    Several(Box<(Vec<Arc<Consumer>>, Vec<u8>)>),
}

impl Holders {
    fn of(&self, number: usize) -> Option<&Arc<Consumer>> {
        match self {
            Self::Nobody => None,
            Self::One(consumer) => Some(consumer),
            Self::Several(several) => {
                let (consumers, turns) = &**several;
                consumers.get(usize::from(*turns.get(number)?))
            }
        }
    }
}

#[derive(Debug)]
struct Slice {
    /// The first id.
    first: u64,
    /// The messages, settled or not.
    run: Run,
    /// A bit for each message that is out, the lowest for the first.
    out: u64,
    holders: Holders,
}

/// Some messages of a slice that are settled now.
pub(super) struct Settled<'a> {
    slice: &'a Slice,
    /// A bit for each.
    which: u64,
}

impl Settled<'_> {
    pub(super) fn len(&self) -> u32 {
        self.which.count_ones()
    }

    fn numbers(&self) -> impl Iterator<Item = usize> {
        let mut left = self.which;
        std::iter::from_fn(move || {
            let number = left.trailing_zeros();
            left &= left.wrapping_sub(1);
            (number < u64::BITS).then_some(number as usize)
        })
    }

    /// Their ids in the log, if they have any.
    pub(super) fn logged(&self) -> impl Iterator<Item = MessageId> {
        let first = self.slice.run.logged;
        self.numbers()
            .filter_map(move |number| Some(MessageId(first?.0 + number as u64)))
    }

    /// Tells `give_back` which consumers held how many of them.
    pub(super) fn give_back(&self, mut give_back: impl FnMut(&Arc<Consumer>, u32)) {
        match &self.slice.holders {
            Holders::Nobody => {}
            Holders::One(consumer) => give_back(consumer, self.len()),
            several @ Holders::Several(_) => {
                for consumer in self.numbers().filter_map(|number| several.of(number)) {
                    give_back(consumer, 1);
                }
            }
        }
    }

    /// The messages one by one.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> {
        self.numbers()
            .filter_map(|number| self.slice.run.entry(number))
    }
}

/// A message that is out.
pub(super) struct Out {
    pub(super) id: DeliveryId,
    pub(super) entry: Entry,
    /// Who has it; `None` when a get took it.
    pub(super) consumer: Option<Arc<Consumer>>,
}

/// All messages of a queue that are out.
#[derive(Debug)]
pub(super) struct Held {
    slices: VecDeque<Slice>,
    next: u64,
    len: usize,
    /// Slices with nothing out.
    empty: usize,
}

impl Default for Held {
    fn default() -> Self {
        Self {
            slices: VecDeque::new(),
            next: 1,
            len: 0,
            empty: 0,
        }
    }
}

impl Held {
    /// The id of what goes out next.
    pub(super) fn next_id(&self) -> DeliveryId {
        DeliveryId(self.next)
    }

    /// How many messages are out.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Notes messages that go out: at most [`SLICE_MAX`], with ids from [`Held::next_id`] on.
    pub(super) fn hold(&mut self, run: Run, holders: Holders) {
        let count = run.len();
        debug_assert!((1..=SLICE_MAX).contains(&count), "{count}");
        self.slices.push_back(Slice {
            first: self.next,
            out: u64::MAX >> (SLICE_MAX - count),
            run,
            holders,
        });
        self.next += count as u64;
        self.len += count;
    }

    /// Settles the messages of a run of ids that are out, slice by slice.
    pub(super) fn settle(&mut self, run: DeliveryRun, mut settled: impl FnMut(Settled<'_>)) {
        let (mut id, end) = (run.first.0, run.first.0.saturating_add(run.len));
        let mut at = self.at_or_after(id);
        while let Some(slice) = self.slices.get_mut(at)
            && slice.first < end
        {
            id = id.max(slice.first);
            let wanted = bits(id - slice.first, end - slice.first);
            let which = slice.out & wanted;
            if which != 0 {
                slice.out &= !which;
                self.len -= which.count_ones() as usize;
                self.empty += usize::from(slice.out == 0);
                settled(Settled { slice, which });
            }
            at += 1;
        }
        self.tidy();
    }

    /// The messages of a run of ids that are out, and who has each.
    pub(super) fn list(&self, run: DeliveryRun) -> Vec<Out> {
        let (first, end) = (run.first.0, run.first.0.saturating_add(run.len));
        let slices = self.slices.range(self.at_or_after(first)..);
        let slices = slices.take_while(|slice| slice.first < end);
        let messages = slices.flat_map(|slice| {
            let which = slice.out & bits(first.saturating_sub(slice.first), end - slice.first);
            let part = Settled { slice, which };
            let numbers = part.numbers().filter_map(move |number| {
                let mut entry = slice.run.entry(number)?;
                let first = slice.run.logged;
                entry.logged = first.map(|first| MessageId(first.0 + number as u64));
                Some(Out {
                    id: DeliveryId(slice.first + number as u64),
                    entry,
                    consumer: slice.holders.of(number).cloned(),
                })
            });
            numbers.collect::<Vec<_>>()
        });
        messages.collect()
    }

    /// Settles everything.
    pub(super) fn settle_all(&mut self, settled: impl FnMut(Settled<'_>)) {
        let all = DeliveryRun {
            first: DeliveryId(0),
            len: u64::MAX,
        };
        self.settle(all, settled);
    }

    /// The slice with this id, or the first after it.
    fn at_or_after(&self, id: u64) -> usize {
        let ends_before = |slice: &Slice| slice.first + slice.run.len() as u64 <= id;
        match self.slices.front() {
            Some(front) if ends_before(front) => self.slices.partition_point(ends_before),
            _ => 0,
        }
    }

    fn tidy(&mut self) {
        while self.slices.front().is_some_and(|slice| slice.out == 0) {
            self.slices.pop_front();
            self.empty -= 1;
        }
        if self.empty > EMPTY_MIN && self.empty > self.slices.len() / 2 {
            self.slices.retain(|slice| slice.out != 0);
            self.empty = 0;
        }
        if self.slices.is_empty() && self.slices.capacity() > EMPTY_MIN {
            self.slices = VecDeque::new();
        }
    }

    /// Log id and returns of what is out and in the log.
    #[cfg(test)]
    pub(super) fn all_logged(&self) -> Vec<(MessageId, u8)> {
        let of_slice = |slice: &Slice| {
            let which = slice.out;
            let settled = Settled { slice, which };
            let returns = slice.run.returns;
            let logged: Vec<_> = settled.logged().map(|id| (id, returns)).collect();
            logged
        };
        self.slices.iter().flat_map(of_slice).collect()
    }
}

/// The bits from one number up to another, as far as a slice goes.
fn bits(from: u64, to: u64) -> u64 {
    let below = |end: u64| match end {
        0 => 0,
        end if end >= SLICE_MAX as u64 => u64::MAX,
        end => u64::MAX >> (SLICE_MAX as u64 - end),
    };
    below(to) & !below(from)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{
        super::{
            super::message::{DeliveryId, DeliveryRun},
            run::Run,
        },
        Held, Holders, SLICE_MAX,
    };
    use crate::store::MessageId;

    #[test]
    fn agrees_with_a_list_of_single_messages() {
        let mut random = fastrand::Rng::with_seed(5);
        for _ in 0..200 {
            let (mut held, mut model) = (Held::default(), BTreeMap::new());
            let mut next_logged = 1000;
            for _ in 0..80 {
                if random.u8(..2) == 0 {
                    let len = random.usize(1..=SLICE_MAX);
                    let mut run = Run::recovered(MessageId(next_logged), 9, 0, false);
                    for number in 1..len as u64 {
                        let id = MessageId(next_logged + number);
                        assert!(run.join(&Run::recovered(id, 9, 0, false)));
                    }
                    let DeliveryId(first) = held.next_id();
                    for number in 0..len as u64 {
                        model.insert(first + number, MessageId(next_logged + number));
                    }
                    held.hold(run, Holders::Nobody);
                    next_logged += len as u64 + random.u64(..2);
                } else {
                    let DeliveryId(next) = held.next_id();
                    let run = DeliveryRun {
                        first: DeliveryId(random.u64(..=next)),
                        len: random.u64(..100),
                    };
                    let expected: Vec<_> = run.ids().filter_map(|id| model.remove(&id.0)).collect();
                    assert_eq!(
                        held.list(run)
                            .into_iter()
                            .filter_map(|out| out.entry.logged)
                            .collect::<Vec<_>>(),
                        expected
                    );
                    let mut settled = Vec::new();
                    held.settle(run, |part| settled.extend(part.logged()));
                    assert_eq!(settled, expected);
                }
                assert_eq!(held.len(), model.len());
                let left: Vec<_> = held.all_logged().into_iter().map(|(id, _)| id).collect();
                assert_eq!(left, model.values().copied().collect::<Vec<_>>());
            }
            held.settle_all(|_| {});
            assert_eq!((held.len(), held.slices.len(), held.empty), (0, 0, 0));
        }
    }

    #[test]
    fn one_message_that_stays_out_keeps_no_room_for_those_settled_after_it() {
        let mut held = Held::default();
        for number in 0..10_000 {
            held.hold(
                Run::recovered(MessageId(number), 9, 0, false),
                Holders::Nobody,
            );
            if number > 0 {
                held.settle(DeliveryRun::of(DeliveryId(number + 1)), |_| {});
            }
        }
        assert_eq!(held.len(), 1);
        assert!(held.slices.len() < 100, "{}", held.slices.len());
    }
}
