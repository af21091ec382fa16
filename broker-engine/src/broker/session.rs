//! What one connection may do in its virtual host: every operation with its permission check.
//!
//! A session is cheap to clone; all clones are the same connection.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::{
    Core,
    access::{Action, Identity, Permission},
    consumer::{Consumer, Subscription},
    error::Error,
    limits::Place,
    publisher::{Publisher, ReadHeaders},
    queue::{ConnectionId, Dialect, Queue},
    refusal::{Operation, Problem, Refusal, Request},
    stats::{ChannelMeter, ConnectionMeter, Meter, OfNode},
    topic_access::TopicRules,
    topology::Kind,
    value::Table,
    vhost::{ExchangeDeclare, QueueDeclare, RESERVED_PREFIX, Vhost},
};
use crate::store::Position;

/// A queue as it is after a declaration.
#[derive(Clone, Debug)]
pub struct Declared {
    /// The queue.
    pub queue: Arc<Queue>,
    /// Ready messages.
    pub messages: usize,
    /// Consumers.
    pub consumers: usize,
    /// What must be durable before the declaration is answered; none: at once.
    pub durable: Option<Position>,
}

/// A queue that was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deleted {
    /// The messages that were ready.
    pub messages: usize,
    /// What must be durable before the deletion is answered; none: at once.
    pub durable: Option<Position>,
}

/// A queue that was emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purged {
    /// The messages that were ready.
    pub messages: usize,
    /// What must be durable before the purge is answered; none: at once.
    pub durable: Option<Position>,
}

/// A connection's view of its virtual host.
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

struct Inner {
    core: Arc<Core>,
    vhost: Arc<Vhost>,
    identity: Identity,
    connection: ConnectionId,
    place: Place,
    granted: Mutex<Granted>,
}

/// What the user may do, and the version of the access rules that say so.
#[derive(Default)]
struct Granted {
    version: u64,
    permission: Option<Arc<Permission>>,
    topics: TopicRules,
}

impl Session {
    pub(super) fn new(
        core: Arc<Core>,
        vhost: Arc<Vhost>,
        identity: Identity,
        (connection, place): (ConnectionId, Place),
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                core,
                vhost,
                identity,
                connection,
                place,
                granted: Mutex::default(),
            }),
        }
    }

    /// Who it is.
    pub fn identity(&self) -> &Identity {
        &self.inner.identity
    }

    /// Where it is.
    pub fn vhost(&self) -> &Arc<Vhost> {
        &self.inner.vhost
    }

    /// The connection, as the owner of exclusive queues.
    pub fn connection(&self) -> ConnectionId {
        self.inner.connection
    }

    pub(super) fn core(&self) -> &Core {
        &self.inner.core
    }

    /// The versions on which cached routes rest.
    pub(super) fn versions(&self) -> (u64, u64) {
        (self.inner.vhost.version(), self.inner.core.access.version())
    }

    /// Declares an exchange, or checks that it is as described. Answer when the position (if any) is durable.
    pub fn exchange_declare(&self, declare: ExchangeDeclare) -> Result<Option<Position>, Error> {
        let vhost = &self.inner.vhost;
        let request = Request::exchange(Operation::Declare, &declare.name);
        vhost.checked_kind(&declare)?;
        vhost.refuse_default(&declare.name, request)?;
        self.check_subject(request, Action::Configure)?;
        if vhost.check_exchange_exists(&declare.name, request).is_err() {
            self.check_handing_on(request, &declare.arguments, "alternate-exchange")?;
        }
        vhost.declare_exchange(declare)
    }

    /// Checks that an exchange exists.
    pub fn exchange_check(&self, name: &str) -> Result<(), Error> {
        let request = Request::exchange(Operation::Check, name);
        self.inner.vhost.check_exchange_exists(name, request)
    }

    /// Deletes an exchange; one that is not there counts as deleted.
    pub fn exchange_delete(&self, name: &str, if_unused: bool) -> Result<Option<Position>, Error> {
        let vhost = &self.inner.vhost;
        if name.starts_with(RESERVED_PREFIX) {
            let (exchange, vhost) = (name, &**vhost.name());
            return Err(self.refuse(&Refusal::SystemExchange { exchange, vhost }));
        }
        let request = Request::exchange(Operation::Delete, name);
        self.check_subject(request, Action::Configure)?;
        vhost.delete_exchange(name, if_unused)
    }

    /// Declares a queue, or checks that it is as described. An empty name has one made up.
    pub fn queue_declare(&self, mut declare: QueueDeclare) -> Result<Declared, Error> {
        let Inner { core, vhost, .. } = &*self.inner;
        vhost.complete(&mut declare);
        let is_named = !declare.name.is_empty();
        if !is_named {
            declare.name = core.server_name(&declare)?;
        }
        let request = Request::queue(Operation::Declare, &declare.name);
        let is_new = vhost.queue(&declare.name).is_none();
        // LavinMQ lets its own names be declared again.
        if is_named && (is_new || core.dialect != Dialect::LavinMq) {
            vhost.refuse_reserved(request)?;
        }
        self.check_subject(request, Action::Configure)?;
        if is_new {
            self.check_handing_on(request, &declare.arguments, "x-dead-letter-exchange")?;
        }
        let (queue, durable) = vhost.declare_queue(declare, self.inner.connection)?;
        self.count_churn(OfNode::QueueDeclared);
        Ok(declared(queue, durable))
    }

    /// Checks that a queue exists and may be used by this connection.
    pub fn queue_check(&self, name: &str) -> Result<Declared, Error> {
        let request = Request::queue(Operation::Check, name);
        Ok(declared(self.usable_queue(request)?, None))
    }

    /// Checks that somebody waits for answers under a name, whoever it is.
    pub fn queue_check_reply(&self, name: &str) -> Result<(), Error> {
        let request = Request::queue(Operation::Check, name);
        let vhost = &self.inner.vhost;
        let missing = || vhost.no_such(request, (Kind::Queue, name));
        vhost.queue(name).map(|_| ()).ok_or_else(missing)
    }

    /// Deletes a queue under conditions; one that is not there counts as deleted.
    pub fn queue_delete(
        &self,
        name: &str,
        if_unused: bool,
        if_empty: bool,
    ) -> Result<Deleted, Error> {
        let request = Request::queue(Operation::Delete, name);
        self.check_subject(request, Action::Configure)?;
        let (messages, durable) =
            self.inner
                .vhost
                .delete_queue(name, (if_unused, if_empty), self.inner.connection)?;
        Ok(Deleted { messages, durable })
    }

    /// Binds a queue to an exchange under a key.
    pub fn queue_bind(
        &self,
        queue: &str,
        exchange: &str,
        key: &str,
        arguments: &Table,
    ) -> Result<Option<Position>, Error> {
        let request = Request::queue(Operation::Bind, queue);
        self.check_for_binding(request, exchange, key)?;
        self.inner.vhost.check_exchange_exists(exchange, request)?;
        let queue = self.usable_queue(request)?;
        self.inner
            .vhost
            .bind_queue((&queue, exchange, key), arguments)
    }

    /// Removes a binding; one that is not there counts as removed.
    pub fn queue_unbind(
        &self,
        queue: &str,
        exchange: &str,
        key: &str,
        arguments: &Table,
    ) -> Result<Option<Position>, Error> {
        let request = Request::queue(Operation::Unbind, queue);
        self.check_for_binding(request, exchange, key)?;
        let Some(found) = self.inner.vhost.queue(queue) else {
            return Ok(None);
        };
        let bound = (&found, exchange, key);
        if self.inner.vhost.is_bound(bound, arguments) {
            self.usable_queue(request)?;
        }
        self.inner.vhost.unbind_queue(bound, arguments)
    }

    /// Binds an exchange to another one, the source, under a key.
    pub fn exchange_bind(
        &self,
        destination: &str,
        source: &str,
        key: &str,
        arguments: &Table,
    ) -> Result<Option<Position>, Error> {
        let request = Request::exchange(Operation::Bind, destination);
        self.check_for_exchange_binding(request, source, key)?;
        self.inner
            .vhost
            .bind_exchange((destination, source, key), arguments)
    }

    /// Removes a binding between exchanges; one that is not there counts as removed.
    pub fn exchange_unbind(
        &self,
        destination: &str,
        source: &str,
        key: &str,
        arguments: &Table,
    ) -> Result<Option<Position>, Error> {
        let request = Request::exchange(Operation::Unbind, destination);
        self.check_for_exchange_binding(request, source, key)?;
        self.inner
            .vhost
            .unbind_exchange((destination, source, key), arguments)
    }

    fn check_for_exchange_binding(
        &self,
        request: Request<'_>,
        source: &str,
        key: &str,
    ) -> Result<(), Error> {
        let vhost = &self.inner.vhost;
        self.check_subject(request, Action::Write)?;
        vhost.refuse_default(request.name, request)?;
        vhost.refuse_default(source, request)?;
        self.check(request, Action::Read, (Kind::Exchange, source))?;
        self.check_topics(Action::Read, source, [key])
    }

    fn check_for_binding(
        &self,
        request: Request<'_>,
        exchange: &str,
        key: &str,
    ) -> Result<(), Error> {
        self.check_subject(request, Action::Write)?;
        self.inner.vhost.refuse_default(exchange, request)?;
        self.check(request, Action::Read, (Kind::Exchange, exchange))?;
        self.check_topics(Action::Read, exchange, [key])
    }

    /// Removes a queue's ready messages.
    pub fn queue_purge(&self, name: &str) -> Result<Purged, Error> {
        let request = Request::queue(Operation::Purge, name);
        let (messages, durable) = self.queue_to_read(request)?.purge();
        Ok(Purged { messages, durable })
    }

    /// A queue that this connection may get messages from.
    pub fn readable_queue(&self, name: &str) -> Result<Arc<Queue>, Error> {
        self.queue_to_read(Request::queue(Operation::Get, name))
    }

    /// A queue that this connection may subscribe to.
    pub fn consumable_queue(&self, name: &str) -> Result<Arc<Queue>, Error> {
        self.queue_to_read(Request::queue(Operation::Consume, name))
    }

    fn queue_to_read(&self, request: Request<'_>) -> Result<Arc<Queue>, Error> {
        self.check_subject(request, Action::Read)?;
        self.usable_queue(request)
    }

    fn usable_queue(&self, request: Request<'_>) -> Result<Arc<Queue>, Error> {
        let Inner {
            vhost, connection, ..
        } = &*self.inner;
        vhost.usable_queue(request, *connection)
    }

    /// Subscribes to a queue. Nothing is delivered before [`Queue::pump`] is called, so that the client can be answered
    /// first.
    pub fn subscribe(
        &self,
        queue: &str,
        subscription: Subscription,
    ) -> Result<(Arc<Queue>, Arc<Consumer>), Error> {
        let queue = self.consumable_queue(queue)?;
        let consumer = queue.subscribe(subscription)?;
        Ok((queue, consumer))
    }

    /// Subscribes to answers: they come to a queue of this consumer's own, whose name the answer is sent to through the
    /// default exchange. It goes with the consumer.
    pub fn subscribe_replies(
        &self,
        subscription: Subscription,
    ) -> Result<(Arc<Queue>, Arc<Consumer>), Error> {
        let queue = self.inner.vhost.declare_replies(self.inner.connection)?;
        let consumer = queue.subscribe(subscription)?;
        Ok((queue, consumer))
    }

    /// Ends a subscription. What the consumer holds stays out until it is settled; the queue may go with it.
    pub fn unsubscribe(&self, queue: &Arc<Queue>, consumer: &Arc<Consumer>) -> Result<(), Error> {
        if queue.unsubscribe(consumer) {
            self.inner.vhost.delete_unused(queue)?;
        } else {
            queue.pump();
        }
        Ok(())
    }

    /// The publishing side of a channel. `read_headers` is asked only for headers exchanges.
    pub fn publisher(&self, read_headers: ReadHeaders) -> Publisher {
        Publisher::new(self.clone(), read_headers)
    }

    /// Deletes what goes with the connection. Call it after its consumers are unsubscribed and what they held is
    /// requeued.
    pub fn close(&self) -> Result<(), Error> {
        self.inner.place.leave();
        self.inner.vhost.delete_exclusive(self.inner.connection)
    }

    /// Counts a channel that the connection opens, unless there are as many as there may be. Each is taken back by
    /// [`Session::channel_close`].
    pub fn channel_open(&self) -> Result<(), Error> {
        let Inner { core, identity, .. } = &*self.inner;
        let limits = core.access.limits(identity);
        core.counts
            .open_channel(&identity.name, &core.limits, limits)
            .map_err(|refusal| core.dialect.refuse(&refusal))?;
        self.count_churn(OfNode::ChannelCreated);
        Ok(())
    }

    /// A channel is closed.
    pub fn channel_close(&self) {
        let Inner { core, identity, .. } = &*self.inner;
        core.counts.close_channel(&identity.name);
        self.count_churn(OfNode::ChannelClosed);
    }

    fn count_churn(&self, what: OfNode) {
        self.inner.core.stats.churn.add_shared(what, 1);
    }

    /// The counters of a channel that was opened.
    pub(crate) fn channel_meter(&self) -> Arc<ChannelMeter> {
        let Inner { core, vhost, .. } = &*self.inner;
        Meter::new(&core.stats.sampler, Some(&vhost.stats().channels))
    }

    /// The counters of the connection.
    pub(crate) fn connection_meter(&self) -> Arc<ConnectionMeter> {
        let Inner { core, vhost, .. } = &*self.inner;
        Meter::new(&core.stats.sampler, Some(&vhost.stats().connections))
    }

    /// Whoever names an exchange to hand messages on to must be allowed to move them himself.
    fn check_handing_on(
        &self,
        request: Request<'_>,
        arguments: &Table,
        argument: &str,
    ) -> Result<(), Error> {
        let Some(value) = arguments.get(argument) else {
            return Ok(());
        };
        let Some(exchange) = value.as_str() else {
            let refusal = Refusal::Argument {
                what: (request.kind, request.name, self.inner.vhost.name()),
                argument,
                problem: Problem::NotAnExchange(value),
            };
            return Err(self.refuse(&refusal));
        };
        self.check_subject(request, Action::Read)?;
        self.check(request, Action::Write, (Kind::Exchange, exchange))
    }

    pub(super) fn check_publish(&self, exchange: &str) -> Result<(), Error> {
        let request = Request::exchange(Operation::Publish, exchange);
        self.check_subject(request, Action::Write)
    }

    /// Whether these keys may be used with an exchange, which need not be there.
    pub(super) fn check_topics<'k>(
        &self,
        action: Action,
        exchange: &str,
        keys: impl IntoIterator<Item = &'k str>,
    ) -> Result<(), Error> {
        let granted = self.granted();
        if !granted.topics.narrows(exchange) || !self.inner.vhost.is_topic(exchange) {
            return Ok(());
        }
        let refused = keys
            .into_iter()
            .find(|key| !granted.topics.allows(action, exchange, key));
        let Some(key) = refused else { return Ok(()) };
        Err(self.refuse(&Refusal::ForbiddenTopic {
            action,
            key,
            exchange,
            vhost: self.inner.vhost.name(),
            user: &self.inner.identity.name,
        }))
    }

    /// What the user may do now.
    fn granted(&self) -> MutexGuard<'_, Granted> {
        let inner = &*self.inner;
        let access = &inner.core.access;
        let version = access.version();
        let mut granted = inner.granted.lock();
        if granted.version != version {
            let vhost = inner.vhost.name();
            *granted = Granted {
                version,
                permission: access.permission(&inner.identity, vhost),
                topics: access.topics(&inner.identity, vhost),
            };
        }
        granted
    }

    fn refuse(&self, refusal: &Refusal<'_>) -> Error {
        self.inner.core.dialect.refuse(refusal)
    }

    fn check_subject(&self, request: Request<'_>, action: Action) -> Result<(), Error> {
        self.check(request, action, (request.kind, request.name))
    }

    fn check(
        &self,
        request: Request<'_>,
        action: Action,
        (kind, name): (Kind, &str),
    ) -> Result<(), Error> {
        let checked = if name.is_empty() && kind == Kind::Exchange {
            "amq.default"
        } else {
            name
        };
        let granted = self.granted();
        let is_allowed = granted
            .permission
            .as_ref()
            .is_some_and(|permission| permission.allows(action, checked));
        if is_allowed {
            return Ok(());
        }
        drop(granted);
        Err(self.refuse(&Refusal::Forbidden {
            request,
            action,
            what: (kind, name, self.inner.vhost.name()),
            user: &self.inner.identity.name,
        }))
    }
}

fn declared(queue: Arc<Queue>, durable: Option<Position>) -> Declared {
    let stats = queue.stats();
    Declared {
        queue,
        messages: stats.ready,
        consumers: stats.consumers,
        durable,
    }
}
