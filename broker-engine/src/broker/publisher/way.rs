//! The way of a message: found once for an exchange and key, and remembered while nothing changes.

use std::sync::Arc;

use super::{
    super::{
        Dialect, access::Action, error::Error, exchange::Reading, message::Publish, route::Route,
        route_cache::RouteCache, vhost::REPLIES_PREFIX,
    },
    Publisher,
};

/// The way that was found for a message when it was published, to be taken later.
#[derive(Debug)]
pub struct Way {
    /// None through the default exchange: what it leads to is whatever queue bears the name then.
    route: Option<Arc<Route>>,
    /// What tells whether anything changed since.
    versions: (u64, u64),
}

impl Publisher {
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
    pub(in crate::broker) fn route_of(
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

    /// Forgets the routes when any may have changed.
    pub(super) fn refresh(&mut self) {
        let versions = self.session.versions();
        if versions != self.versions {
            self.versions = versions;
            self.routes = RouteCache::default();
            self.exchanges.clear();
        }
    }

    /// Where a message goes, from the cache while nothing changed.
    pub(in crate::broker) fn route(&mut self, message: &Publish<'_>) -> Result<Arc<Route>, Error> {
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

    /// The messages, from the first, that take this route and go to the log of the same queues.
    pub(super) fn alike<'m, 'a>(
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

    /// Whether a message goes to a client that waits for an answer: RabbitMQ does not count that as a queue, and returns
    /// such a message if it is mandatory although it arrives.
    pub(super) fn is_answer(&self, message: &Publish<'_>) -> bool {
        let is_asked_for = message.exchange.is_empty() && message.copies.is_empty();
        is_asked_for
            && message.routing_key.starts_with(REPLIES_PREFIX)
            && self.session.core().dialect != Dialect::LavinMq
    }
}
