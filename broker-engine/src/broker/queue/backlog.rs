//! The messages of a queue: ready in order, or handed out and not settled.
//!
//! Ready messages are runs, which cost the same however many messages they have. Only what came back, and all of a
//! queue that ranks its messages, is kept one by one, sorted by place. A run beyond what the queue may keep in memory
//! gives up its bytes if the log has them.
//!
//! Invariant: a message is in exactly one of `sorted`, `ready` and `held`; everything in `sorted` goes before
//! everything in `ready`, because messages leave `ready` only at its front. Queues that rank messages keep them all in
//! `sorted`: the rank is in the place's upper bits, so that what goes first has the smallest place.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use super::{
    super::{
        consumer::Consumer,
        message::{DeliveryId, Message},
    },
    entry::Entry,
    held::{Held, Holders},
    run::{Passed, Run},
};
use crate::store::MessageId;

/// What decides over a message's place before the order of arrival does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rank {
    /// The highest goes first.
    Priority(u8),
    /// The earliest time, in milliseconds since 1970, goes first.
    Due(u64),
}

/// What goes out next.
pub(super) enum Front<'a> {
    Entry(&'a Entry),
    Run(&'a Run),
}

#[derive(Debug, Default)]
pub(super) struct Backlog {
    sorted: BTreeMap<u64, Entry>,
    ready: VecDeque<Run>,
    /// How many messages `ready` has.
    ready_len: usize,
    pub(super) held: Held,
    last_place: u64,
    ready_bytes: u64,
    cached_bytes: u64,
}

impl Backlog {
    /// Appends messages in order of arrival. Their contents stay in memory unless the log can give them back and the
    /// cache is full.
    pub(super) fn push(&mut self, mut run: Run, cached_bytes_max: u64) {
        let extent = run.extent();
        let cached_bytes = self.cached_bytes + extent.content_bytes;
        if run.logged.is_some() && cached_bytes > cached_bytes_max {
            run.evict();
        }
        if run.is_cached() {
            self.cached_bytes = cached_bytes;
        }
        run.place = self.last_place + 1;
        self.last_place += u64::from(extent.messages);
        self.ready_bytes += extent.body_bytes;
        self.ready_len += run.len();
        if self.ready.back_mut().is_none_or(|last| !last.join(&run)) {
            self.ready.push_back(run);
        }
    }

    /// Adds a message of a queue that ranks them.
    pub(super) fn push_ranked(&mut self, mut entry: Entry, rank: Rank, cached_bytes_max: u64) {
        entry.place = self.ranked_place(rank);
        let cached_bytes = self.cached_bytes + u64::from(entry.len);
        if entry.logged.is_some() && cached_bytes > cached_bytes_max {
            entry.message = None;
        }
        self.put_back(entry);
    }

    fn ranked_place(&mut self, rank: Rank) -> u64 {
        self.last_place += 1;
        match rank {
            Rank::Priority(priority) => u64::from(u8::MAX - priority) << 56 | self.last_place,
            Rank::Due(at_ms) => {
                let mut place = (at_ms << 20 | self.last_place & 0xf_ffff).max(1);
                while self.sorted.contains_key(&place) {
                    place += 1;
                }
                place
            }
        }
    }

    /// Takes out the messages that nothing came back before, oldest first, for them to be pushed again in that order.
    pub(super) fn take_ready(&mut self) -> VecDeque<Run> {
        for run in &self.ready {
            let extent = run.extent();
            self.ready_bytes -= extent.body_bytes;
            if run.is_cached() {
                self.cached_bytes -= extent.content_bytes;
            }
        }
        self.ready_len = 0;
        std::mem::take(&mut self.ready)
    }

    /// What goes out next.
    pub(super) fn front(&self) -> Option<Front<'_>> {
        match self.sorted.first_key_value() {
            Some((_, entry)) => Some(Front::Entry(entry)),
            None => self.ready.front().map(Front::Run),
        }
    }

    /// The messages that go out next as they lie in memory, if there is nothing to look after one by one.
    pub(super) fn ready_runs(&self) -> impl Iterator<Item = &Run> {
        let in_order = self.sorted.is_empty().then_some(&self.ready);
        in_order
            .into_iter()
            .flatten()
            .take_while(|run| run.is_cached())
    }

    /// Takes `count` messages out of the first of the ready runs, of those that were passed there.
    pub(super) fn take_front(&mut self, count: usize, passed: Passed) -> Option<Run> {
        let front = self.ready.front_mut().filter(|_| count > 0)?;
        let is_all = count == passed.seen.messages as usize;
        let taken = if is_all { passed } else { front.measure(count) };
        let run = front.head(taken);
        front.advance(taken);
        self.ready_len -= count;
        self.ready_bytes -= taken.seen.body_bytes;
        self.cached_bytes -= taken.seen.content_bytes;
        if front.len() == 0 {
            self.ready.pop_front();
        }
        Some(run)
    }

    /// Keeps the content of the message to hand out next.
    pub(super) fn cache_front(&mut self, message: Message) {
        if self.sorted.is_empty()
            && let Some(entry) = self.pop()
        {
            self.put_back(entry);
        }
        if let Some(mut first) = self.sorted.first_entry()
            && first.get().message.is_none()
        {
            self.cached_bytes += u64::from(first.get().len);
            first.get_mut().message = Some(message);
        }
    }

    /// Whether nothing is ready or handed out.
    pub(super) fn is_empty(&self) -> bool {
        self.ready_len() == 0 && self.held.len() == 0
    }

    /// Takes the message to hand out next.
    pub(super) fn pop(&mut self) -> Option<Entry> {
        if let Some((_, entry)) = self.sorted.pop_first() {
            self.ready_bytes -= entry.body_bytes();
            if entry.message.is_some() {
                self.cached_bytes -= u64::from(entry.len);
            }
            return Some(entry);
        }
        let front = self.ready.front_mut()?;
        let before = front.extent();
        let entry = front.pop();
        let after = front.extent();
        self.ready_len -= 1;
        self.ready_bytes -= before.body_bytes - after.body_bytes;
        if front.is_cached() {
            self.cached_bytes -= before.content_bytes - after.content_bytes;
        }
        if front.len() == 0 {
            self.ready.pop_front();
        }
        entry
    }

    /// Notes that a message is out, and returns what to settle it by.
    pub(super) fn hold(&mut self, entry: Entry, consumer: Option<&Arc<Consumer>>) -> DeliveryId {
        let id = self.held.next_id();
        let holders = consumer.map_or(Holders::Nobody, |consumer| {
            Holders::One(Arc::clone(consumer))
        });
        self.held.hold(Run::of_entry(entry), holders);
        id
    }

    /// Puts a message back where it was.
    pub(super) fn put_back(&mut self, entry: Entry) {
        self.ready_bytes += entry.body_bytes();
        if entry.message.is_some() {
            self.cached_bytes += u64::from(entry.len);
        }
        self.sorted.insert(entry.place, entry);
    }

    /// Drops everything that is ready. Returns the log ids of what the log has.
    pub(super) fn clear_ready(&mut self) -> Vec<MessageId> {
        let runs = std::mem::take(&mut self.ready);
        let sorted = std::mem::take(&mut self.sorted);
        (self.ready_bytes, self.cached_bytes, self.ready_len) = (0, 0, 0);
        let mut logged: Vec<_> = sorted.values().filter_map(|entry| entry.logged).collect();
        logged.extend(runs.iter().flat_map(Run::log_ids));
        logged.sort_unstable();
        logged
    }

    pub(super) fn ready_len(&self) -> usize {
        self.sorted.len() + self.ready_len
    }

    pub(super) fn ready_bytes(&self) -> u64 {
        self.ready_bytes
    }

    /// Log id and returns of everything the log knows, in order of arrival.
    #[cfg(test)]
    pub(super) fn logged(&self) -> Vec<(MessageId, u8)> {
        let sorted = self.sorted.values();
        let mut logged: Vec<_> = sorted
            .filter_map(|entry| Some((entry.logged?, entry.returns)))
            .chain(self.held.all_logged())
            .collect();
        for run in &self.ready {
            logged.extend(run.log_ids().map(|id| (id, run.returns)));
        }
        logged.sort_unstable();
        logged
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::framing::{Extent, Framing},
        Backlog, Run,
    };
    use crate::store::{Batch, MessageId, QueueId};

    #[test]
    fn messages_beyond_the_cache_cost_less_than_two_bytes_each() {
        const ENTRIES: u64 = 1000;
        const IN_ENTRY: usize = 100;
        let mut batch = Batch::new();
        let mut extent = Extent::default();
        let content = [b"\0\0\x02\0\0\0\0\0".as_slice(), &[7; 16]].concat();
        let mut start = None;
        for _ in 0..IN_ENTRY {
            let range = batch.publish(&[QueueId(1)], &[&content]);
            start.get_or_insert(range.start);
            extent.add(content.len(), 16);
        }
        let framing = Framing::of_log(1);
        let at = start.unwrap() - framing.lead();
        let bytes: bytes::Bytes = batch.into_parts().0.into();
        let mut backlog = Backlog::default();
        for entry in 1..=ENTRIES {
            let run = Run::new(bytes.clone(), at, framing, extent);
            let first = Some(MessageId::new(entry, 0));
            backlog.push(run.with_log(first), 10 * extent.content_bytes);
        }
        assert_eq!(backlog.ready_len(), ENTRIES as usize * IN_ENTRY);
        let cached = backlog.ready.iter().filter(|run| run.is_cached());
        assert_eq!(cached.count(), 10);
        let heap_bytes = backlog.ready.capacity() * size_of::<Run>();
        assert!(heap_bytes < 2 * backlog.ready_len(), "{heap_bytes} bytes");
        let ids: Vec<_> = std::iter::from_fn(|| backlog.pop()?.logged).collect();
        let expected = (1..=ENTRIES)
            .flat_map(|entry| (0..IN_ENTRY as u16).map(move |place| MessageId::new(entry, place)));
        assert!(ids.into_iter().eq(expected));
        assert_eq!((backlog.ready_bytes(), backlog.cached_bytes), (0, 0));
    }
}
