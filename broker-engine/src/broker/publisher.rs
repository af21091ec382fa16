//! Publishing: route a batch, write it to the log once, put it in the queues.
//!
//! Invariant: whatever a queue holds with a log id is in the log, in the same order for messages of one publisher.

use std::{ops::Range, sync::Arc};

use bytes::{Bytes, BytesMut};

use super::{
    access::Action,
    dead_letter::{self, Reason},
    deduplication::Bringer,
    error::Error,
    message::{DeliveryRun, Message, Parts, Publish},
    queue::{Admission, Dead, Entry, Overflow, Queue},
    route::{Route, SeenBefore},
    route_cache::RouteCache,
    session::Session,
    value::Table,
};
use crate::store::{Batch, MessageId, Position};

/// How many messages a publisher keeps memory for between batches.
const SCRATCH_MAX: usize = 64;

/// Reads the headers out of a message's properties; only headers exchanges ask.
pub type ReadHeaders = fn(properties: &[u8]) -> Table;

/// What became of a batch of messages.
#[derive(Debug, Default)]
pub struct PublishOutcome {
    /// How many messages, from the first, were dealt with. Fewer than were given only with an error.
    pub accepted: usize,
    /// Which of them were mandatory and reached no queue.
    pub unroutable: Vec<usize>,
    /// Which of them a full queue refused.
    pub rejected: Vec<usize>,
    /// Why the message after them, and all later ones, were refused.
    pub error: Option<Error>,
    /// What must be durable before the accepted messages may be confirmed; none: at once.
    pub durable: Option<Position>,
}

/// Messages that a transaction settles for good.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The queue they came from.
    pub queue: Arc<Queue>,
    /// Which ones.
    pub run: DeliveryRun,
    /// Whether the client acknowledged them, rather than refused them.
    pub is_ack: bool,
}

/// The publishing side of a channel, with the routes it used.
pub struct Publisher {
    session: Session,
    bringer: Bringer,
    read_headers: ReadHeaders,
    versions: (u64, u64),
    routes: RouteCache,
    scratch: Staged,
}

/// A message of the batch on its way to the queues.
struct Pending {
    content: Range<usize>,
    /// Its number in the log's entry, if it goes there.
    place: Option<u16>,
    persistent: bool,
    body_len: usize,
}

#[derive(Default)]
struct Staged {
    batch: Batch,
    unlogged: BytesMut,
    pending: Vec<Pending>,
    /// Routes, and how many messages in a row take each.
    runs: Vec<(Arc<Route>, usize)>,
    /// About how many bytes the messages of the call take in memory, and in the log.
    expected_bytes: (usize, usize),
    /// How many messages of the call came before these.
    first: usize,
    /// The time, if one of them may expire.
    now_ms: Option<u64>,
}

impl Staged {
    /// Forgets the messages, and gives back the room that queues kept for them.
    fn unreserve(&mut self) {
        let mut pending = self.pending.drain(..);
        for (route, len) in self.runs.drain(..) {
            for pending in pending.by_ref().take(len) {
                route.unreserve(pending.body_len);
            }
        }
    }
}

impl Publisher {
    pub(super) fn new(session: Session, read_headers: ReadHeaders) -> Self {
        let versions = (0, 0);
        Self {
            bringer: session.core().next_bringer(),
            session,
            read_headers,
            versions,
            routes: RouteCache::default(),
            scratch: Staged::default(),
        }
    }

    /// Publishes messages in order. Consumers that can take them get them before this returns.
    pub fn publish(&mut self, messages: &[Publish<'_>]) -> PublishOutcome {
        let mut outcome = PublishOutcome::default();
        let mut staged = self.staged(messages);
        self.refresh();
        for (number, message) in messages.iter().enumerate() {
            if staged.batch.is_full() || staged.unlogged.len() >= Batch::BYTES_TARGET {
                if self.flush(&mut staged, &mut outcome).is_err() {
                    return outcome;
                }
                staged.first = number;
            }
            let staging = self.route(message).and_then(|route| {
                let route = self.accepting(message, number, route, &mut outcome);
                self.stage(&mut staged, message, &route)
            });
            match staging {
                Ok(true) => {}
                Ok(false) if message.mandatory && outcome.rejected.last() != Some(&number) => {
                    outcome.unroutable.push(number);
                }
                Ok(false) => {}
                Err(error) => {
                    if self.flush(&mut staged, &mut outcome).is_ok() {
                        outcome.error = Some(error);
                    }
                    return outcome;
                }
            }
            outcome.accepted = number + 1;
        }
        // The outcome says what went wrong.
        let _ = self.flush(&mut staged, &mut outcome);
        self.keep_scratch(staged);
        outcome
    }

    /// Whether a message could be published: its exchange is there and may be written to.
    pub fn check(&mut self, message: &Publish<'_>) -> Result<(), Error> {
        self.route(message).map(|_| ())
    }

    /// Publishes messages and settles others, all in one entry of the log: all of it, or with an error nothing.
    pub fn commit(
        &mut self,
        messages: &[Publish<'_>],
        settled: Vec<Settled>,
    ) -> Result<PublishOutcome, Error> {
        if messages.len() > MessageId::PER_ENTRY_MAX {
            let text = format!("a transaction of {} messages is too large", messages.len());
            return Err(Error::PreconditionFailed(text));
        }
        let (mut outcome, mut staged) = (PublishOutcome::default(), Staged::default());
        for (number, message) in messages.iter().enumerate() {
            let is_taken = self.route(message).and_then(|route| {
                let route = self.accepting(message, number, route, &mut outcome);
                self.stage(&mut staged, message, &route)
            });
            match is_taken {
                Ok(true) => {}
                Ok(false) if message.mandatory => outcome.unroutable.push(number),
                Ok(false) => {}
                Err(error) => {
                    staged.unreserve();
                    return Err(error);
                }
            }
        }
        let mut parts: Vec<(Arc<Queue>, bool, Vec<DeliveryRun>)> = Vec::new();
        for Settled { queue, run, is_ack } in settled {
            let known = parts
                .iter_mut()
                .find(|(other, ack, _)| Arc::ptr_eq(other, &queue) && *ack == is_ack);
            match known {
                Some((.., runs)) => runs.push(run),
                None => parts.push((queue, is_ack, vec![run])),
            }
        }
        let taken: Vec<_> = parts
            .into_iter()
            .map(|(queue, is_ack, runs)| {
                let held = queue.take_held(&runs, is_ack, &mut staged.batch);
                (queue, is_ack, held)
            })
            .collect();
        let is_written = self.flush(&mut staged, &mut outcome).is_ok();
        for (queue, is_ack, held) in taken {
            if is_written {
                queue.settled(held, is_ack);
            } else {
                queue.hold_again(held);
            }
        }
        match outcome.error.take() {
            Some(error) => Err(error),
            None => Ok(outcome),
        }
    }

    /// Writes what is staged to the log and puts it in the queues, or refuses all of it.
    fn flush(&self, staged: &mut Staged, outcome: &mut PublishOutcome) -> Result<(), ()> {
        let batch = std::mem::take(&mut staged.batch);
        let unlogged = std::mem::take(&mut staged.unlogged).freeze();
        let now_ms = staged.now_ms.take();
        let (mut logged, mut first_id) = (Bytes::new(), MessageId(0));
        if !batch.is_empty() {
            match self.session.core().store.append(batch) {
                Ok(appended) => {
                    (logged, first_id) = (appended.bytes, appended.first);
                    outcome.durable = Some(appended.position);
                }
                Err(error) => {
                    let first = staged.first;
                    outcome.accepted = first;
                    outcome.unroutable.retain(|number| *number < first);
                    outcome.rejected.retain(|number| *number < first);
                    staged.unreserve();
                    outcome.error = Some(error.into());
                    return Err(());
                }
            }
        }
        let mut rest = staged.pending.as_slice();
        for (route, len) in &staged.runs {
            route.settle(outcome.durable);
            let (run, others) = rest.split_at(*len);
            rest = others;
            for queue in route.queues() {
                let messages = run.iter().map(|pending| {
                    let (bytes, id) = match pending.place {
                        Some(place) => (&logged, Some(MessageId(first_id.0 + u64::from(place)))),
                        None => (&unlogged, None),
                    };
                    let message = Message::from_parts(bytes.slice(pending.content.clone()));
                    let id = id.filter(|_| queue.is_logging(pending.persistent));
                    (message, id)
                });
                let dead = queue.push(messages, now_ms);
                if !dead.is_empty() {
                    dead_letter::bury(self.session.vhost(), queue, dead);
                }
            }
        }
        staged.pending.clear();
        staged.runs.clear();
        Ok(())
    }

    /// What the messages of a call are collected in: the lists of an earlier call, empty.
    fn staged(&mut self, messages: &[Publish<'_>]) -> Staged {
        let mut staged = std::mem::take(&mut self.scratch);
        let lens = messages.iter().map(Publish::stored_len_max);
        let in_memory = lens.sum::<usize>().min(Batch::BYTES_TARGET);
        let in_log = in_memory + messages.len() * Batch::PUBLISH_LEN;
        staged.expected_bytes = (in_memory, in_log);
        staged.first = 0;
        staged
    }

    /// Keeps the memory of lists that a small batch needs: there may be very many publishers.
    fn keep_scratch(&mut self, staged: Staged) {
        let is_small = staged.pending.capacity() <= SCRATCH_MAX;
        if is_small && staged.runs.capacity() <= SCRATCH_MAX {
            self.scratch = staged;
        }
    }

    /// Forgets the routes when any may have changed.
    fn refresh(&mut self) {
        let versions = self.session.versions();
        if versions != self.versions {
            self.versions = versions;
            self.routes = RouteCache::default();
        }
    }

    /// Where a message goes, from the cache while nothing changed.
    fn route(&mut self, message: &Publish<'_>) -> Result<Arc<Route>, Error> {
        self.refresh();
        if !message.copies.is_empty() {
            return self.route_copies(message);
        }
        if let Some(route) = self.routes.find(message.exchange, message.routing_key) {
            return Ok(Arc::clone(route));
        }
        self.session.check_publish(message.exchange)?;
        let read_headers = self.read_headers;
        let headers = || read_headers(message.properties);
        let keys = [message.routing_key];
        let found = self
            .session
            .vhost()
            .route(message.exchange, &keys, &headers, self.bringer)?;
        self.check_topics(message.exchange, keys)?;
        let (holds, route) = (found.holds, found.into_route());
        if !holds {
            return Ok(Arc::new(route));
        }
        let routes = &mut self.routes;
        Ok(routes.insert(message.exchange, message.routing_key, route))
    }

    /// Where a message goes that names further keys; too rare to remember.
    fn route_copies(&self, message: &Publish<'_>) -> Result<Arc<Route>, Error> {
        self.session.check_publish(message.exchange)?;
        let read_headers = self.read_headers;
        let headers = || read_headers(message.properties);
        let copies = message.copies.iter().map(String::as_str);
        let keys: Vec<&str> = std::iter::once(message.routing_key).chain(copies).collect();
        let vhost = self.session.vhost();
        let found = vhost.route(message.exchange, &keys, &headers, self.bringer)?;
        self.check_topics(message.exchange, keys)?;
        Ok(Arc::new(found.into_route()))
    }

    /// Whether the user may publish with these keys. Asked only for routes that are not remembered.
    fn check_topics<'k>(
        &self,
        exchange: &str,
        keys: impl IntoIterator<Item = &'k str>,
    ) -> Result<(), Error> {
        self.session.check_topics(Action::Write, exchange, keys)
    }

    /// The route without the queues that are full and refuse, or that had the message before. What one refuses may go
    /// where its dead messages go.
    fn accepting(
        &self,
        message: &Publish<'_>,
        number: usize,
        route: Arc<Route>,
        outcome: &mut PublishOutcome,
    ) -> Arc<Route> {
        if route.is_plain() {
            return route;
        }
        let (mut taking, mut refusing) = (Vec::new(), Vec::new());
        let mut seen = SeenBefore::default();
        for queue in route.queues() {
            match queue.admit(message.properties, message.body.len(), self.bringer) {
                Admission::Taken(note) => {
                    seen.notes.extend(note);
                    taking.push(Arc::clone(queue));
                }
                Admission::Duplicate(position) => seen.position = seen.position.max(position),
                Admission::Undecided => seen.is_undecided = true,
                Admission::Refused => refusing.push(Arc::clone(queue)),
            }
        }
        if let Some(exchange) = route.into_seen() {
            seen.position = seen.position.max(exchange.position);
            seen.is_undecided |= exchange.is_undecided;
            // Whoever is told no may try again: the exchange must not take that for a repetition.
            if refusing.is_empty() && !seen.is_undecided {
                seen.notes.extend(exchange.notes);
            }
        }
        outcome.durable = outcome.durable.max(seen.position);
        if seen.is_undecided || !refusing.is_empty() {
            outcome.rejected.push(number);
        }
        for queue in refusing {
            if queue.rules().overflow == Overflow::RejectAndBury
                && let Some(parts) = Parts::new(message, None)
            {
                let bytes = Bytes::from(parts.of(message).concat());
                let entry = Entry::of(Message::from_parts(bytes));
                let reason = Reason::MaxLength;
                dead_letter::bury(self.session.vhost(), &queue, vec![Dead { entry, reason }]);
            }
        }
        let seen = (!seen.notes.is_empty()).then(|| Box::new(seen));
        Arc::new(Route::new(taking).of_one(seen))
    }

    /// Copies a message to where its queues will share it. False when no queue takes it.
    fn stage(
        &self,
        staged: &mut Staged,
        message: &Publish<'_>,
        route: &Arc<Route>,
    ) -> Result<bool, Error> {
        if route.is_empty() {
            return Ok(false);
        }
        let stamp = (message.expires || route.is_timed()).then(|| {
            let clock = &self.session.core().clock;
            *staged.now_ms.get_or_insert_with(|| clock.now_ms())
        });
        let too_long = || Error::CommandInvalid("a name is longer than 255 bytes".to_owned());
        let parts = Parts::new(message, stamp).ok_or_else(too_long)?;
        let parts = parts.of(message);
        let logged = route.logged(message.persistent);
        let (content, place) = if logged.is_empty() {
            if staged.unlogged.is_empty() {
                staged.unlogged.reserve(staged.expected_bytes.0);
            }
            let start = staged.unlogged.len();
            for part in parts {
                staged.unlogged.extend_from_slice(part);
            }
            (start..staged.unlogged.len(), None)
        } else {
            if staged.batch.is_empty() {
                staged.batch = Batch::with_capacity(staged.expected_bytes.1);
            }
            let place = staged.batch.messages() as u16;
            (staged.batch.publish(logged, &parts), Some(place))
        };
        match staged.runs.last_mut() {
            Some((last, len)) if Arc::ptr_eq(last, route) => *len += 1,
            _ => staged.runs.push((Arc::clone(route), 1)),
        }
        staged.pending.push(Pending {
            content,
            place,
            persistent: message.persistent,
            body_len: message.body.len(),
        });
        Ok(true)
    }
}
