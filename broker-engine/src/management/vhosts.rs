//! `/api/vhosts`: virtual hosts.

use std::sync::Arc;

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::State;
use super::auth::{Administrator, User};
use super::error::Error;
use crate::broker::{QueueStats, Vhost};

pub(super) async fn list(user: User, node: State) -> Json<Value> {
    let vhosts = node.broker.vhosts();
    let visible = vhosts
        .iter()
        .filter(|vhost| user.can_see(&node, vhost.name()));
    Json(visible.map(|vhost| describe(vhost)).collect())
}

pub(super) async fn show(
    user: User,
    node: State,
    Path(name): Path<String>,
) -> Result<Json<Value>, Error> {
    let vhost = node.broker.vhost(&name).ok_or(Error::NotFound)?;
    if !user.can_see(&node, &name) {
        return Err(Error::NotAuthorised(
            "User not authorised to access virtual host",
        ));
    }
    Ok(Json(describe(&vhost)))
}

pub(super) async fn put(
    _administrator: Administrator,
    node: State,
    Path(name): Path<String>,
) -> Result<StatusCode, Error> {
    let position = node.broker.put_vhost(&name)?;
    let is_new = position.is_some();
    Arc::clone(&node).durable(position).await?;
    Ok(if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::NO_CONTENT
    })
}

fn describe(vhost: &Vhost) -> Value {
    let stats: Vec<QueueStats> = vhost.queues().iter().map(|queue| queue.stats()).collect();
    let ready: usize = stats.iter().map(|stats| stats.ready).sum();
    let unacked: usize = stats.iter().map(|stats| stats.unacked).sum();
    json!({
        "name": **vhost.name(),
        "messages": ready + unacked,
        "messages_ready": ready,
        "messages_unacknowledged": unacked,
        "tracing": false,
    })
}
