//! Maintenance on the wire: operations of Warren's own.

use axum::{
    Extension, Json,
    extract::{Path, State},
};
use serde::Serialize;
use serde_json::Value;

use super::super::{error::Failure, router::ApiState, timestamp};
use super::Window;
use crate::{
    app::{Caller, MaintenanceDescription},
    model::{
        maintenance::{ADJUSTMENTS_MAX, MaintenanceRun, WINDOW},
        node::RejectedConfiguration,
    },
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct Maintenance {
    broker_id: String,
    broker_name: String,
    maintenance_window_start_time: Window,
    next_window_start: String,
    window_seconds: i64,
    adjustments_left: i32,
    /// What the next window, or a reboot, applies.
    pending: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    engine: Option<Engine>,
    /// The engine that the owner may go back to.
    #[serde(skip_serializing_if = "Option::is_none")]
    rollback: Option<RollbackTarget>,
    /// The configuration that the broker goes on without, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected_configuration: Option<RejectedConfiguration>,
    runs: Vec<Run>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Engine {
    engine_version: String,
    engine_release: String,
    released: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_of_support: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RollbackTarget {
    engine_version: String,
    engine_release: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NodeAway {
    ordinal: i32,
    away_seconds: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    window_start: Option<String>,
    changes: Value,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    started: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished: Option<String>,
    /// How long the broker's node was away, or is by now.
    #[serde(skip_serializing_if = "Option::is_none")]
    away_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    nodes: Vec<NodeAway>,
}

pub(in crate::api) async fn describe(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Maintenance>, Failure> {
    let description = state.app.describe_maintenance(&caller, &id).await?;
    Ok(Json(description.into()))
}

pub(in crate::api) async fn defer(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Maintenance>, Failure> {
    let description = state.app.defer_maintenance(&caller, &id).await?;
    Ok(Json(description.into()))
}

pub(in crate::api) async fn apply(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Maintenance>, Failure> {
    let description = state.app.apply_maintenance(&caller, &id).await?;
    Ok(Json(description.into()))
}

pub(in crate::api) async fn rollback(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Maintenance>, Failure> {
    let description = state.app.rollback_maintenance(&caller, &id).await?;
    Ok(Json(description.into()))
}

impl From<MaintenanceDescription> for Maintenance {
    fn from(description: MaintenanceDescription) -> Self {
        let MaintenanceDescription {
            broker,
            schedule,
            runs,
            engine,
            end_of_support,
            rollback,
            rejected_configuration,
        } = description;
        Self {
            engine: engine.map(|line| Engine {
                engine_version: line.engine_version.to_string(),
                engine_release: line.release,
                released: line.released.to_string(),
                end_of_support: end_of_support.map(|day| day.to_string()),
            }),
            rollback: rollback.map(|target| RollbackTarget {
                engine_version: target.version.to_string(),
                engine_release: target.release,
            }),
            pending: serde_json::to_value(&broker.staged).unwrap_or_default(),
            maintenance_window_start_time: broker.settings.maintenance_window.into(),
            broker_id: broker.id.to_string(),
            broker_name: broker.name,
            next_window_start: timestamp::format(schedule.next_start),
            window_seconds: WINDOW.num_seconds(),
            adjustments_left: ADJUSTMENTS_MAX - schedule.adjustments,
            rejected_configuration,
            runs: runs.into_iter().map(Run::from).collect(),
        }
    }
}

impl From<MaintenanceRun> for Run {
    fn from(run: MaintenanceRun) -> Self {
        let away = run.finished_at.zip(run.generation);
        let away = away.map(|(finished_at, _)| finished_at - run.started_at);
        let seconds = |milliseconds: u64| milliseconds as f64 / 1000.0;
        let longest = run.nodes.iter().map(|node| node.away_ms).max();
        Self {
            id: run.id.to_string(),
            window_start: run.window_start.map(timestamp::format),
            changes: serde_json::to_value(&run.changes).unwrap_or_default(),
            outcome: run.outcome.name(),
            reason: run.reason,
            started: timestamp::format(run.started_at),
            finished: run.finished_at.map(timestamp::format),
            away_seconds: longest
                .map(seconds)
                .or_else(|| away.map(|away| away.num_milliseconds() as f64 / 1000.0)),
            nodes: run
                .nodes
                .iter()
                .map(|node| NodeAway {
                    ordinal: node.ordinal,
                    away_seconds: seconds(node.away_ms),
                })
                .collect(),
        }
    }
}
