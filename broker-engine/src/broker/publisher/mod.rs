//! Publishing: route a batch, write it to the log once, put it in the queues. Where a message goes is in `way`, who takes
//! it there in `acceptance`.
//!
//! Invariant: whatever a queue holds with a log id is in the log, in the same order for messages of one publisher.

mod acceptance;
mod by_queue;
mod way;

use std::sync::Arc;

pub use way::Way;

use by_queue::ByQueue;

use super::{
    dead_letter,
    deduplication::Bringer,
    error::Error,
    message::Publish,
    queue::{Queue, Run},
    route::Route,
    route_cache::RouteCache,
    session::Session,
    staged::{Staged, pack_all, too_long},
    stats::{ExchangeMeter, OfExchange},
    value::Table,
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
    pub(in crate::broker) fn reached_none(&mut self, number: usize, mandatory: bool) {
        if mandatory {
            self.unroutable.push(number);
        } else {
            self.dropped += 1;
        }
    }
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
    pub(in crate::broker) fn new(session: Session, read_headers: ReadHeaders) -> Self {
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
                let together = self.bring_together(messages, &mut staged, &mut outcome);
                if together.is_err() {
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
        self.bring_together(messages, staged, outcome)?;
        if !staged.is_empty() {
            self.flush(staged, outcome)?;
        }
        Ok(())
    }

    /// Takes note of the next messages while each goes to one queue alone, and to the log. Returns how many those are.
    fn gather(&mut self, messages: &[Publish<'_>], first: usize) -> usize {
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

    /// Stages what was gathered, queue by queue, or refuses it with all that is staged.
    fn bring_together(
        &mut self,
        messages: &[Publish<'_>],
        staged: &mut Staged,
        outcome: &mut PublishOutcome,
    ) -> Result<(), ()> {
        if self.by_queue.is_empty() {
            return Ok(());
        }
        let together = std::mem::take(&mut self.by_queue).stage(|numbers, route| {
            let mut messages = messages[numbers].iter();
            messages.try_for_each(|message| self.stage(staged, message, route))
        });
        together.map_err(|error| refuse(staged, outcome, error))
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
    pub(in crate::broker) fn count(&mut self, exchange: &str, messages: usize, queues: usize) {
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

    pub(in crate::broker) fn session(&self) -> &Session {
        &self.session
    }

    /// Writes what is staged to the log and puts it in the queues, or refuses all of it. Returns the log's entry, if
    /// there was something for it.
    pub(in crate::broker) fn flush(
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

    /// Copies a message to where its queues will share it.
    pub(in crate::broker) fn stage(
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
