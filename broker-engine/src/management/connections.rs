//! `/api/connections`: who is connected.

use axum::Json;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use chrono::DateTime;
use serde_json::{Value, json};

use super::State;
use super::auth::User;
use super::clients::Asked;
use super::error::Error;
use super::listing::Parameters;
use crate::broker::ConnectionReport;
use crate::broker::json as tables;

/// What clients are told when an operator gives no other reason.
const CLOSED: &str = "Closed via management plugin";

type Listed = Result<Json<Value>, Error>;

pub(super) async fn list(user: User, node: State, parameters: Parameters) -> Listed {
    let asked = Asked::new(user, node, parameters)?;
    asked.list(|_| true, one).await
}

pub(super) async fn list_of_vhost(
    user: User,
    node: State,
    parameters: Parameters,
    Path(vhost): Path<String>,
) -> Listed {
    let asked = Asked::new(user, node, parameters)?;
    asked.list_of_vhost(&vhost, one).await
}

pub(super) async fn list_of_user(
    user: User,
    node: State,
    parameters: Parameters,
    Path(name): Path<String>,
) -> Listed {
    let asked = Asked::new(user, node, parameters)?;
    let is_meant = |report: &ConnectionReport| *report.origin.user == *name;
    asked.list(is_meant, one).await
}

pub(super) async fn show(
    user: User,
    node: State,
    parameters: Parameters,
    Path(name): Path<String>,
) -> Listed {
    let asked = Asked::new(user, node, parameters)?;
    let report = asked.find(&name).await?;
    Ok(asked.show(describe(&asked, &report)))
}

/// Closes a connection; a client that can reconnects.
pub(super) async fn close(
    user: User,
    node: State,
    parameters: Parameters,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Result<StatusCode, Error> {
    let asked = Asked::new(user, node, parameters)?;
    asked.find(&name).await?;
    let reason = headers
        .get("x-reason")
        .and_then(|value| value.to_str().ok());
    if asked.node.clients.close(&name, reason.unwrap_or(CLOSED)) {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Error::NotFound)
    }
}

fn one(asked: &Asked, report: &ConnectionReport) -> Vec<Value> {
    vec![describe(asked, report)]
}

fn describe(asked: &Asked, report: &ConnectionReport) -> Value {
    let origin = &report.origin;
    let connected_at_ms = i64::try_from(report.connected_at_ms).unwrap_or(i64::MAX);
    let connected_at = DateTime::from_timestamp_millis(connected_at_ms);
    let mut described = json!({
        "name": origin.name(),
        "node": asked.node.name,
        "type": "network",
        "protocol": report.protocol,
        "state": if report.is_blocked { "blocked" } else { "running" },
        "user": origin.user,
        "user_who_performed_action": origin.user,
        "vhost": report.vhost,
        "ssl": report.is_secure,
        "auth_mechanism": report.mechanism,
        "peer_host": origin.peer.ip().to_string(),
        "peer_port": origin.peer.port(),
        "host": origin.local.ip().to_string(),
        "port": origin.local.port(),
        "channels": report.channels.len(),
        "channel_max": report.channels_max,
        "frame_max": report.frame_size_max,
        "timeout": report.heartbeat_s,
        "connected_at": report.connected_at_ms,
        "connected_at_iso": connected_at.map(|time| time.to_rfc3339()),
        "client_properties": tables::from_table(&report.properties),
    });
    asked.windows.add_traffic(&mut described, &report.traffic);
    let name = report.properties.get("connection_name");
    if let Some(name) = name.and_then(|name| name.as_str()) {
        described["user_provided_name"] = json!(name);
    }
    described
}
