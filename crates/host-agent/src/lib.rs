//! The agent of one host: it makes the host's intended nodes true and reports what it observes.
//!
//! Owns the nodes' processes, volumes and certificates on this machine. Decides nothing about
//! brokers: what shall run comes from the control plane, which the agent dials (never the other
//! way round) over mutual TLS.
//!
//! **Invariants**
//! - At most one process serves a volume: the engine locks its data directory, and before every
//!   start the agent asks the control socket who serves it already.
//! - Nodes outlive the agent. Each is the leader of its own process group and writes its output to
//!   a file, so killing or upgrading the agent leaves clients connected; the next agent adopts it.
//! - A private key never leaves the host.
//! - No engine runs that a trusted key did not sign, but the built-in one. Clients of a node that
//!   was changed are let in only after a round trip through the new process; until then the node
//!   goes back by itself, and from then on never.
//!
//! ```text
//! long poll ──intent──> supervisor per node ──spawn/stop──> warren node
//!                            │    ▲                             │
//!                            │    └── exit, control socket, ────┘
//!                            ▼        AMQPS round trip
//!                          board ──report──> control plane
//! ```

mod agent;
mod board;
mod capacity;
mod clock;
mod control_plane;
mod engines;
mod error;
mod files;
mod identity;
mod layout;
mod node;
mod options;
mod retry;

pub use agent::run;
pub use control_plane::ControlPlane;
pub use engines::Rejected;
pub use error::Error;
pub use identity::Identity;
pub use options::{OnStop, Options, Timing};
