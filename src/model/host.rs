//! Machines with an agent.

use agent_api::Capacity;
use chrono::{DateTime, Utc};

use super::HostId;

#[derive(Debug, Clone, PartialEq)]
pub struct Host {
    pub id: HostId,
    /// Unique in the installation.
    pub name: String,
    /// The availability zone it stands in.
    pub zone: String,
    /// Which provisioner made it, such as `local`.
    pub provisioner: String,
    /// Increases with every change of the intent of one of its nodes.
    pub intent_version: i64,
    /// Serial number of the agent's newest certificate, hex.
    pub certificate_serial: Option<String>,
    /// `None` until the agent has reported.
    pub capacity: Option<Capacity>,
    /// Nodes that are placed on it.
    pub node_count: u32,
    pub last_seen_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}
