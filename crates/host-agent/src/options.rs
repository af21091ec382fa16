//! What the composition root tells the agent.

use std::path::PathBuf;
use std::time::Duration;

use signing::TrustedKeys;

/// How to run an agent.
#[derive(Debug, Clone)]
pub struct Options {
    /// `https://host:port` of the control plane's agent listener.
    pub control_url: String,
    /// The installation's certificate authority, PEM.
    pub ca_pem: String,
    /// One-time enrolment token; needed until the host has an identity.
    pub token: Option<String>,
    /// Identity, node state and volumes live below it.
    pub data_dir: PathBuf,
    /// The binary whose `node` role runs the built-in engine.
    pub executable: PathBuf,
    /// Whose engine releases this host runs; of nobody, the built-in one only.
    pub engine_keys: TrustedKeys,
    pub timing: Timing,
}

/// Delays of the agent's loops.
#[derive(Debug, Clone)]
pub struct Timing {
    /// How long the control plane may hold a long poll.
    pub poll_wait: Duration,
    /// Reports go out on every change, and at least this often.
    pub heartbeat: Duration,
    /// Distance of the round trips through a node that is ready.
    pub health_period: Duration,
    /// How often a node is asked for its alarms, and told of users that it does not have.
    pub tend_period: Duration,
    /// How long a node may take to stop before it is killed.
    pub stop_deadline: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            poll_wait: Duration::from_secs(20),
            heartbeat: Duration::from_secs(5),
            health_period: Duration::from_secs(15),
            tend_period: Duration::from_secs(1),
            stop_deadline: Duration::from_secs(20),
        }
    }
}

/// What becomes of the nodes when the agent stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnStop {
    /// They serve on; the next agent adopts them.
    LeaveNodes,
    /// They are stopped in order, and start again with the next agent.
    StopNodes,
}
