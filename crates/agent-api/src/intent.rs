//! What the agent of a host shall make true.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::configuration::{Defaults, NodeConfiguration};

/// Longest time that the control plane holds a long poll, in milliseconds.
pub const WAIT_MS_MAX: u64 = 30_000;

/// Query of the long poll: answered at once when the host's intent is not of version `since`,
/// else after `wait_ms` (at most [`WAIT_MS_MAX`]) with the unchanged version. A version may go
/// back when the control plane's database was restored: whatever it says now is what counts.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct IntentQuery {
    pub since: i64,
    pub wait_ms: u64,
}

/// The whole intent of one host. A node that is not in the list is none of the agent's business:
/// a node goes away by [`Run::Absent`], never by omission.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HostIntent {
    pub version: i64,
    pub nodes: Vec<NodeIntent>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeIntent {
    pub node_id: Uuid,
    pub broker_id: String,
    pub broker_name: String,
    /// A higher generation is a new process: the old one is stopped first.
    pub generation: i64,
    /// Of the API call that led to this generation, for logs; none when the service acted by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The span that asked for this generation, W3C Trace Context; none when nobody traces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    pub run: Run,
    pub engine: EngineArtefact,
    /// `rabbitmq-3.13`, `rabbitmq-4.2` or `lavinmq-2.9`: what the engine presents itself as.
    pub profile: String,
    pub listen: Listen,
    /// Directory name of the node's volume below the host's volume root.
    pub volume: String,
    pub limits: Limits,
    /// What the node shall be set up with, if the engine takes it and comes up with it.
    #[serde(default)]
    pub configuration: NodeConfiguration,
    /// What it last proved to run with, which the agent goes back to otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proven_configuration: Option<NodeConfiguration>,
    /// What a new volume holds from the start, besides users.
    #[serde(default)]
    pub defaults: Defaults,
    /// Those without a revision are made on the node's first start; afterwards the broker's own user database wins,
    /// until a revision comes that the node has not had.
    pub users: Vec<UserIntent>,
    /// What the node goes back to when this generation does not come up with what is new in it.
    /// `None` when nothing is: then it is tried for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
}

/// What the node ran with before. While it is given, and until the new process has proven itself
/// behind its gate, clients are kept out, so that going back loses nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fallback {
    pub engine: EngineArtefact,
    pub profile: String,
    pub limits: Limits,
    /// Whether the volume is to be copied before the new engine opens it, because the old one does
    /// not read what the new one writes.
    pub copy_volume: bool,
    /// Seconds that the new process may take to prove itself, from its first start.
    pub gate_s: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Run {
    /// One process serves the volume.
    Running,
    /// No process, and the volume is deleted.
    Absent,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineArtefact {
    pub release: String,
    /// `builtin`: the agent's own executable. Else a URL (`https:`, `http:` or `file:`), whose
    /// transport is not trusted: `file` says what has to come.
    pub artefact: String,
    /// What a fetched artefact must be; an agent refuses one without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<ArtefactFile>,
}

impl EngineArtefact {
    pub const BUILTIN: &'static str = "builtin";

    pub fn is_builtin(&self) -> bool {
        self.artefact == Self::BUILTIN
    }
}

/// The one executable that a release is, and who vouches for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtefactFile {
    /// Lower-case hex.
    pub sha256: String,
    pub size_bytes: u64,
    /// Name of the key that signed it.
    pub key_id: String,
    /// Ed25519 over [`ArtefactFile::statement`], base64.
    pub signature: String,
}

impl ArtefactFile {
    /// What is signed: which release this very file is. A signature of one file or release is good
    /// for no other.
    pub fn statement(&self, release: &str) -> String {
        format!(
            "warren engine artefact 1\nrelease {release}\nsha256 {}\nsize {}\n",
            self.sha256, self.size_bytes
        )
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listen {
    pub address: IpAddr,
    pub amqps_port: u16,
    /// HTTPS.
    pub management_port: u16,
}

/// Smaller of what the instance type grants and what the host has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    pub memory_bytes: u64,
    pub disk_free_bytes_min: u64,
    pub connections_max: u32,
    pub channels_max: u32,
    /// Of all virtual hosts; none: no limit.
    #[serde(default)]
    pub queues_max: Option<u32>,
    #[serde(default)]
    pub vhosts_max: Option<u32>,
    #[serde(default)]
    pub consumers_per_channel_max: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserIntent {
    pub name: String,
    /// RabbitMQ's form: base64(salt ++ sha256(salt ++ password)).
    pub password_hash: String,
    /// `administrator`, `management` …
    pub tags: Vec<String>,
    /// When it was last changed: higher than that of any earlier change of the broker's users.
    #[serde(default)]
    pub revision: i64,
    /// Whether it shall be gone.
    #[serde(default)]
    pub removed: bool,
}
