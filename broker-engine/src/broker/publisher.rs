//! Publishing: route a batch, write it to the log once, put it in the queues.
//!
//! Invariant: whatever a queue holds with a log id is in the log, in the same order for messages of one publisher.

use std::{collections::HashMap, ops::Range, sync::Arc};

use bytes::{Bytes, BytesMut};

use super::{
    dead_letter::{self, Reason},
    error::Error,
    message::{DeliveryId, Message, Parts, Publish},
    queue::{Dead, Entry, Overflow, Queue},
    routing::Found,
    session::Session,
    value::Table,
};
use crate::store::{Batch, MessageId, Position, QueueId};

/// How many routes a publisher remembers.
const ROUTES_MAX: usize = 1024;

/// Reads the headers out of a message's properties; only headers exchanges ask.
pub type ReadHeaders = fn(properties: &[u8]) -> Table;

/// The queues a message goes to.
#[derive(Debug)]
pub(super) struct Route {
    queues: Vec<Arc<Queue>>,
    /// Those that keep persistent messages in the log.
    logged: Vec<QueueId>,
    /// Those that keep every message there.
    always_logged: Vec<QueueId>,
    /// Whether messages wait in one of them for a limited time only.
    is_timed: bool,
    /// Whether one of them refuses messages when it is full.
    may_reject: bool,
}

impl Route {
    /// Each queue once, whatever number of bindings led to it.
    pub(super) fn new(mut queues: Vec<Arc<Queue>>) -> Self {
        queues.sort_unstable_by_key(Arc::as_ptr);
        queues.dedup_by(|a, b| Arc::ptr_eq(a, b));
        let logging = |persistent: bool| {
            let logging = queues
                .iter()
                .filter(move |queue| queue.is_logging(persistent));
            logging.map(|queue| queue.id()).collect()
        };
        Self {
            logged: logging(true),
            always_logged: logging(false),
            is_timed: queues.iter().any(|queue| queue.rules().is_timed()),
            may_reject: queues.iter().any(|queue| queue.rules().rejects()),
            queues,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// Gives back the room that its queues kept for a message.
    pub(super) fn unreserve(&self, bytes: usize) {
        if self.may_reject {
            let rejecting = self.queues.iter().filter(|queue| queue.rules().rejects());
            rejecting.for_each(|queue| queue.unreserve(bytes));
        }
    }

    pub(super) fn is_timed(&self) -> bool {
        self.is_timed
    }

    pub(super) fn queues(&self) -> &[Arc<Queue>] {
        &self.queues
    }

    /// For which queues a message goes to the log.
    pub(super) fn logged(&self, persistent: bool) -> &[QueueId] {
        if persistent {
            &self.logged
        } else {
            &self.always_logged
        }
    }
}

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

/// A message that a transaction settles for good.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The queue it came from.
    pub queue: Arc<Queue>,
    /// Which one.
    pub id: DeliveryId,
    /// Whether the client acknowledged it, rather than refused it.
    pub is_ack: bool,
}

/// The publishing side of a channel, with the routes it used.
pub struct Publisher {
    session: Session,
    read_headers: ReadHeaders,
    versions: (u64, u64),
    routes: HashMap<Box<str>, HashMap<Box<str>, Arc<Route>>>,
    routes_len: usize,
    last: Option<(Box<str>, Box<str>, Arc<Route>)>,
}

/// A message of the batch on its way to the queues.
struct Pending {
    route: Arc<Route>,
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
    /// How many messages of the call came before these.
    first: usize,
    /// The time, if one of them may expire.
    now_ms: Option<u64>,
}

impl Publisher {
    pub(super) fn new(session: Session, read_headers: ReadHeaders) -> Self {
        let versions = (0, 0);
        Self {
            session,
            read_headers,
            versions,
            routes: HashMap::new(),
            routes_len: 0,
            last: None,
        }
    }

    /// Publishes messages in order. Consumers that can take them get them before this returns.
    pub fn publish(&mut self, messages: &[Publish<'_>]) -> PublishOutcome {
        let mut outcome = PublishOutcome::default();
        let mut staged = Staged::default();
        for (number, message) in messages.iter().enumerate() {
            if staged.batch.is_full() || staged.unlogged.len() >= Batch::BYTES_TARGET {
                if self.flush(&mut staged, &mut outcome).is_err() {
                    return outcome;
                }
                staged.first = number;
            }
            let route = self
                .route(message)
                .map(|route| self.accepting(message, number, route, &mut outcome));
            match route.and_then(|route| self.stage(&mut staged, message, route)) {
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
                self.stage(&mut staged, message, route)
            });
            match is_taken {
                Ok(true) => {}
                Ok(false) if message.mandatory => outcome.unroutable.push(number),
                Ok(false) => {}
                Err(error) => {
                    unreserve(&staged.pending);
                    return Err(error);
                }
            }
        }
        let mut parts: Vec<(Arc<Queue>, bool, Vec<DeliveryId>)> = Vec::new();
        for Settled { queue, id, is_ack } in settled {
            let known = parts
                .iter_mut()
                .find(|(other, ack, _)| Arc::ptr_eq(other, &queue) && *ack == is_ack);
            match known {
                Some((.., ids)) => ids.push(id),
                None => parts.push((queue, is_ack, vec![id])),
            }
        }
        let taken: Vec<_> = parts
            .into_iter()
            .map(|(queue, is_ack, ids)| {
                let held = queue.take_held(&ids, is_ack, &mut staged.batch);
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
        let Staged {
            batch,
            unlogged,
            pending,
            first,
            now_ms,
        } = std::mem::take(staged);
        let (mut logged, mut first_id) = (Bytes::new(), MessageId(0));
        if !batch.is_empty() {
            match self.session.core().store.append(batch) {
                Ok(appended) => {
                    (logged, first_id) = (appended.bytes, appended.first);
                    outcome.durable = Some(appended.position);
                }
                Err(error) => {
                    outcome.accepted = first;
                    outcome.unroutable.retain(|number| *number < first);
                    outcome.rejected.retain(|number| *number < first);
                    unreserve(&pending);
                    outcome.error = Some(error.into());
                    return Err(());
                }
            }
        }
        let unlogged = unlogged.freeze();
        let messages: Vec<(Message, Option<MessageId>, bool)> = pending
            .iter()
            .map(|pending| match pending.place {
                Some(place) => {
                    let id = MessageId(first_id.0 + u64::from(place));
                    (
                        Message::from_parts(logged.slice(pending.content.clone())),
                        Some(id),
                        pending.persistent,
                    )
                }
                None => (
                    Message::from_parts(unlogged.slice(pending.content.clone())),
                    None,
                    pending.persistent,
                ),
            })
            .collect();
        let mut start = 0;
        while let Some(head) = pending.get(start) {
            let run = pending[start..]
                .iter()
                .take_while(|other| Arc::ptr_eq(&other.route, &head.route))
                .count();
            for queue in &head.route.queues {
                let messages = messages[start..start + run].iter();
                let messages = messages.map(|(message, id, persistent)| {
                    (message, id.filter(|_| queue.is_logging(*persistent)))
                });
                let dead = queue.push(messages, now_ms);
                if !dead.is_empty() {
                    dead_letter::bury(self.session.vhost(), queue, dead);
                }
            }
            start += run;
        }
        Ok(())
    }

    /// Where a message goes, from the cache while nothing changed.
    fn route(&mut self, message: &Publish<'_>) -> Result<Arc<Route>, Error> {
        let versions = self.session.versions();
        if versions != self.versions {
            self.versions = versions;
            self.forget();
        }
        if !message.copies.is_empty() {
            return self.route_copies(message);
        }
        if let Some((exchange, key, route)) = &self.last
            && **exchange == *message.exchange
            && **key == *message.routing_key
        {
            return Ok(Arc::clone(route));
        }
        let cached = self
            .routes
            .get(message.exchange)
            .and_then(|keys| keys.get(message.routing_key));
        if let Some(route) = cached {
            let route = Arc::clone(route);
            self.last = Some((
                message.exchange.into(),
                message.routing_key.into(),
                Arc::clone(&route),
            ));
            return Ok(route);
        }
        self.session.check_publish(message.exchange)?;
        let read_headers = self.read_headers;
        let headers = || read_headers(message.properties);
        let Found { queues, holds } =
            self.session
                .vhost()
                .route(message.exchange, &[message.routing_key], &headers)?;
        let route = Arc::new(Route::new(queues));
        if holds {
            if self.routes_len == ROUTES_MAX {
                self.forget();
            }
            self.routes_len += 1;
            let keys = self.routes.entry(message.exchange.into()).or_default();
            keys.insert(message.routing_key.into(), Arc::clone(&route));
            self.last = Some((
                message.exchange.into(),
                message.routing_key.into(),
                Arc::clone(&route),
            ));
        }
        Ok(route)
    }

    /// Where a message goes that names further keys; too rare to remember.
    fn route_copies(&self, message: &Publish<'_>) -> Result<Arc<Route>, Error> {
        self.session.check_publish(message.exchange)?;
        let read_headers = self.read_headers;
        let headers = || read_headers(message.properties);
        let copies = message.copies.iter().map(String::as_str);
        let keys: Vec<&str> = std::iter::once(message.routing_key).chain(copies).collect();
        let vhost = self.session.vhost();
        let Found { queues, .. } = vhost.route(message.exchange, &keys, &headers)?;
        Ok(Arc::new(Route::new(queues)))
    }

    /// The route without the queues that are full and refuse. What one refuses may go where its dead messages go.
    fn accepting(
        &self,
        message: &Publish<'_>,
        number: usize,
        route: Arc<Route>,
        outcome: &mut PublishOutcome,
    ) -> Arc<Route> {
        if !route.may_reject {
            return route;
        }
        let (taking, refusing): (Vec<_>, Vec<_>) = route
            .queues
            .iter()
            .cloned()
            .partition(|queue| !queue.rules().rejects() || queue.reserve(message.body.len()));
        if refusing.is_empty() {
            return route;
        }
        outcome.rejected.push(number);
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
        Arc::new(Route::new(taking))
    }

    /// Copies a message to where its queues will share it. False when no queue takes it.
    fn stage(
        &self,
        staged: &mut Staged,
        message: &Publish<'_>,
        route: Arc<Route>,
    ) -> Result<bool, Error> {
        if route.is_empty() {
            return Ok(false);
        }
        let stamp = (message.expires || route.is_timed).then(|| {
            let clock = &self.session.core().clock;
            *staged.now_ms.get_or_insert_with(|| clock.now_ms())
        });
        let too_long = || Error::CommandInvalid("a name is longer than 255 bytes".to_owned());
        let parts = Parts::new(message, stamp).ok_or_else(too_long)?;
        let parts = parts.of(message);
        let logged = route.logged(message.persistent);
        let (content, place) = if logged.is_empty() {
            let start = staged.unlogged.len();
            for part in parts {
                staged.unlogged.extend_from_slice(part);
            }
            (start..staged.unlogged.len(), None)
        } else {
            let place = staged.batch.messages() as u16;
            (staged.batch.publish(logged, &parts), Some(place))
        };
        staged.pending.push(Pending {
            route,
            content,
            place,
            persistent: message.persistent,
            body_len: message.body.len(),
        });
        Ok(true)
    }

    fn forget(&mut self) {
        self.routes.clear();
        self.routes_len = 0;
        self.last = None;
    }
}

/// Gives back the room that queues kept for messages that do not come.
fn unreserve(pending: &[Pending]) {
    for pending in pending {
        pending.route.unreserve(pending.body_len);
    }
}
