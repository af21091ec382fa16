//! Publishing: route a batch, write it to the log once, put it in the queues.
//!
//! Invariant: whatever a queue holds with a log id is in the log, in the same order for messages of one publisher.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    Dialect,
    access::Action,
    by_queue::ByQueue,
    dead_letter::{self, Reason},
    deduplication::Bringer,
    error::Error,
    exchange::Reading,
    message::{Message, Parts, Publish},
    queue::{Admission, Dead, Entry, Extent, Overflow, Queue, Run},
    route::{Route, SeenBefore},
    route_cache::RouteCache,
    session::Session,
    staged::{Staged, pack_all, too_long},
    stats::{ExchangeMeter, OfExchange},
    value::Table,
    vhost::REPLIES_PREFIX,
};
use crate::store::{Appended, Durability, Position};

/// How many exchanges a publisher remembers the meters of.
const EXCHANGES_MAX: usize = 16;

/// Reads the headers out of a message's properties; only headers exchanges ask.
pub type ReadHeaders = fn(properties: &[u8]) -> Table;

/// What became of a batch of messages.
#[derive(Debug, Default)]
pub struct PublishOutcome {
    /// How many messages, from the first, were dealt with. Fewer than were given only with an error.
    pub accepted: usize,
    /// Which of them were mandatory and reached no queue.
    pub unroutable: Vec<usize>,
    /// How many others reached no queue either.
    pub dropped: usize,
    /// Which of them a full queue refused.
    pub rejected: Vec<usize>,
    /// Why the message after them, and all later ones, were refused.
    pub error: Option<Error>,
    /// What must be durable before the accepted messages may be confirmed; none: at once.
    pub durable: Option<Position>,
}

impl PublishOutcome {
    /// A message reached no queue, and nobody refused it.
    pub(super) fn reached_none(&mut self, number: usize, mandatory: bool) {
        if mandatory {
            self.unroutable.push(number);
        } else {
            self.dropped += 1;
        }
    }
}

/// Who of those on a message's way takes it.
pub(super) struct Accepting {
    pub(super) route: Arc<Route>,
    /// Those that are full.
    refusing: Vec<Arc<Queue>>,
    /// Whether the same message is on its way from somebody else, and may be refused there.
    is_undecided: bool,
}

impl Accepting {
    /// Whether the publisher must be told that the message did not get everywhere.
    pub(super) fn is_refused(&self) -> bool {
        self.is_undecided || !self.refusing.is_empty()
    }

    /// Gives back the room that those who take it keep for the message.
    pub(super) fn unreserve(&self, message: &Publish<'_>) {
        let mut extent = Extent::default();
        extent.add(0, message.body.len());
        self.route.unreserve(extent);
    }
}

/// The way that was found for a message when it was published, to be taken later.
#[derive(Debug)]
pub struct Way {
    /// None through the default exchange: what it leads to is whatever queue bears the name then.
    route: Option<Arc<Route>>,
    /// What tells whether anything changed since.
    versions: (u64, u64),
}

/// The publishing side of a channel, with the routes it used.
pub struct Publisher {
    session: Session,
    bringer: Bringer,
    read_headers: ReadHeaders,
    versions: (u64, u64),
    routes: RouteCache,
    /// The meters of exchanges that were published to, the latest first.
    exchanges: Vec<(Box<str>, Arc<ExchangeMeter>)>,
    /// What is to be staged next.
    by_queue: ByQueue,
    scratch: Staged,
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
            exchanges: Vec::new(),
            by_queue: ByQueue::default(),
            scratch: Staged::default(),
        }
    }

    /// Publishes messages in order. Consumers that can take them get them before this returns.
    pub fn publish(&mut self, messages: &[Publish<'_>]) -> PublishOutcome {
        let mut outcome = PublishOutcome::default();
        let mut staged = std::mem::take(&mut self.scratch);
        staged.expect(messages);
        self.refresh();
        while outcome.accepted < messages.len() {
            if staged.is_full() {
                if self.conclude(messages, &mut staged, &mut outcome).is_err() {
                    return outcome;
                }
                staged.first = outcome.accepted;
            }
            if staged.fits_one_entry() {
                let gathered = self.gather(messages, outcome.accepted);
                outcome.accepted += gathered;
                if gathered > 0 {
                    continue;
                }
                // The next one takes a way of its own, and comes behind what was gathered.
                if let Err(error) = self.bring_together(messages, &mut staged) {
                    refuse(&mut staged, &mut outcome, error);
                    return outcome;
                }
            }
            match self.take_in(messages, &mut staged, &mut outcome) {
                Ok(count) => outcome.accepted += count,
                Err(error) => {
                    if self.conclude(messages, &mut staged, &mut outcome).is_ok() {
                        outcome.error = Some(error);
                    }
                    return outcome;
                }
            }
        }
        // The outcome says what went wrong.
        let _ = self.conclude(messages, &mut staged, &mut outcome);
        self.scratch = staged;
        outcome
    }

    /// Sees to it that the messages dealt with so far are in the log and in their queues, or refuses them.
    fn conclude(
        &mut self,
        messages: &[Publish<'_>],
        staged: &mut Staged,
        outcome: &mut PublishOutcome,
    ) -> Result<(), ()> {
        if let Err(error) = self.bring_together(messages, staged) {
            refuse(staged, outcome, error);
            return Err(());
        }
        if !staged.is_empty() {
            self.flush(staged, outcome)?;
        }
        Ok(())
    }

    /// Takes note of the next messages while each goes to one queue alone, and to the log. Returns how many those are.
    fn gather(&mut self, messages: &[Publish<'_>], first: usize) -> usize {
        self.refresh();
        let messages = &messages[first..];
        let mut count = 0;
        while let Some(message) = messages.get(count)
            && message.copies.is_empty()
            && message.has_short_names()
            && message.exchange == messages[0].exchange
        {
            let before = count.checked_sub(1).map(|before| &messages[before]);
            if before.is_some_and(|before| message.goes_with(before)) {
                self.by_queue.extend();
            } else {
                let route = self.routes.find(message.exchange, message.routing_key);
                let Some((route, queue)) =
                    route.and_then(|route| Some((route, route.only_logged(message.persistent)?)))
                else {
                    break;
                };
                self.by_queue.add(first + count, queue, route);
            }
            count += 1;
        }
        if count > 0 {
            self.count(messages[0].exchange, count, 1);
        }
        count
    }

    /// Stages what was gathered, queue by queue.
    fn bring_together(
        &mut self,
        messages: &[Publish<'_>],
        staged: &mut Staged,
    ) -> Result<(), Error> {
        if self.by_queue.is_empty() {
            return Ok(());
        }
        std::mem::take(&mut self.by_queue).stage(|numbers, route| {
            let mut messages = messages[numbers].iter();
            messages.try_for_each(|message| self.stage(staged, message, route))
        })
    }

    /// Deals with the next messages that go the same way. Returns how many those are.
    fn take_in(
        &mut self,
        messages: &[Publish<'_>],
        staged: &mut Staged,
        outcome: &mut PublishOutcome,
    ) -> Result<usize, Error> {
        let number = outcome.accepted;
        let message = &messages[number];
        if !message.has_short_names() {
            return Err(too_long());
        }
        let route = self.route(message)?;
        if !route.is_plain() {
            let accepting = self.accepting(message, route, outcome);
            if accepting.is_refused() {
                outcome.rejected.push(number);
                self.bury_refused(message, &accepting.refusing);
            }
            if !accepting.route.is_empty() {
                self.stage(staged, message, &accepting.route)?;
            } else if outcome.rejected.last() != Some(&number) {
                outcome.reached_none(number, message.mandatory);
            }
            self.count(message.exchange, 1, accepting.route.queues().len());
            return Ok(1);
        }
        let alike = self.alike(&messages[number..], &route);
        let is_answer = message.mandatory && !route.is_empty() && self.is_answer(message);
        let mut taken = alike.len();
        if route.is_empty() {
            for (number, message) in (number..).zip(alike) {
                outcome.reached_none(number, message.mandatory);
            }
        } else if staged.is_empty() && route.logged(message.persistent).is_empty() {
            self.pass(alike, &route)?;
        } else {
            for (count, message) in alike.iter().enumerate() {
                if staged.is_full() {
                    taken = count;
                    break;
                }
                self.stage(staged, message, &route)?;
            }
        }
        if is_answer {
            outcome.unroutable.extend(number..number + taken);
        }
        self.count(message.exchange, taken, route.queues().len());
        Ok(taken)
    }

    /// Counts messages of one exchange, each of which went to so many queues.
    pub(super) fn count(&mut self, exchange: &str, messages: usize, queues: usize) {
        let known = self
            .exchanges
            .iter()
            .position(|(name, _)| **name == *exchange);
        match known {
            Some(0) => {}
            Some(at) => self.exchanges.swap(0, at),
            None => {
                let Some(meter) = self.session.vhost().exchange_meter(exchange) else {
                    return;
                };
                self.exchanges.truncate(EXCHANGES_MAX - 1);
                self.exchanges.insert(0, (exchange.into(), meter));
            }
        }
        let (_, meter) = &self.exchanges[0];
        meter.add_shared(OfExchange::In, messages as u64);
        if queues > 0 {
            meter.add_shared(OfExchange::Out, (messages * queues) as u64);
        }
    }

    /// Whether a message goes to a client that waits for an answer: RabbitMQ does not count that as a queue, and returns
    /// such a message if it is mandatory although it arrives.
    fn is_answer(&self, message: &Publish<'_>) -> bool {
        let is_asked_for = message.exchange.is_empty() && message.copies.is_empty();
        is_asked_for
            && message.routing_key.starts_with(REPLIES_PREFIX)
            && self.session.core().dialect != Dialect::LavinMq
    }

    /// The messages, from the first, that take this route and go to the log of the same queues.
    fn alike<'m, 'a>(
        &mut self,
        messages: &'m [Publish<'a>],
        route: &Arc<Route>,
    ) -> &'m [Publish<'a>] {
        let first = &messages[0];
        if messages.len() == 1 {
            return messages;
        }
        let is_cached = first.copies.is_empty()
            && self
                .routes
                .find(first.exchange, first.routing_key)
                .is_some_and(|cached| Arc::ptr_eq(cached, route));
        let mut count = 1;
        while let Some(message) = messages.get(count) {
            let before = &messages[count - 1];
            let is_same_way = |route: &Route| {
                message.persistent == before.persistent
                    || route.logged(message.persistent) == route.logged(before.persistent)
            };
            let is_alike = message.copies.is_empty()
                && before.copies.is_empty()
                && is_same_way(route)
                && (is_cached && message.is_addressed_like(before)
                    || message.exchange == before.exchange
                        && self
                            .route(message)
                            .is_ok_and(|other| Arc::ptr_eq(&other, route)));
            if !is_alike {
                break;
            }
            count += 1;
        }
        &messages[..count]
    }

    /// Puts messages that no log needs in their queues. Consumers that keep up get them as they came in; only what is
    /// left is copied.
    fn pass(&self, messages: &[Publish<'_>], route: &Route) -> Result<(), Error> {
        let mut stored: Option<(Run, Option<u64>)> = None;
        for queue in route.queues() {
            let passed = queue.pass(messages);
            if passed == messages.len() {
                continue;
            }
            if stored.is_none() {
                let expires = messages.iter().any(|message| message.expires);
                let stamp = (expires || route.is_timed()).then(|| self.now_ms());
                stored = Some((pack_all(messages, stamp)?, stamp));
            }
            if let Some((run, now_ms)) = &stored {
                let mut rest = run.clone();
                rest.skip(passed);
                self.push(queue, rest, *now_ms);
            }
        }
        Ok(())
    }

    fn push(&self, queue: &Arc<Queue>, run: Run, now_ms: Option<u64>) {
        let dead = queue.push(run, now_ms);
        if !dead.is_empty() {
            dead_letter::bury(self.session.vhost(), queue, dead);
        }
    }

    fn now_ms(&self) -> u64 {
        self.session.core().clock.now_ms()
    }

    /// Whether a consumer could take a message now, of any queue that it goes to.
    pub fn is_awaited(&mut self, message: &Publish<'_>) -> Result<bool, Error> {
        let route = self.route(message)?;
        Ok(route.queues().iter().any(|queue| queue.is_awaited()))
    }

    /// Finds the way of a message that is published later. Its exchange is there and may be written to; whatever becomes
    /// of that meanwhile, the message goes where its way led, as far as those queues are still there.
    pub fn find_way(&mut self, message: &Publish<'_>) -> Result<Way, Error> {
        let route = self.route(message)?;
        Ok(Way {
            route: (!message.exchange.is_empty()).then_some(route),
            versions: self.versions,
        })
    }

    /// Where the way of a message leads now.
    pub(super) fn route_of(
        &mut self,
        way: Way,
        message: &Publish<'_>,
    ) -> Result<Arc<Route>, Error> {
        self.refresh();
        match way.route {
            None => self.route(message),
            Some(route) if way.versions == self.versions => Ok(route),
            Some(route) => Ok(Arc::new(route.renewed())),
        }
    }

    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    /// Writes what is staged to the log and puts it in the queues, or refuses all of it. Returns the log's entry, if
    /// there was something for it.
    pub(super) fn flush(
        &self,
        staged: &mut Staged,
        outcome: &mut PublishOutcome,
    ) -> Result<Option<Appended>, ()> {
        let batch = std::mem::take(&mut staged.batch);
        let now_ms = staged.now_ms.take();
        let mut appended = None;
        let level = staged.durability.take().unwrap_or(Durability::Write);
        if !batch.is_empty() {
            match self.session.core().store.append(batch) {
                Ok(entry) => {
                    let position = Some(entry.position.at(level));
                    outcome.durable = Position::of_both(outcome.durable, position);
                    appended = Some(entry);
                }
                Err(error) => {
                    refuse(staged, outcome, error.into());
                    return Err(());
                }
            }
        }
        let durable = outcome.durable;
        let entry = appended.as_ref();
        let logged = entry.map(|entry| (entry.bytes.clone(), entry.first));
        staged.distribute(logged, durable, |queue, run| self.push(queue, run, now_ms));
        Ok(appended)
    }

    /// Forgets the routes when any may have changed.
    fn refresh(&mut self) {
        let versions = self.session.versions();
        if versions != self.versions {
            self.versions = versions;
            self.routes = RouteCache::default();
            self.exchanges.clear();
        }
    }

    /// Where a message goes, from the cache while nothing changed.
    pub(super) fn route(&mut self, message: &Publish<'_>) -> Result<Arc<Route>, Error> {
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
        let envelope = &*self.session.core().envelope;
        let reading = Reading::new(envelope, message.properties, &headers);
        let keys = [message.routing_key];
        let vhost = self.session.vhost();
        let found = vhost.route(message.exchange, &keys, &reading, self.bringer)?;
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
        let envelope = &*self.session.core().envelope;
        let reading = Reading::new(envelope, message.properties, &headers);
        let copies = message.copies.iter().map(String::as_str);
        let keys: Vec<&str> = std::iter::once(message.routing_key).chain(copies).collect();
        let vhost = self.session.vhost();
        let found = vhost.route(message.exchange, &keys, &reading, self.bringer)?;
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

    /// The route without the queues that are full and refuse, or that had the message before.
    pub(super) fn accepting(
        &self,
        message: &Publish<'_>,
        route: Arc<Route>,
        outcome: &mut PublishOutcome,
    ) -> Accepting {
        if route.is_plain() {
            return Accepting {
                route,
                refusing: Vec::new(),
                is_undecided: false,
            };
        }
        let (mut taking, mut refusing) = (Vec::new(), Vec::new());
        let mut seen = SeenBefore::default();
        for queue in route.queues() {
            match queue.admit(message.properties, message.body.len(), self.bringer) {
                Admission::Taken(note) => {
                    seen.notes.extend(note);
                    taking.push(Arc::clone(queue));
                }
                Admission::Duplicate(position) => {
                    seen.position = Position::of_both(seen.position, position);
                }
                Admission::Undecided => seen.is_undecided = true,
                Admission::Refused => refusing.push(Arc::clone(queue)),
            }
        }
        if let Some(exchange) = route.into_seen() {
            seen.position = Position::of_both(seen.position, exchange.position);
            seen.is_undecided |= exchange.is_undecided;
            // Whoever is told no may try again: the exchange must not take that for a repetition.
            if refusing.is_empty() && !seen.is_undecided {
                seen.notes.extend(exchange.notes);
            }
        }
        outcome.durable = Position::of_both(outcome.durable, seen.position);
        let is_undecided = seen.is_undecided;
        let seen = (!seen.notes.is_empty()).then(|| Box::new(seen));
        Accepting {
            route: Arc::new(Route::new(taking).of_one(seen)),
            refusing,
            is_undecided,
        }
    }

    /// What a queue refuses may go where its dead messages go.
    fn bury_refused(&self, message: &Publish<'_>, refusing: &[Arc<Queue>]) {
        for queue in refusing {
            if queue.rules().overflow == Overflow::RejectAndBury
                && let Some(parts) = Parts::new(message, None)
            {
                let bytes = Bytes::from(parts.of(message).concat());
                let entry = Entry::of(Message::from_parts(bytes));
                let reason = Reason::MaxLength;
                dead_letter::bury(self.session.vhost(), queue, vec![Dead { entry, reason }]);
            }
        }
    }

    /// Copies a message to where its queues will share it.
    pub(super) fn stage(
        &self,
        staged: &mut Staged,
        message: &Publish<'_>,
        route: &Arc<Route>,
    ) -> Result<(), Error> {
        let stamp = (message.expires || route.is_timed())
            .then(|| *staged.now_ms.get_or_insert_with(|| self.now_ms()));
        staged.add(message, route, stamp)
    }
}

/// Takes back what is staged: these messages were not accepted.
fn refuse(staged: &mut Staged, outcome: &mut PublishOutcome, error: Error) {
    let first = staged.first;
    outcome.accepted = first;
    outcome.unroutable.retain(|number| *number < first);
    outcome.rejected.retain(|number| *number < first);
    staged.unreserve();
    outcome.error = Some(error);
}
