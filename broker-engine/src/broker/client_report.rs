//! What operators see of a node's clients, whatever protocol these speak.
//!
//! A report is a snapshot that the connection itself makes, so that nothing is counted twice or kept for the sake of
//! operators alone.

use std::{net::SocketAddr, sync::mpsc::Sender};

use super::value::Table;

/// One open connection.
#[derive(Clone, Debug)]
pub struct ConnectionReport {
    pub peer: SocketAddr,
    pub local: SocketAddr,
    pub user: String,
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
    pub received_bytes: u64,
    pub sent_bytes: u64,
    pub channels: Vec<ChannelReport>,
}

impl ConnectionReport {
    /// The name that operators know it by.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} -> {}", self.peer, self.local)
    }
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
}

/// One consumer of a channel.
#[derive(Clone, Debug)]
pub struct ConsumerReport {
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

/// The connections of one protocol.
pub trait Clients: Send + Sync {
    /// How many are open.
    fn connection_count(&self) -> usize;
    /// Has every connection send a report soon. What is sent to is dropped by each once it has, or is gone.
    fn report(&self, to: &Sender<ConnectionReport>);
    /// Closes the connection of this name; false when there is none.
    fn close(&self, name: &str, reason: &str) -> bool;
}
