//! What a queue is, naively: a sorted list of messages, some of them out, and the rules.

use std::collections::BTreeMap;

use super::shape::{Overflow, Sent, Shape};

/// A message in the model. Its number is in its body.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) number: u64,
    /// What goes first is smallest: the rank, then the order of arrival.
    place: (u8, u64),
    survives: bool,
    pub(super) expires_ms: Option<u64>,
    body_bytes: u64,
    pub(super) redelivered: Flag,
    pub(super) returns: u64,
}

/// A redelivered flag, as far as it is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flag {
    Fresh,
    Redelivered,
    /// Not handed out before, and the node restarted since: it may say so all the same.
    Either,
}

impl Flag {
    pub(super) fn allows(self, redelivered: bool) -> bool {
        match self {
            Self::Fresh => !redelivered,
            Self::Redelivered => redelivered,
            Self::Either => true,
        }
    }
}

pub(super) struct Model {
    shape: Shape,
    pub(super) now_ms: u64,
    next: u64,
    pub(super) ready: Vec<Held>,
    /// Handed out as they came, and not asked for yet.
    handed: Vec<Held>,
    /// Out, by place, and with which consumer.
    pub(super) out: BTreeMap<(u8, u64), (Held, Option<usize>)>,
    /// What died since it was last taken, of what.
    pub(super) dead: Vec<(u64, &'static str)>,
    /// By number; a number is not used again.
    pub(super) consumers: Vec<Option<Taker>>,
    active: Option<usize>,
    /// Whether the log may say of fresh messages that they were handed out: since a crash it looks ahead.
    is_vague: bool,
}

/// A consumer, as the model knows it.
#[derive(Clone, Debug)]
pub(super) struct Taker {
    pub(super) prefetch: usize,
    pub(super) no_ack: bool,
    pub(super) priority: i32,
    pub(super) held: usize,
}

impl Taker {
    /// How many more it takes.
    pub(super) fn room(&self) -> usize {
        if self.no_ack || self.prefetch == 0 {
            usize::MAX
        } else {
            self.prefetch.saturating_sub(self.held)
        }
    }
}

impl Model {
    pub(super) fn new(shape: &Shape, now_ms: u64) -> Self {
        Self {
            shape: shape.clone(),
            now_ms,
            next: 0,
            ready: Vec::new(),
            handed: Vec::new(),
            out: BTreeMap::new(),
            dead: Vec::new(),
            consumers: Vec::new(),
            active: None,
            is_vague: false,
        }
    }

    /// Takes messages in; returns their numbers, and whether each was refused.
    pub(super) fn arrive(&mut self, sent: &[Sent]) -> Vec<(u64, bool)> {
        let mut numbers = Vec::new();
        let mut rest = sent.iter().peekable();
        while let Some(sent) = rest.next() {
            self.next += 1;
            let number = self.next;
            let body_bytes = body(number, sent.padding).len() as u64;
            let refused = self.shape.rejects() && !self.fits(body_bytes);
            numbers.push((number, refused));
            if refused {
                if self.shape.overflow == Overflow::RejectAndBury {
                    self.die(number, "maxlen");
                }
                continue;
            }
            let rank = self
                .shape
                .priority_max
                .map(|max| u8::MAX - sent.priority.min(max));
            let ttl_ms = self
                .shape
                .ttl_ms
                .into_iter()
                .chain(sent.expiration_ms)
                .min();
            self.ready.push(Held {
                number,
                place: (rank.unwrap_or(0), number),
                survives: self.shape.is_logging(sent),
                expires_ms: ttl_ms.map(|ttl_ms| self.now_ms + ttl_ms),
                body_bytes,
                redelivered: Flag::Fresh,
                returns: 0,
            });
            // Messages come to the queue in rows of those that go to the log, and those that do not; to one that ranks
            // them each on its own.
            let goes_on = rest.peek().is_some_and(|next| {
                let is_logged = |sent: &Sent| self.shape.is_logging(sent);
                rank.is_none() && is_logged(next) == is_logged(sent)
            });
            if !goes_on {
                self.ready.sort_by_key(|held| held.place);
                self.handed = self.hand_out();
                self.enforce();
            }
        }
        numbers
    }

    fn fits(&self, body_bytes: u64) -> bool {
        let length_fits = self
            .shape
            .length_max
            .is_none_or(|max| self.ready.len() < max);
        let bytes = self.ready_bytes() + body_bytes;
        length_fits && self.shape.bytes_max.is_none_or(|max| bytes <= max)
    }

    pub(super) fn ready_bytes(&self) -> u64 {
        self.ready.iter().map(|held| held.body_bytes).sum()
    }

    fn die(&mut self, number: u64, reason: &'static str) {
        if self.shape.buries {
            self.dead.push((number, reason));
        }
    }

    /// The next message to hand out; what expired on the way dies.
    pub(super) fn take(&mut self) -> Option<Held> {
        while !self.ready.is_empty() {
            let held = self.ready.remove(0);
            if held.expires_ms.is_none_or(|at_ms| at_ms >= self.now_ms) {
                return Some(held);
            }
            self.die(held.number, "expired");
        }
        None
    }

    /// How many more messages the consumers take together.
    fn room(&self) -> usize {
        let serving = self.serving();
        let rooms = serving.iter().filter_map(|at| self.consumers[*at].as_ref());
        rooms.fold(0, |sum, taker| sum.saturating_add(taker.room()))
    }

    /// The consumers that are served.
    pub(super) fn serving(&self) -> Vec<usize> {
        if self.shape.single_active {
            return self.active.into_iter().collect();
        }
        let taking = self.consumers.iter().enumerate();
        taking
            .filter(|(_, taker)| taker.is_some())
            .map(|(at, _)| at)
            .collect()
    }

    /// What consumers must get now, in order.
    pub(super) fn hand_out(&mut self) -> Vec<Held> {
        let mut handed = std::mem::take(&mut self.handed);
        let room = self.room();
        while handed.len() < room
            && let Some(held) = self.take()
        {
            handed.push(held);
        }
        handed
    }

    /// Drops what is too many and what expired, at the head only.
    pub(super) fn enforce(&mut self) {
        if self.shape.is_limited() && self.shape.overflow == Overflow::DropHead {
            let (length_max, bytes_max) = (self.shape.length_max, self.shape.bytes_max);
            while !self.ready.is_empty()
                && (length_max.is_some_and(|max| self.ready.len() > max)
                    || bytes_max.is_some_and(|max| self.ready_bytes() > max))
            {
                let number = self.ready.remove(0).number;
                self.die(number, "maxlen");
            }
        }
        while let Some(first) = self.ready.first()
            && first.expires_ms.is_some_and(|at_ms| at_ms <= self.now_ms)
        {
            let number = self.ready.remove(0).number;
            self.die(number, "expired");
        }
    }

    /// Notes who got a message.
    pub(super) fn hold(&mut self, held: Held, consumer: Option<usize>) {
        if let Some(taker) = consumer.and_then(|at| self.consumers[at].as_mut()) {
            taker.held += 1;
        }
        self.out.insert(held.place, (held, consumer));
    }

    /// The places of the messages that are out and chosen by a bit.
    pub(super) fn chosen(&self, mask: u64) -> Vec<(u8, u64)> {
        let places = self.out.keys().enumerate();
        places
            .filter(|(at, _)| mask >> (at % 64) & 1 == 1)
            .map(|(_, place)| *place)
            .collect()
    }

    fn settle(&mut self, place: (u8, u64)) -> Option<Held> {
        let (held, consumer) = self.out.remove(&place)?;
        if let Some(taker) = consumer.and_then(|at| self.consumers[at].as_mut()) {
            taker.held -= 1;
        }
        Some(held)
    }

    pub(super) fn ack(&mut self, places: &[(u8, u64)]) {
        for place in places {
            self.settle(*place);
        }
    }

    pub(super) fn discard(&mut self, places: &[(u8, u64)]) {
        for place in places {
            if let Some(held) = self.settle(*place) {
                self.die(held.number, "rejected");
            }
        }
    }

    pub(super) fn requeue(&mut self, places: &[(u8, u64)]) {
        for place in places {
            let Some(mut held) = self.settle(*place) else {
                continue;
            };
            held.redelivered = Flag::Redelivered;
            held.returns += 1;
            if self
                .shape
                .returns_max()
                .is_some_and(|max| held.returns > max)
            {
                self.die(held.number, "delivery_limit");
            } else {
                self.ready.push(held);
            }
        }
        self.ready.sort_by_key(|held| held.place);
    }

    pub(super) fn subscribe(&mut self, taker: Taker) -> usize {
        self.consumers.push(Some(taker));
        self.choose();
        self.consumers.len() - 1
    }

    pub(super) fn unsubscribe(&mut self, consumer: usize) {
        self.consumers[consumer] = None;
        self.choose();
    }

    /// The active consumer stays while it is there; then the first in rank follows.
    fn choose(&mut self) {
        if self.active.is_some_and(|at| self.consumers[at].is_some()) {
            return;
        }
        let present = self.consumers.iter().enumerate();
        let ranked = present.filter_map(|(at, taker)| Some((-taker.as_ref()?.priority, at)));
        self.active = ranked.min().map(|(_, at)| at);
    }

    /// The node ended and is back. Whoever held something lost it.
    pub(super) fn restart(&mut self, is_clean: bool) {
        self.consumers.clear();
        self.active = None;
        let was_out = std::mem::take(&mut self.out).into_values();
        for (mut held, _) in was_out {
            held.redelivered = Flag::Redelivered;
            self.ready.push(held);
        }
        self.ready.retain(|held| held.survives);
        self.ready.sort_by_key(|held| held.place);
        // A clean stop knows up to where messages were handed out: in order of arrival, nothing behind that is marked.
        self.is_vague |= !is_clean;
        let is_exact = !self.is_vague && self.shape.priority_max.is_none();
        let last_out = self
            .ready
            .iter()
            .rposition(|held| held.redelivered != Flag::Fresh);
        for (at, held) in self.ready.iter_mut().enumerate() {
            if held.redelivered == Flag::Fresh
                && !(is_exact && last_out.is_some_and(|last| at > last))
            {
                held.redelivered = Flag::Either;
            }
        }
    }

    /// Everything is gone with the queue.
    pub(super) fn renew(&mut self) {
        let (shape, now_ms, next) = (self.shape.clone(), self.now_ms, self.next);
        *self = Self::new(&shape, now_ms);
        self.next = next;
    }
}

/// A body that names its message.
pub(super) fn body(number: u64, padding: usize) -> String {
    format!("{number}:{}", "x".repeat(padding))
}

/// The message that a body names.
pub(super) fn number_of(body: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(body).ok()?;
    text.split_once(':')?.0.parse().ok()
}
