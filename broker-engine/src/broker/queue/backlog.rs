//! The messages of a queue: ready in order, or handed out and not settled.
//!
//! Invariant: a message is in exactly one of `returned`, `ready` and `unacked`; everything in `returned` goes before
//! everything in `ready`, because messages leave `ready` only at its front. Queues that rank messages keep them all in
//! `returned`: the rank is in the id's upper bits, so that what goes first has the smallest id.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use super::super::{
    consumer::Consumer,
    message::{DeliveryId, DeliveryRun, Message},
};
use crate::store::MessageId;

/// A message in the queue.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: DeliveryId,
    /// Its id in the log, when it survives a restart.
    pub(crate) logged: Option<MessageId>,
    /// `None` while only the log has it.
    pub(crate) message: Option<Message>,
    pub(super) len: u32,
    /// How much of the length is not the body, as far as it is known.
    pub(super) overhead: u16,
    pub(super) returns: u8,
    pub(crate) is_redelivered: bool,
}

impl Entry {
    /// The id of what was refused before it came in.
    pub(crate) const NEVER_QUEUED: DeliveryId = DeliveryId(0);

    /// A message that was never in a queue.
    pub(crate) fn of(message: Message) -> Self {
        Self {
            id: Self::NEVER_QUEUED,
            logged: None,
            len: u32::try_from(message.len()).unwrap_or(u32::MAX),
            overhead: overhead(&message),
            message: Some(message),
            returns: 0,
            is_redelivered: false,
        }
    }

    fn body_bytes(&self) -> u64 {
        u64::from(self.len.saturating_sub(u32::from(self.overhead)))
    }
}

pub(super) fn overhead(message: &Message) -> u16 {
    u16::try_from(message.len() - message.body().len()).unwrap_or(u16::MAX)
}

/// What decides over a message's place before the order of arrival does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rank {
    /// The highest goes first.
    Priority(u8),
    /// The earliest time, in milliseconds since 1970, goes first.
    Due(u64),
}

/// A message handed out, and to whom (`None`: to a get).
pub(crate) struct Held {
    pub(crate) entry: Entry,
    pub(crate) consumer: Option<Arc<Consumer>>,
}

#[derive(Default)]
pub(super) struct Backlog {
    returned: BTreeMap<DeliveryId, Entry>,
    ready: VecDeque<Entry>,
    unacked: BTreeMap<DeliveryId, Held>,
    next_id: u64,
    ready_bytes: u64,
    cached_bytes: u64,
}

impl Backlog {
    /// Appends a message. Its content stays in memory unless the log can give it back and the cache is full.
    pub(super) fn push(
        &mut self,
        message: Message,
        logged: Option<MessageId>,
        rank: Option<Rank>,
        cached_bytes_max: u64,
    ) {
        let len = message.len();
        let is_cached = logged.is_none() || self.cached_bytes + len as u64 <= cached_bytes_max;
        let entry = Entry {
            id: self.next_id(rank),
            logged,
            len: u32::try_from(len).unwrap_or(u32::MAX),
            overhead: overhead(&message),
            message: is_cached.then_some(message),
            returns: 0,
            is_redelivered: false,
        };
        self.append(entry, rank);
    }

    fn append(&mut self, entry: Entry, rank: Option<Rank>) {
        self.count_in(&entry);
        if rank.is_some() {
            self.returned.insert(entry.id, entry);
        } else {
            self.ready.push_back(entry);
        }
    }

    /// Appends a message that recovery found in the log.
    pub(super) fn push_recovered(
        &mut self,
        logged: MessageId,
        len: u32,
        returns: u8,
        is_redelivered: bool,
        (rank, overhead): (Option<Rank>, u16),
    ) {
        let id = self.next_id(rank);
        let entry = Entry {
            id,
            logged: Some(logged),
            message: None,
            len,
            overhead,
            returns,
            is_redelivered,
        };
        self.append(entry, rank);
    }

    fn next_id(&mut self, rank: Option<Rank>) -> DeliveryId {
        self.next_id += 1;
        match rank {
            None => DeliveryId(self.next_id),
            Some(Rank::Priority(priority)) => {
                DeliveryId(u64::from(u8::MAX - priority) << 56 | self.next_id)
            }
            Some(Rank::Due(at_ms)) => {
                let mut id = DeliveryId((at_ms << 20 | self.next_id & 0xf_ffff).max(1));
                while self.returned.contains_key(&id) || self.unacked.contains_key(&id) {
                    id.0 += 1;
                }
                id
            }
        }
    }

    fn count_in(&mut self, entry: &Entry) {
        self.ready_bytes += entry.body_bytes();
        if entry.message.is_some() {
            self.cached_bytes += u64::from(entry.len);
        }
    }

    fn count_out(&mut self, entry: &Entry) {
        self.ready_bytes -= entry.body_bytes();
        if entry.message.is_some() {
            self.cached_bytes -= u64::from(entry.len);
        }
    }

    /// The message to hand out next.
    pub(super) fn front(&self) -> Option<&Entry> {
        self.returned
            .first_key_value()
            .map(|(_, entry)| entry)
            .or_else(|| self.ready.front())
    }

    /// Keeps the content of the message to hand out next.
    pub(super) fn cache_front(&mut self, message: Message) {
        let front = match self.returned.first_entry() {
            Some(first) => first.into_mut(),
            None => match self.ready.front_mut() {
                Some(first) => first,
                None => return,
            },
        };
        if front.message.is_none() {
            self.cached_bytes += u64::from(front.len);
            front.message = Some(message);
        }
    }

    /// Whether nothing is ready or handed out.
    pub(super) fn is_empty(&self) -> bool {
        self.front().is_none() && self.unacked.is_empty()
    }

    /// Takes the message to hand out next.
    pub(super) fn pop(&mut self) -> Option<Entry> {
        let entry = self
            .returned
            .pop_first()
            .map(|(_, entry)| entry)
            .or_else(|| self.ready.pop_front())?;
        self.count_out(&entry);
        Some(entry)
    }

    /// Notes that a message is out.
    pub(super) fn hold(&mut self, entry: Entry, consumer: Option<Arc<Consumer>>) {
        self.unacked.insert(entry.id, Held { entry, consumer });
    }

    /// Takes the messages of a run that are out, and leaves alone what was settled before.
    pub(super) fn settle(&mut self, run: DeliveryRun, mut taken: impl FnMut(Held)) {
        for id in run.ids() {
            if let Some(held) = self.unacked.remove(&id) {
                taken(held);
            }
        }
    }

    /// Puts a message back where it was.
    pub(super) fn put_back(&mut self, entry: Entry) {
        self.count_in(&entry);
        self.returned.insert(entry.id, entry);
    }

    /// Takes everything that is ready.
    pub(super) fn take_ready(&mut self) -> Vec<Entry> {
        (self.ready_bytes, self.cached_bytes) = (0, 0);
        let returned = std::mem::take(&mut self.returned);
        returned
            .into_values()
            .chain(std::mem::take(&mut self.ready))
            .collect()
    }

    /// Forgets everything, and returns what was out.
    pub(super) fn clear(&mut self) -> Vec<Held> {
        self.take_ready();
        std::mem::take(&mut self.unacked).into_values().collect()
    }

    pub(super) fn ready_len(&self) -> usize {
        self.returned.len() + self.ready.len()
    }

    pub(super) fn ready_bytes(&self) -> u64 {
        self.ready_bytes
    }

    pub(super) fn unacked_len(&self) -> usize {
        self.unacked.len()
    }

    /// Log id, returns and redelivered flag of everything the log knows, in order of arrival.
    #[cfg(test)]
    pub(super) fn logged(&self) -> Vec<(MessageId, u8)> {
        let entries = self
            .returned
            .values()
            .chain(&self.ready)
            .chain(self.unacked.values().map(|held| &held.entry));
        let mut logged: Vec<_> = entries
            .filter_map(|entry| Some((entry.logged?, entry.returns)))
            .collect();
        logged.sort_unstable();
        logged
    }
}
