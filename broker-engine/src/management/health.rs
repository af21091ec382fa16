//! `/api/health/checks`: 200 when all is well, 503 with the reason when not.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{Node, State};
use crate::broker::Alarm;

pub(super) async fn alarms(node: State) -> Response {
    check_alarms(&node, "There are alarms in effect in the cluster")
}

pub(super) async fn local_alarms(node: State) -> Response {
    check_alarms(&node, "There are alarms in effect on the node")
}

pub(super) async fn port_listener(node: State, Path(port): Path<u16>) -> Response {
    let mut ports: Vec<u16> = node
        .listeners
        .iter()
        .map(|listener| listener.address.port())
        .collect();
    if ports.contains(&port) {
        return Json(json!({"status": "ok", "port": port})).into_response();
    }
    ports.sort_unstable();
    ports.dedup();
    failed(json!({
        "status": "failed",
        "reason": "No active listener",
        "missing": port,
        "ports": ports,
    }))
}

fn check_alarms(node: &Node, reason: &str) -> Response {
    let on: Vec<Value> = [(Alarm::Memory, "memory"), (Alarm::Disk, "disk")]
        .into_iter()
        .filter(|(alarm, _)| node.broker.alarms().is_on(*alarm))
        .map(|(_, resource)| json!({"node": node.name, "resource": resource}))
        .collect();
    if on.is_empty() {
        return Json(json!({"status": "ok"})).into_response();
    }
    failed(json!({"status": "failed", "reason": reason, "alarms": on}))
}

fn failed(body: Value) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
}
