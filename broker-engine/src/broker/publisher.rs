//! Publishing: route a batch, write it to the log once, put it in the queues.
//!
//! Invariant: whatever a queue holds with a log id is in the log, in the same order for messages of one publisher.

use std::{collections::HashMap, ops::Range, sync::Arc};

use bytes::{Bytes, BytesMut};

use super::{
    error::Error,
    message::{Message, Parts, Publish},
    queue::Queue,
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
}

impl Route {
    /// Each queue once, whatever number of bindings led to it.
    pub(super) fn new(mut queues: Vec<Arc<Queue>>) -> Self {
        queues.sort_unstable_by_key(Arc::as_ptr);
        queues.dedup_by(|a, b| Arc::ptr_eq(a, b));
        let logged = queues
            .iter()
            .filter(|queue| queue.is_logged())
            .map(|queue| queue.id())
            .collect();
        Self { queues, logged }
    }
}

/// What became of a batch of messages.
#[derive(Debug, Default)]
pub struct PublishOutcome {
    /// How many messages, from the first, were dealt with. Fewer than were given only with an error.
    pub accepted: usize,
    /// Which of them were mandatory and reached no queue.
    pub unroutable: Vec<usize>,
    /// Why the message after them, and all later ones, were refused.
    pub error: Option<Error>,
    /// What must be durable before the accepted messages may be confirmed; none: at once.
    pub durable: Option<Position>,
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
}

#[derive(Default)]
struct Staged {
    batch: Batch,
    unlogged: BytesMut,
    pending: Vec<Pending>,
    /// How many messages of the call came before these.
    first: usize,
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
            match self
                .route(message)
                .and_then(|route| stage(&mut staged, message, route))
            {
                Ok(true) => {}
                Ok(false) if message.mandatory => outcome.unroutable.push(number),
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

    /// Writes what is staged to the log and puts it in the queues, or refuses all of it.
    fn flush(&self, staged: &mut Staged, outcome: &mut PublishOutcome) -> Result<(), ()> {
        let Staged {
            batch,
            unlogged,
            pending,
            first,
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
                    outcome.error = Some(error.into());
                    return Err(());
                }
            }
        }
        let unlogged = unlogged.freeze();
        let messages: Vec<(Message, Option<MessageId>)> = pending
            .iter()
            .map(|pending| match pending.place {
                Some(place) => {
                    let id = MessageId(first_id.0 + u64::from(place));
                    (
                        Message::from_parts(logged.slice(pending.content.clone())),
                        Some(id),
                    )
                }
                None => (
                    Message::from_parts(unlogged.slice(pending.content.clone())),
                    None,
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
                queue.push(
                    messages[start..start + run]
                        .iter()
                        .map(|(message, id)| (message, *id)),
                );
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

    fn forget(&mut self) {
        self.routes.clear();
        self.routes_len = 0;
        self.last = None;
    }
}

/// Copies a message to where its queues will share it. False when no queue takes it.
fn stage(staged: &mut Staged, message: &Publish<'_>, route: Arc<Route>) -> Result<bool, Error> {
    if route.queues.is_empty() {
        return Ok(false);
    }
    let too_long = || Error::CommandInvalid("a name is longer than 255 bytes".to_owned());
    let parts = Parts::new(message).ok_or_else(too_long)?;
    let parts = parts.of(message);
    let (content, place) = if message.persistent && !route.logged.is_empty() {
        let place = staged.batch.messages() as u16;
        (staged.batch.publish(&route.logged, &parts), Some(place))
    } else {
        let start = staged.unlogged.len();
        for part in parts {
            staged.unlogged.extend_from_slice(part);
        }
        (start..staged.unlogged.len(), None)
    };
    staged.pending.push(Pending {
        route,
        content,
        place,
    });
    Ok(true)
}
