//! `/api/connections`, `/api/channels`, `/api/consumers`: who is connected and what they do.
//!
//! Connections describe themselves when asked; one that is too busy to answer in time is left out.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use chrono::DateTime;
use serde_json::{Value, json};

use super::auth::User;
use super::error::Error;
use super::listing::Parameters;
use super::{Node, State, operator};
use crate::broker::json as tables;
use crate::broker::{Activity, ChannelReport, ConnectionReport};

/// How long connections have to describe themselves.
const REPORT_PATIENCE: Duration = Duration::from_secs(1);

/// What clients are told when an operator gives no other reason.
const CLOSED: &str = "Closed via management plugin";

pub(super) async fn connections(
    user: User,
    node: State,
    parameters: Parameters,
) -> Result<Json<Value>, Error> {
    let reports = visible(&user, &node).await?;
    let connections = reports.iter().map(|report| connection(&node, report));
    Ok(Json(parameters.list(connections.collect())?))
}

pub(super) async fn connections_of_vhost(
    user: User,
    node: State,
    parameters: Parameters,
    Path(vhost): Path<String>,
) -> Result<Json<Value>, Error> {
    operator::look(&user, &node, &vhost)?;
    let reports = visible(&user, &node).await?;
    let of_vhost = reports.iter().filter(|report| report.vhost == vhost);
    let connections = of_vhost.map(|report| connection(&node, report));
    Ok(Json(parameters.list(connections.collect())?))
}

pub(super) async fn connections_of_user(
    user: User,
    node: State,
    parameters: Parameters,
    Path(name): Path<String>,
) -> Result<Json<Value>, Error> {
    let reports = visible(&user, &node).await?;
    let of_user = reports.iter().filter(|report| report.user == name);
    let connections = of_user.map(|report| connection(&node, report));
    Ok(Json(parameters.list(connections.collect())?))
}

pub(super) async fn show_connection(
    user: User,
    node: State,
    parameters: Parameters,
    Path(name): Path<String>,
) -> Result<Json<Value>, Error> {
    let report = find(&user, &node, &name).await?;
    Ok(Json(parameters.one(connection(&node, &report))))
}

pub(super) async fn channels_of_connection(
    user: User,
    node: State,
    parameters: Parameters,
    Path(name): Path<String>,
) -> Result<Json<Value>, Error> {
    let report = find(&user, &node, &name).await?;
    Ok(Json(parameters.list(channels_of(&node, &report))?))
}

/// Closes a connection; a client that can reconnects.
pub(super) async fn close(
    user: User,
    node: State,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Result<StatusCode, Error> {
    find(&user, &node, &name).await?;
    let reason = headers
        .get("x-reason")
        .and_then(|value| value.to_str().ok());
    if node.clients.close(&name, reason.unwrap_or(CLOSED)) {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Error::NotFound)
    }
}

pub(super) async fn channels(
    user: User,
    node: State,
    parameters: Parameters,
) -> Result<Json<Value>, Error> {
    let reports = visible(&user, &node).await?;
    let channels = reports.iter().flat_map(|report| channels_of(&node, report));
    Ok(Json(parameters.list(channels.collect())?))
}

pub(super) async fn channels_of_vhost(
    user: User,
    node: State,
    parameters: Parameters,
    Path(vhost): Path<String>,
) -> Result<Json<Value>, Error> {
    operator::look(&user, &node, &vhost)?;
    let reports = visible(&user, &node).await?;
    let of_vhost = reports.iter().filter(|report| report.vhost == vhost);
    let channels = of_vhost.flat_map(|report| channels_of(&node, report));
    Ok(Json(parameters.list(channels.collect())?))
}

pub(super) async fn show_channel(
    user: User,
    node: State,
    parameters: Parameters,
    Path(name): Path<String>,
) -> Result<Json<Value>, Error> {
    let reports = visible(&user, &node).await?;
    let mut channels = reports.iter().flat_map(|report| {
        let channels = report.channels.iter();
        channels.map(move |channel| (report, channel))
    });
    let (report, channel) = channels
        .find(|(report, channel)| channel_name(report, channel) == name)
        .ok_or(Error::NotFound)?;
    let mut described = describe_channel(&node, report, channel);
    described["consumer_details"] = consumers_of(&node, report, channel).into();
    Ok(Json(parameters.one(described)))
}

pub(super) async fn consumers(
    user: User,
    node: State,
    parameters: Parameters,
) -> Result<Json<Value>, Error> {
    let consumers = all_consumers(&user, &node, |_| true).await?;
    Ok(Json(parameters.list(consumers)?))
}

pub(super) async fn consumers_of_vhost(
    user: User,
    node: State,
    parameters: Parameters,
    Path(vhost): Path<String>,
) -> Result<Json<Value>, Error> {
    operator::look(&user, &node, &vhost)?;
    let consumers = all_consumers(&user, &node, |report| report.vhost == vhost).await?;
    Ok(Json(parameters.list(consumers)?))
}

/// The consumers of one queue, for whoever may see all.
pub(super) async fn details_of_queue(
    node: &State,
    (vhost, queue): (&str, &str),
) -> Result<Vec<Value>, Error> {
    let reports = reports(node).await?;
    let of_vhost = reports.iter().filter(|report| report.vhost == vhost);
    let consumers = of_vhost.flat_map(|report| {
        let channels = report.channels.iter();
        channels.flat_map(move |channel| consumers_of(node, report, channel))
    });
    Ok(consumers
        .filter(|consumer| consumer["queue"]["name"] == queue)
        .collect())
}

/// How many channels are open.
pub(super) async fn channel_count(node: &State) -> Result<usize, Error> {
    let reports = reports(node).await?;
    Ok(reports.iter().map(|report| report.channels.len()).sum())
}

async fn all_consumers(
    user: &User,
    node: &State,
    is_meant: impl Fn(&ConnectionReport) -> bool,
) -> Result<Vec<Value>, Error> {
    let reports = visible(user, node).await?;
    let meant = reports.iter().filter(|report| is_meant(report));
    let consumers = meant.flat_map(|report| {
        let channels = report.channels.iter();
        channels.flat_map(move |channel| consumers_of(node, report, channel))
    });
    Ok(consumers.collect())
}

async fn find(user: &User, node: &State, name: &str) -> Result<ConnectionReport, Error> {
    let reports = reports(node).await?;
    let mut named = reports.into_iter().filter(|report| report.name() == name);
    let report = named.next().ok_or(Error::NotFound)?;
    if !user.is_monitor() && report.user != user.name() {
        return Err(Error::NotAuthorised("User not authorised to access object"));
    }
    Ok(report)
}

/// The connections that the user may see: its own, or all.
async fn visible(user: &User, node: &State) -> Result<Vec<ConnectionReport>, Error> {
    let mut reports = reports(node).await?;
    reports.retain(|report| user.is_monitor() || report.user == user.name());
    Ok(reports)
}

async fn reports(node: &State) -> Result<Vec<ConnectionReport>, Error> {
    let node = std::sync::Arc::clone(node);
    let gathered = tokio::task::spawn_blocking(move || {
        let (sender, receiver) = mpsc::channel();
        node.clients.report(&sender);
        drop(sender);
        let deadline = Instant::now() + REPORT_PATIENCE;
        let mut reports = Vec::new();
        while let Ok(report) =
            receiver.recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            reports.push(report);
        }
        reports.sort_unstable_by_key(|report: &ConnectionReport| {
            (report.connected_at_ms, report.peer)
        });
        reports
    });
    gathered
        .await
        .map_err(|cause| Error::Internal(cause.to_string()))
}

fn connection(node: &Node, report: &ConnectionReport) -> Value {
    let connected_at_ms = i64::try_from(report.connected_at_ms).unwrap_or(i64::MAX);
    let connected_at = DateTime::from_timestamp_millis(connected_at_ms);
    let mut described = json!({
        "name": report.name(),
        "node": node.name,
        "type": "network",
        "protocol": report.protocol,
        "state": if report.is_blocked { "blocked" } else { "running" },
        "user": report.user,
        "user_who_performed_action": report.user,
        "vhost": report.vhost,
        "ssl": report.is_secure,
        "auth_mechanism": report.mechanism,
        "peer_host": report.peer.ip().to_string(),
        "peer_port": report.peer.port(),
        "host": report.local.ip().to_string(),
        "port": report.local.port(),
        "channels": report.channels.len(),
        "channel_max": report.channels_max,
        "frame_max": report.frame_size_max,
        "timeout": report.heartbeat_s,
        "connected_at": report.connected_at_ms,
        "connected_at_iso": connected_at.map(|time| time.to_rfc3339()),
        "client_properties": tables::from_table(&report.properties),
        "recv_oct": report.received_bytes,
        "send_oct": report.sent_bytes,
    });
    let name = report.properties.get("connection_name");
    if let Some(name) = name.and_then(|name| name.as_str()) {
        described["user_provided_name"] = json!(name);
    }
    described
}

fn channels_of(node: &Node, report: &ConnectionReport) -> Vec<Value> {
    let channels = report.channels.iter();
    channels
        .map(|channel| describe_channel(node, report, channel))
        .collect()
}

fn channel_name(report: &ConnectionReport, channel: &ChannelReport) -> String {
    format!("{} ({})", report.name(), channel.number)
}

fn describe_channel(node: &Node, report: &ConnectionReport, channel: &ChannelReport) -> Value {
    json!({
        "name": channel_name(report, channel),
        "number": channel.number,
        "node": node.name,
        "state": "running",
        "user": report.user,
        "user_who_performed_action": report.user,
        "vhost": report.vhost,
        "connection_details": {
            "name": report.name(),
            "peer_host": report.peer.ip().to_string(),
            "peer_port": report.peer.port(),
        },
        "consumer_count": channel.consumers.len(),
        "messages_unacknowledged": channel.unacked,
        "messages_unconfirmed": channel.unconfirmed,
        "messages_uncommitted": channel.uncommitted.0,
        "acks_uncommitted": channel.uncommitted.1,
        "prefetch_count": channel.prefetch,
        "global_prefetch_count": channel.channel_prefetch,
        "confirm": channel.is_confirming,
        "transactional": channel.is_transactional,
    })
}

fn consumers_of(node: &Node, report: &ConnectionReport, channel: &ChannelReport) -> Vec<Value> {
    let consumers = channel.consumers.iter();
    consumers
        .map(|consumer| {
            json!({
                "consumer_tag": consumer.tag,
                "queue": {"name": consumer.queue, "vhost": report.vhost},
                "ack_required": !consumer.no_ack,
                "exclusive": consumer.exclusive,
                "prefetch_count": consumer.prefetch,
                "priority": consumer.priority,
                "active": consumer.activity != Activity::Waiting,
                "activity_status": activity_status(consumer.activity),
                "arguments": tables::from_table(&consumer.arguments),
                "channel_details": {
                    "name": channel_name(report, channel),
                    "connection_name": report.name(),
                    "node": node.name,
                    "number": channel.number,
                    "peer_host": report.peer.ip().to_string(),
                    "peer_port": report.peer.port(),
                    "user": report.user,
                },
            })
        })
        .collect()
}

fn activity_status(activity: Activity) -> &'static str {
    match activity {
        Activity::Up => "up",
        Activity::SingleActive => "single_active",
        Activity::Waiting => "waiting",
    }
}
