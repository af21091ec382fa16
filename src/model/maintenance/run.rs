//! What was done in a window, or instead of waiting for one.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::{
    BrokerId,
    broker::{Broker, StagedLaunch},
};

#[derive(Debug, Clone, PartialEq)]
pub struct MaintenanceRun {
    pub id: Uuid,
    pub broker_id: BrokerId,
    /// `None` when the owner did not wait for a window.
    pub window_start: Option<DateTime<Utc>>,
    /// What it applies.
    pub changes: StagedLaunch,
    /// The generation of the nodes that it started; `None` when the window was missed.
    pub generation: Option<i64>,
    pub outcome: MaintenanceOutcome,
    /// Why it failed.
    pub reason: Option<String>,
    /// How long each node was away, once that is known.
    pub nodes: Vec<NodeAway>,
    pub started_at: DateTime<Utc>,
    /// When every node proved the new generation, or could not.
    pub finished_at: Option<DateTime<Utc>>,
}

impl MaintenanceRun {
    /// The restart that an owner asked for, of the generation that the broker has now.
    pub fn begun(id: Uuid, broker: &Broker, changes: StagedLaunch, now: DateTime<Utc>) -> Self {
        Self {
            id,
            broker_id: broker.id.clone(),
            window_start: None,
            changes,
            generation: Some(broker.generation),
            outcome: MaintenanceOutcome::Started,
            reason: None,
            nodes: Vec::new(),
            started_at: now,
            finished_at: None,
        }
    }
}

/// How long clients were kept away from a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeAway {
    pub ordinal: i32,
    pub away_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaintenanceOutcome {
    Started,
    Completed,
    Failed,
    /// It failed before clients came back, and the nodes run as before.
    RolledBack,
    /// Nobody worked while the window was open.
    Missed,
}

impl MaintenanceOutcome {
    const ALL: [Self; 5] = [
        Self::Started,
        Self::Completed,
        Self::Failed,
        Self::RolledBack,
        Self::Missed,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::RolledBack => "rolled_back",
            Self::Missed => "missed",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == text)
    }
}
