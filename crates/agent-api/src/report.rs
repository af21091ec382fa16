//! What the agent of a host observes.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::configuration::RejectedConfiguration;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HostReport {
    pub agent_version: String,
    pub capacity: Capacity,
    pub nodes: Vec<NodeObservation>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    pub cpus: u32,
    pub memory_bytes: u64,
    pub disk_free_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeObservation {
    pub node_id: Uuid,
    /// The generation this observation speaks of: the one the agent acts on.
    pub generation: i64,
    pub phase: Phase,
    pub process: Option<Process>,
    /// Unexpected exits since the generation began.
    pub restarts: u32,
    /// Why the phase is what it is, for people.
    pub detail: Option<String>,
    /// What the process was started with; `None` before the first start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launch: Option<LaunchObservation>,
    /// The configuration of this generation that the node runs without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<RejectedConfiguration>,
    #[serde(default)]
    pub alarms: Alarms,
    pub observed_at: DateTime<Utc>,
}

/// With what a generation runs, and what its start cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchObservation {
    /// The engine release of the process.
    pub release: String,
    /// Why the node runs its fallback; `None` while it runs what was intended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back: Option<String>,
    /// How long clients were kept away when the generation began, in milliseconds: from the end of
    /// the process before until the first round trip. `None` until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub away_ms: Option<u64>,
}

/// What a node is short of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Alarms {
    /// The engine blocks publishers: it uses more memory than it may.
    pub memory: bool,
    /// The engine blocks publishers: less of its volume is free than must be.
    pub disk: bool,
    /// It exits again and again because there is no memory left for it.
    pub out_of_memory: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The process is coming up, or its round trip has not succeeded yet.
    Starting,
    /// An authenticated round trip (declare, confirmed publish, get) succeeded on this process.
    Ready,
    /// It exits again and again; the agent tries on with the longest delay.
    CrashLooping,
    /// The process and the volume are gone.
    Absent,
}

/// Identity of a process that survives the agent: a pid alone may be reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pub pid: u32,
    /// Start time in clock ticks since boot (field 22 of `/proc/PID/stat`), 0 where unknown.
    pub start_ticks: u64,
    pub started_at: DateTime<Utc>,
}
