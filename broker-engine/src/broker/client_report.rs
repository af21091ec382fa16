//! What operators see of a node's clients, whatever protocol these speak.
//!
//! A report is a snapshot that the connection itself makes, so that nothing is counted twice or kept for the sake of
//! operators alone.

use std::{
    net::SocketAddr,
    sync::{Arc, mpsc::Sender},
};

use super::{consumer::Consumer, stats::History, value::Table};

/// Where a connection comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    pub peer: SocketAddr,
    pub local: SocketAddr,
    pub user: Arc<str>,
}

impl Origin {
    /// The name that operators know the connection by.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} -> {}", self.peer, self.local)
    }
}

/// One open connection.
#[derive(Clone, Debug)]
pub struct ConnectionReport {
    pub origin: Arc<Origin>,
    pub vhost: String,
    /// As listeners call it, such as `AMQP 0-9-1`.
    pub protocol: &'static str,
    pub is_secure: bool,
    /// How the client proved who it is.
    pub mechanism: String,
    /// What the client says about itself.
    pub properties: Table,
    pub channels_max: u16,
    pub frame_size_max: u32,
    /// 0 for none.
    pub heartbeat_s: u16,
    /// Milliseconds since 1970.
    pub connected_at_ms: u64,
    /// Whether an alarm keeps it from publishing.
    pub is_blocked: bool,
    /// Bytes by [`super::OfConnection`].
    pub traffic: History,
    pub channels: Vec<ChannelReport>,
}

/// One channel of a connection.
#[derive(Clone, Debug)]
pub struct ChannelReport {
    pub number: u16,
    pub consumers: Vec<ConsumerReport>,
    /// Deliveries that wait for an answer.
    pub unacked: u64,
    /// Publishes that wait for a confirm.
    pub unconfirmed: u64,
    /// Publishes and settlements that wait for a commit.
    pub uncommitted: (u64, u64),
    pub is_confirming: bool,
    pub is_transactional: bool,
    /// Bound of each consumer made from now on; 0 for none.
    pub prefetch: u32,
    /// Bound of the whole channel; 0 for none.
    pub channel_prefetch: u32,
    /// Messages by [`super::OfChannel`].
    pub messages: History,
}

/// One consumer of a channel.
#[derive(Clone, Debug)]
pub struct ConsumerReport {
    /// Its connection and its channel's number.
    pub channel: Option<(Arc<Origin>, u16)>,
    pub tag: String,
    pub queue: String,
    pub no_ack: bool,
    pub exclusive: bool,
    pub prefetch: u32,
    pub priority: i32,
    pub activity: Activity,
    /// What it was asked for with.
    pub arguments: Table,
}

/// Whether a consumer is given messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// As all consumers of its queue are.
    Up,
    /// Alone of all of them.
    SingleActive,
    /// When the one that is given them is gone.
    Waiting,
}

impl Activity {
    /// Of a consumer, given the only one that is served, where there is one.
    pub(crate) fn of(consumer: &Arc<Consumer>, active: Option<&Arc<Consumer>>) -> Self {
        match active {
            None => Self::Up,
            Some(active) if Arc::ptr_eq(active, consumer) => Self::SingleActive,
            Some(_) => Self::Waiting,
        }
    }
}

/// The connections of one protocol.
pub trait Clients: Send + Sync {
    /// How many are open.
    fn connection_count(&self) -> usize;
    /// Has every connection send a report soon, with the history of the last `periods`. What is sent to is dropped by
    /// each once it has, or is gone.
    fn report(&self, periods: u32, to: &Sender<ConnectionReport>);
    /// Closes the connection of this name; false when there is none.
    fn close(&self, name: &str, reason: &str) -> bool;
}
