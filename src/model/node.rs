//! Engine processes of a broker, the API's "broker instances".
//!
//! Two writers, never on the same field: workflows own placement, intent and `generation`; the
//! agents' endpoint owns the observation.

use std::net::IpAddr;

pub use agent_api::{
    Alarms, Capacity, LaunchObservation, NodeIntent, NodeObservation, Phase, RejectedConfiguration,
};
use chrono::{DateTime, Utc};

use super::{BrokerId, HostId, NodeId, Scope, maintenance::NodeAway};

#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub id: NodeId,
    pub broker_id: BrokerId,
    pub scope: Scope,
    /// Position within the broker, from 0.
    pub ordinal: i32,
    /// Set once the provisioner has found a place.
    pub placement: Option<Placement>,
    pub intended: Option<NodeIntent>,
    /// The generation of `intended`; 0 while there is none.
    pub generation: i64,
    pub observed: Option<NodeObservation>,
    pub created_at: DateTime<Utc>,
}

/// Where a node runs and what it listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    pub host_id: HostId,
    pub address: IpAddr,
    pub amqps_port: u16,
    pub management_port: u16,
}

impl Node {
    /// Whether the agent has proven `generation`, or a later one, with a round trip.
    pub fn is_ready_at(&self, generation: i64) -> bool {
        self.observed_phase_from(generation) == Some(Phase::Ready)
    }

    /// Why the node runs `generation` with what it ran with before.
    pub fn rolled_back_at(&self, generation: i64) -> Option<&str> {
        self.launch_at(generation)?.rolled_back.as_deref()
    }

    /// How long clients were kept away when `generation` began.
    pub fn away_at(&self, generation: i64) -> Option<NodeAway> {
        Some(NodeAway {
            ordinal: self.ordinal,
            away_ms: self.launch_at(generation)?.away_ms?,
        })
    }

    fn launch_at(&self, generation: i64) -> Option<&LaunchObservation> {
        let observed = self.observed.as_ref();
        let observed = observed.filter(|observed| observed.generation == generation);
        observed?.launch.as_ref()
    }

    /// What the agent last saw, if it speaks of `generation` or a later one.
    pub fn observed_phase_from(&self, generation: i64) -> Option<Phase> {
        self.observed
            .as_ref()
            .filter(|observation| observation.generation >= generation)
            .map(|observation| observation.phase)
    }
}
