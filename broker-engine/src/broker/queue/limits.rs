//! What a queue does by itself: expire, drop what is too many, refuse, and go when nobody uses it.
//!
//! Invariant: a message that leaves here is in `State::dead` until the lock is released, and in the log of this queue
//! until the entry that removes it also puts it where dead messages go.

use std::sync::{Arc, atomic::Ordering};

use arc_swap::Guard;

use super::{
    Locked, Queue, State,
    backlog::{Front, Rank},
    entry::Entry,
    framing::Extent,
    rules::{Dialect, Overflow, QueueKind, Rules},
};
use crate::{
    broker::{
        dead_letter::{self, Reason},
        deduplication::{Bringer, Note, Verdict},
        delay,
        message::Message,
        value::Value,
    },
    store::{Batch, Position},
};

/// How long dead messages wait in their queue when the log did not take their move.
const RETRY_MS: u64 = 1000;

/// How many messages expire before others get the lock, and the dead ones are sent off.
const EXPIRED_MAX: usize = 1024;

/// A message that a queue gives up, and why.
pub(crate) struct Dead {
    pub(crate) entry: Entry,
    pub(crate) reason: Reason,
}

/// Whether a message may come in.
pub(crate) enum Admission {
    /// It may, and room is kept for it. The note, if any, is to be settled when it has come in.
    Taken(Option<Note>),
    /// It came before; that is durable when this position is.
    Duplicate(Option<Position>),
    /// The same message is on its way and may still be refused.
    Undecided,
    /// The queue is full.
    Refused,
}

impl Queue {
    /// What it does besides keeping messages in order, at this moment.
    pub(crate) fn rules(&self) -> Guard<Arc<Rules>> {
        self.rules.load()
    }

    /// How long a consumer may keep a message of this queue before it must answer; `None` for ever.
    pub fn consumer_timeout_ms(&self) -> Option<u64> {
        let own = self.rules().consumer_timeout_ms;
        own.or(self.core.consumer_timeouts.node_ms)
            .filter(|limit_ms| *limit_ms > 0)
    }

    /// Looks at the clock, if anything here depends on it.
    pub(super) fn note_time(&self, state: &mut State) {
        if state.may_expire {
            state.now_ms = self.core.clock.now_ms();
        }
    }

    /// When a message expires in this queue.
    pub(super) fn expiry(&self, arrived_ms: Option<u64>, properties: &[u8]) -> Option<u64> {
        let rules = self.rules();
        let arrived_ms = match arrived_ms {
            Some(arrived_ms) => arrived_ms,
            None if rules.ttl_ms.is_some() => self.timed_since_ms.load(Ordering::Relaxed),
            None => return None,
        };
        if rules.delays.is_some() {
            let headers = self.core.envelope.headers(properties);
            return Some(arrived_ms.saturating_add(delay::delay_ms(&headers).unwrap_or(0)));
        }
        let own = self.core.envelope.expiration_ms(properties);
        let ttl_ms = own.into_iter().chain(rules.ttl_ms).min()?;
        Some(arrived_ms.saturating_add(ttl_ms))
    }

    /// Applies the queue's limits after a change. Consumers that could take something have it by now.
    pub(super) fn enforce(&self, state: &mut State) {
        let rules = self.rules();
        if rules.is_limited() && rules.overflow == Overflow::DropHead {
            while is_over(&rules, state)
                && let Some(entry) = state.backlog.pop()
            {
                // What was taken out counts no more.
                let length = state.backlog.ready_len() as u64 + 1;
                let is_too_long = rules.length_max.is_some_and(|max| length > max);
                let reason = if is_too_long || self.core.dialect != Dialect::LavinMq {
                    Reason::MaxLength
                } else {
                    Reason::MaxLengthBytes
                };
                state.dead.push(Dead { entry, reason });
            }
        }
        if state.may_expire {
            self.expire(state);
        }
    }

    /// Only at the head: a message that expired behind one that did not waits for its turn, as in RabbitMQ.
    fn expire(&self, state: &mut State) {
        for number in 0.. {
            if number == EXPIRED_MAX {
                self.wake_at(state, state.now_ms);
                break;
            }
            match self.front_expiry(state) {
                None => break,
                Some(at_ms) if at_ms > state.now_ms => {
                    self.wake_at(state, at_ms);
                    break;
                }
                Some(_) => {
                    let Some(entry) = state.backlog.pop() else {
                        break;
                    };
                    let reason = Reason::Expired;
                    state.dead.push(Dead { entry, reason });
                }
            }
        }
        if state.backlog.is_empty() && self.rules().ttl_ms.is_none() {
            state.may_expire = false;
        }
    }

    fn front_expiry(&self, state: &mut State) -> Option<u64> {
        let (in_memory, logged) = match state.backlog.front()? {
            Front::Entry(entry) => (entry.message.as_ref().map(timing), entry.logged),
            Front::Run(run) => (run.front(), run.logged),
        };
        if let Some((arrived_ms, properties)) = in_memory {
            return self.expiry(arrived_ms, properties);
        }
        let message = match self.read_back(logged) {
            Ok(message) => message,
            Err(error) => {
                // Whoever takes the message finds out again, and deals with it.
                tracing::warn!(queue = %self.name, vhost = %self.vhost, %error, "cannot tell when a message expires");
                return None;
            }
        };
        let expiry = self.expiry(message.arrived_ms(), message.properties());
        state.backlog.cache_front(message);
        expiry
    }

    fn wake_at(&self, state: &mut State, at_ms: u64) {
        if state.deadline_ms.is_none_or(|deadline| at_ms < deadline) {
            state.deadline_ms = Some(at_ms);
            self.core.deadlines.add(at_ms, self.me.clone());
        }
    }

    /// Starts the time after which an unused queue goes.
    pub(crate) fn touch(&self) {
        if self.rules().expires_ms.is_some() {
            self.touch_locked(&mut self.lock());
        }
    }

    pub(super) fn touch_locked(&self, state: &mut State) {
        if let Some(expires_ms) = self.rules().expires_ms {
            state.used_ms = self.core.clock.now_ms();
            let at_ms = state.used_ms.saturating_add(expires_ms);
            self.wake_at(state, at_ms);
        }
    }

    /// Whether nobody used it for as long as it lives unused.
    pub(crate) fn is_unused(&self, now_ms: u64) -> bool {
        let state = self.state.lock();
        self.rules().expires_ms.is_some_and(|expires_ms| {
            state.consumers.is_empty() && state.used_ms.saturating_add(expires_ms) <= now_ms
        })
    }

    /// Does what is due, and asks to be called when something is due again. True when the queue must go.
    pub(crate) fn due(&self, now_ms: u64) -> bool {
        let mut state = self.lock();
        if state.is_deleted {
            return false;
        }
        state.deadline_ms = None;
        state.now_ms = now_ms;
        self.enforce(&mut state);
        if let Some(expires_ms) = self.rules().expires_ms
            && state.consumers.is_empty()
        {
            let at_ms = state.used_ms.saturating_add(expires_ms);
            if at_ms <= now_ms {
                return true;
            }
            self.wake_at(&mut state, at_ms);
        }
        self.unlock(state);
        false
    }

    /// Sees to it that the head is looked at: recovery does not tell what expired meanwhile.
    pub(super) fn check_soon(&self, state: &mut State) {
        if !state.backlog.is_empty() {
            state.may_expire = true;
            self.wake_at(state, 0);
        }
    }

    /// Keeps room for a message whose body has `bytes`, if the queue takes one more. The message must come, or
    /// [`Queue::unreserve`].
    pub(crate) fn reserve(&self, bytes: usize) -> bool {
        let mut state = self.lock();
        let (count, reserved_bytes) = state.reserved;
        let length = (state.backlog.ready_len() + count + 1) as u64;
        let total_bytes = state.backlog.ready_bytes() + reserved_bytes + bytes as u64;
        let fits = self.rules().length_max.is_none_or(|max| length <= max)
            && self.rules().bytes_max.is_none_or(|max| total_bytes <= max);
        if fits {
            state.reserved = (count + 1, reserved_bytes + bytes as u64);
        }
        fits
    }

    /// Gives kept room back.
    pub(crate) fn unreserve(&self, extent: Extent) {
        let mut state = self.lock();
        Self::use_reserved(&mut state, extent);
    }

    pub(super) fn use_reserved(state: &mut State, extent: Extent) {
        let (count, reserved_bytes) = state.reserved;
        state.reserved = (
            count.saturating_sub(extent.messages as usize),
            reserved_bytes.saturating_sub(extent.body_bytes),
        );
    }

    /// Asks whether a message may come in. To be asked once per message and queue that is not plain.
    pub(crate) fn admit(&self, properties: &[u8], bytes: usize, by: Bringer) -> Admission {
        let note = match &self.deduper {
            None => None,
            Some(deduper) => {
                let headers = self.core.envelope.headers(properties);
                match deduper.look(&headers, self.core.clock.now_ms(), by) {
                    Verdict::New(note) => note,
                    Verdict::Duplicate(position) => return Admission::Duplicate(position),
                    Verdict::Undecided => return Admission::Undecided,
                }
            }
        };
        if self.rules().rejects() && !self.reserve(bytes) {
            return Admission::Refused;
        }
        Admission::Taken(note)
    }

    /// Whether messages come in without being asked about.
    pub(crate) fn is_plain(&self) -> bool {
        self.deduper.is_none() && !self.rules().rejects()
    }

    /// Releases the lock and sends off what died under it.
    pub(super) fn unlock(&self, mut state: Locked<'_>) {
        if state.dead.is_empty() {
            return;
        }
        let dead = std::mem::take(&mut state.dead);
        drop(state);
        self.bury(dead);
    }

    pub(crate) fn bury(&self, dead: Vec<Dead>) {
        if self.rules().hands_on()
            && let Some(home) = self.home.upgrade()
        {
            return dead_letter::bury(&home, self, dead);
        }
        let mut logged: Vec<_> = dead.iter().filter_map(|dead| dead.entry.logged).collect();
        logged.sort_unstable();
        self.log(&logged, Batch::drop_messages);
    }

    /// Takes back what could not be sent off, to be tried again.
    pub(crate) fn take_back(&self, dead: Vec<Dead>) {
        let mut state = self.lock();
        if !state.is_deleted {
            let own = |dead: &Dead| dead.entry.place != Entry::NEVER_QUEUED;
            for mut dead in dead.into_iter().filter(own) {
                dead.entry.is_redelivered = true;
                state.backlog.put_back(dead.entry);
            }
            let soon_ms = self.core.clock.now_ms().saturating_add(RETRY_MS);
            self.wake_at(&mut state, soon_ms);
        }
    }

    /// A message's rank, in a queue that ranks its messages.
    pub(super) fn rank(&self, message: &Message) -> Rank {
        if self.rules().delays.is_some() {
            let due_ms = self.expiry(message.arrived_ms(), message.properties());
            return Rank::Due(due_ms.unwrap_or(0));
        }
        let own = self.core.envelope.priority(message.properties());
        Rank::Priority(own.min(self.rules().priority_max.unwrap_or(0)))
    }

    /// Whether messages refused for good go somewhere.
    pub fn buries(&self) -> bool {
        self.rules().dead_letter.is_some()
    }

    /// The message of an entry that left the queue and is still in its log.
    pub(crate) fn message_of(&self, entry: &Entry) -> Option<Message> {
        if let Some(message) = &entry.message {
            return Some(message.clone());
        }
        match self.read_back(entry.logged) {
            Ok(message) => Some(message),
            Err(error) => {
                tracing::error!(queue = %self.name, vhost = %self.vhost, %error, "a dead message was set aside");
                None
            }
        }
    }

    /// The message as a client sees it: where returns count, they are told. Like RabbitMQ's, a quorum queue tells
    /// consumers nothing of no return, and tells it those who fetch.
    pub(super) fn presented(&self, message: &Message, returns: u8, is_fetched: bool) -> Message {
        let tells_none = is_fetched && self.kind() == QueueKind::Quorum;
        if !self.rules().counts_returns || (returns == 0 && !tells_none) {
            return message.clone();
        }
        let envelope = &self.core.envelope;
        let mut headers = envelope.headers(message.properties());
        headers.set("x-delivery-count", Value::I64(i64::from(returns)));
        let properties = envelope.with_headers(message.properties(), &headers);
        message.with_properties(&properties)
    }

    /// Chooses who is served where only one consumer is: the one that was, else the first in rank.
    pub(super) fn choose_active(&self, state: &mut State) {
        if !self.rules().is_single_active {
            return;
        }
        let is_there = state.active.as_ref().is_some_and(|active| {
            state
                .consumers
                .iter()
                .any(|consumer| Arc::ptr_eq(consumer, active))
        });
        if !is_there {
            state.active = state.consumers.first().cloned();
        }
    }
}

/// When a message arrived, if it tells, and its properties.
fn timing(message: &Message) -> (Option<u64>, &[u8]) {
    (message.arrived_ms(), message.properties())
}

fn is_over(rules: &Rules, state: &State) -> bool {
    let (length, bytes) = (state.backlog.ready_len(), state.backlog.ready_bytes());
    rules.length_max.is_some_and(|max| length as u64 > max)
        || rules.bytes_max.is_some_and(|max| bytes > max)
}
