//! `/api/health/checks`: 200 when all is well, 503 with the reason when not.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::auth::{Monitor, User};
use super::error::Error;
use super::{Node, State, operator};
use crate::broker::{Alarm, Publish, QueueDeclare, Table};

/// The queue through which the aliveness test sends its message.
const ALIVENESS_QUEUE: &str = "aliveness-test";

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

/// `/api/aliveness-test/{vhost}`: whether a message gets through, with the caller's permissions.
pub(super) async fn aliveness(
    user: User,
    node: State,
    Path(vhost): Path<String>,
) -> Result<Json<Value>, Error> {
    let session = operator::enter(&user, &node, &vhost)?;
    let declared = session.queue_declare(QueueDeclare {
        name: ALIVENESS_QUEUE.to_owned(),
        ..QueueDeclare::default()
    });
    let queue = declared.map_err(operator::refused)?.queue;
    let publish = Publish {
        exchange: "",
        routing_key: ALIVENESS_QUEUE,
        properties: &node
            .broker
            .envelope()
            .compose(&Table::default())
            .map_err(Error::Internal)?,
        body: b"test_message",
        persistent: false,
        mandatory: false,
        expires: false,
        copies: &[],
    };
    let outcome = session.publisher(node.read_headers).publish(&[publish]);
    if let Some(error) = outcome.error {
        return Err(operator::refused(error));
    }
    if queue.get(true).map_err(operator::refused)?.is_none() {
        return Err(Error::Internal("a message did not get through".to_owned()));
    }
    Ok(Json(json!({"status": "ok"})))
}

/// `/api/healthchecks/node`, which RabbitMQ keeps for older tools.
pub(super) async fn node(_monitor: Monitor, node: State) -> Json<Value> {
    node_check(&node)
}

/// The same of a node by name.
pub(super) async fn named_node(
    _monitor: Monitor,
    node: State,
    Path(name): Path<String>,
) -> Result<Json<Value>, Error> {
    if name == node.name {
        Ok(node_check(&node))
    } else {
        Err(Error::NotFound)
    }
}

fn node_check(node: &Node) -> Json<Value> {
    let alarms = node.broker.alarms();
    if alarms.is_any_on() {
        return Json(json!({"status": "failed", "reason": "resource alarm(s) in effect"}));
    }
    Json(json!({"status": "ok"}))
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
