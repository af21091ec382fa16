//! What all connections share: the broker, the limits, and the list of who is connected.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::channel::Context;
use super::connection::Link;
use super::error::Error;
use super::refusal::{Farewell, Refusal};
use crate::broker::{
    AlarmListener, Broker, Bystander, Clients, ConnectionReport, Dialect, OfNode, Origin,
};
use crate::codec::amqp::{FRAME_MIN_SIZE, FieldTable, FieldValue};
use crate::timers::Timers;

/// The channel of the connection's own methods.
pub(super) const CHANNEL_ZERO: u16 = 0;

/// Bytes of the largest frame, overhead included: RabbitMQ's default.
pub(super) const FRAME_MAX: u32 = 131_072;

/// Bytes of the largest frame before the sizes are negotiated.
pub(super) const FRAME_MAX_OPENING: u32 = 8192;

/// RabbitMQ 4 asks for more than the specification: tokens of its logins are long.
const FRAME_MIN_RABBITMQ_4: u32 = 8192;

/// The heartbeat interval suggested to clients who are not told another.
const HEARTBEAT_S: u16 = 60;

/// How the server introduces itself.
#[derive(Debug, Clone)]
pub struct Identification {
    pub product: &'static str,
    pub version: &'static str,
    pub node_name: String,
}

/// What the server allows and suggests.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// Channels of one connection.
    pub channels_max: u16,
    /// Consumers of one channel; `None` for any number.
    pub consumers_per_channel_max: Option<u64>,
    /// The heartbeat interval suggested to clients; RabbitMQ's if not given.
    pub heartbeat_s: Option<u16>,
    /// Bytes of the largest body; the product's own if not given.
    pub message_size_max: Option<u64>,
    /// What connections wait by.
    pub timers: Timers,
}

/// An open connection, as far as it is known without asking it.
#[derive(Debug, Clone)]
pub struct ConnectionInfo {
    pub origin: Arc<Origin>,
    pub vhost: Arc<str>,
}

/// The AMQP side of one node.
pub struct Server {
    broker: Arc<Broker>,
    properties: FieldTable,
    channels_max: u16,
    consumers_per_channel_max: Option<u64>,
    heartbeat_s: u16,
    message_size_max: u64,
    timers: Timers,
    dialect: Dialect,
    /// Bytes of the smallest frame size that a client may ask for.
    frame_min: u32,
    last_id: AtomicU64,
    /// Read and set with the connections locked.
    is_shut_down: AtomicBool,
    connections: Mutex<BTreeMap<u64, Registered>>,
}

struct Registered {
    link: Arc<Link>,
    info: Option<ConnectionInfo>,
}

impl Server {
    /// Serves `broker` until [`Server::shut_down`].
    #[must_use]
    pub fn new(broker: Arc<Broker>, identification: &Identification, terms: &Terms) -> Arc<Self> {
        let dialect = broker.dialect();
        let (message_size_max, frame_min) = match dialect {
            Dialect::RabbitMq3 => (128 << 20, FRAME_MIN_SIZE),
            Dialect::RabbitMq4 => (16 << 20, FRAME_MIN_RABBITMQ_4),
            Dialect::LavinMq => (128 << 20, FRAME_MIN_SIZE),
        };
        let server = Arc::new(Self {
            broker,
            properties: properties(identification),
            channels_max: terms.channels_max,
            consumers_per_channel_max: terms.consumers_per_channel_max,
            heartbeat_s: terms.heartbeat_s.unwrap_or(HEARTBEAT_S),
            message_size_max: terms.message_size_max.unwrap_or(message_size_max),
            timers: terms.timers.clone(),
            dialect,
            frame_min,
            last_id: AtomicU64::new(0),
            is_shut_down: AtomicBool::new(false),
            connections: Mutex::default(),
        });
        let listener: Weak<Self> = Arc::downgrade(&server);
        server.broker.alarms().subscribe(listener);
        let bystander: Weak<Self> = Arc::downgrade(&server);
        server.broker.on_deletions(bystander);
        server
    }

    pub(super) fn broker(&self) -> &Arc<Broker> {
        &self.broker
    }

    pub(super) fn properties(&self) -> &FieldTable {
        &self.properties
    }

    pub(super) fn channels_max(&self) -> u16 {
        self.channels_max
    }

    pub(super) fn consumers_per_channel_max(&self) -> Option<u64> {
        self.consumers_per_channel_max
    }

    pub(super) fn heartbeat_s(&self) -> u16 {
        self.heartbeat_s
    }

    pub(super) fn message_size_max(&self) -> u64 {
        self.message_size_max
    }

    pub(super) fn timers(&self) -> &Timers {
        &self.timers
    }

    /// How many messages a consumer holds at most before the client says otherwise; 0 is no limit.
    pub(super) fn prefetch_default(&self) -> u32 {
        if self.is_lavinmq() {
            u16::MAX.into()
        } else {
            0
        }
    }

    /// Where the two peers differ, LavinMQ's way holds.
    pub(super) fn is_lavinmq(&self) -> bool {
        self.dialect == Dialect::LavinMq
    }

    /// Whose ways hold where the peers differ.
    pub(super) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// A refusal in the words of the profile's peer.
    pub(super) fn refuse(&self, refusal: &Refusal<'_>) -> Error {
        refusal.said_by(self.dialect)
    }

    pub(super) fn frame_min(&self) -> u32 {
        self.frame_min
    }

    pub(super) fn register(&self) -> (u64, Arc<Link>) {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let link = Arc::new(Link::default());
        let registered = Registered {
            link: Arc::clone(&link),
            info: None,
        };
        let mut connections = self.connections.lock();
        connections.insert(id, registered);
        if self.is_shut_down.load(Ordering::Relaxed) {
            link.order_out(&self.word_of_shutdown());
        }
        (id, link)
    }

    pub(super) fn opened(&self, id: u64, context: &Context) {
        if let Some(registered) = self.connections.lock().get_mut(&id) {
            registered.info = Some(ConnectionInfo {
                origin: Arc::clone(context.origin()),
                vhost: Arc::clone(context.vhost_name()),
            });
        }
        self.broker.count_churn(OfNode::ConnectionCreated);
    }

    /// Has every connection look whether its consumers keep deliveries for too long; `now_ms` grows by milliseconds
    /// from any start.
    pub fn check_patience(&self, now_ms: u64) {
        for registered in self.connections.lock().values() {
            registered.link.check_patience(now_ms);
        }
    }

    /// How many clients are connected, however far they got.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn connections_len(&self) -> usize {
        self.connections.lock().len()
    }

    pub(super) fn unregister(&self, id: u64) {
        let gone = self.connections.lock().remove(&id);
        if gone.is_some_and(|registered| registered.info.is_some()) {
            self.broker.count_churn(OfNode::ConnectionClosed);
        }
    }
}

impl Server {
    /// Closes every connection with 320, and those that are still to come.
    pub fn shut_down(&self) {
        let connections = self.connections.lock();
        self.is_shut_down.store(true, Ordering::Relaxed);
        let reason = self.word_of_shutdown();
        for registered in connections.values() {
            registered.link.order_out(&reason);
        }
    }

    fn word_of_shutdown(&self) -> String {
        Farewell::Shutdown.said_by(self.dialect)
    }

    /// Closes the connections that are meant with 320; returns how many.
    pub fn order_out(&self, reason: &str, is_meant: impl Fn(&ConnectionInfo) -> bool) -> usize {
        let connections = self.connections.lock();
        let meant = connections
            .values()
            .filter(|registered| registered.info.as_ref().is_some_and(&is_meant));
        meant
            .map(|registered| registered.link.order_out(reason))
            .count()
    }
}

impl Bystander for Server {
    fn vhost_deleted(&self, vhost: &str) {
        let reason = Farewell::VhostDeleted(vhost).said_by(self.dialect);
        self.order_out(&reason, |info| *info.vhost == *vhost);
    }

    fn user_deleted(&self, user: &str) {
        let reason = Farewell::UserDeleted(user).said_by(self.dialect);
        self.order_out(&reason, |info| *info.origin.user == *user);
    }
}

impl Clients for Server {
    fn connection_count(&self) -> usize {
        let connections = self.connections.lock();
        let open = connections.values().filter(|other| other.info.is_some());
        open.count()
    }

    fn report(&self, periods: u32, to: &Sender<ConnectionReport>) {
        let connections = self.connections.lock();
        for registered in connections.values() {
            if registered.info.is_some() {
                registered.link.request_report(periods, to.clone());
            }
        }
    }

    fn close(&self, name: &str, reason: &str) -> bool {
        let is_meant = |info: &ConnectionInfo| info.origin.name() == name;
        self.order_out(reason, is_meant) > 0
    }
}

impl AlarmListener for Server {
    fn changed(&self, _is_on: bool) {
        for registered in self.connections.lock().values() {
            registered.link.notify();
        }
    }
}

fn properties(identification: &Identification) -> FieldTable {
    let text = |name: &str, value: &str| (name.to_owned(), FieldValue::from(value));
    let capabilities = [
        "publisher_confirms",
        "exchange_exchange_bindings",
        "basic.nack",
        "consumer_cancel_notify",
        "connection.blocked",
        "consumer_priorities",
        "authentication_failure_close",
        "per_consumer_qos",
        "direct_reply_to",
    ];
    let capabilities = capabilities
        .map(|name| (name.to_owned(), FieldValue::Bool(true)))
        .to_vec();
    FieldTable(vec![
        (
            "capabilities".to_owned(),
            FieldValue::Table(FieldTable(capabilities)),
        ),
        text("cluster_name", &identification.node_name),
        text("copyright", "Licensed under the Apache License 2.0"),
        text("information", "https://www.rabbitmq.com"),
        text("platform", "Warren"),
        text("product", identification.product),
        text("version", identification.version),
    ])
}
