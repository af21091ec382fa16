//! Maintenance windows: operations of Warren's own.

use chrono::{DateTime, Utc};
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::broker::WeeklyStartTime;
use crate::client::{Call, Client};
use crate::error::Error;

/// When a broker's next window is, what it will apply, and what was done.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Maintenance {
    pub broker_id: String,
    pub broker_name: String,
    pub maintenance_window_start_time: WeeklyStartTime,
    pub next_window_start: DateTime<Utc>,
    pub window_seconds: i64,
    /// How often the window may still be moved before it comes.
    pub adjustments_left: i32,
    /// What the next window, or a reboot, applies: empty when nothing waits.
    pub pending: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<MaintenanceEngine>,
    /// The engine before, while it reads the data that was written since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<MaintenanceRollback>,
    /// The configuration that the broker goes on without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected_configuration: Option<RejectedConfiguration>,
    /// Newest first.
    pub runs: Vec<MaintenanceRun>,
}

/// The engine release that serves a broker.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MaintenanceEngine {
    /// With its patch number.
    pub engine_version: String,
    pub engine_release: String,
    /// A date.
    pub released: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_of_support: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MaintenanceRollback {
    pub engine_version: String,
    pub engine_release: String,
}

/// How long clients were kept away from a node.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeAway {
    pub ordinal: i32,
    pub away_seconds: f64,
}

/// A configuration that a broker's nodes refused or did not come up with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedConfiguration {
    pub id: String,
    pub revision: i32,
    pub reason: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MaintenanceRun {
    pub id: String,
    /// `None` when the owner did not wait for a window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_start: Option<DateTime<Utc>>,
    pub changes: Value,
    /// `started`, `completed`, `failed`, `rolled_back` or `missed`.
    pub outcome: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub started: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub away_seconds: Option<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<NodeAway>,
}

impl Client {
    pub async fn describe_maintenance(&self, broker_id: &str) -> Result<Maintenance, Error> {
        let path = ["v1", "brokers", broker_id, "maintenance"];
        self.call(Call::new(Method::GET, &path)).await
    }

    /// Puts the next window off by a week.
    pub async fn defer_maintenance(&self, broker_id: &str) -> Result<Maintenance, Error> {
        let path = ["v1", "brokers", broker_id, "maintenance", "defer"];
        self.call(Call::new(Method::POST, &path)).await
    }

    /// Goes back to the engine before, by a restart.
    pub async fn rollback_maintenance(&self, broker_id: &str) -> Result<Maintenance, Error> {
        let path = ["v1", "brokers", broker_id, "maintenance", "rollback"];
        self.call(Call::new(Method::POST, &path)).await
    }

    /// Applies what waits for the window now, by a restart.
    pub async fn apply_maintenance(&self, broker_id: &str) -> Result<Maintenance, Error> {
        let path = ["v1", "brokers", broker_id, "maintenance", "apply"];
        self.call(Call::new(Method::POST, &path)).await
    }
}
