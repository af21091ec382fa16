//! `/api/vhosts`: virtual hosts.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::auth::{Administrator, User};
use super::body::Body;
use super::error::Error;
use super::listing::Parameters;
use super::rates::Windows;
use super::{Node, State, operator, written};
use crate::broker::Vhost;
use crate::broker::definitions::document::{self, Permission};

pub(super) async fn list(
    user: User,
    node: State,
    parameters: Parameters,
) -> Result<Json<Value>, Error> {
    let vhosts = operator::all(&user, &node);
    let windows = Windows::of(&parameters)?;
    let described = vhosts.iter().map(|vhost| describe(&node, vhost, &windows));
    Ok(Json(parameters.list(described.collect())?))
}

pub(super) async fn show(
    user: User,
    node: State,
    parameters: Parameters,
    Path(name): Path<String>,
) -> Result<Json<Value>, Error> {
    let vhost = operator::look(&user, &node, &name)?;
    let windows = Windows::of(&parameters)?;
    Ok(Json(parameters.one(describe(&node, &vhost, &windows))))
}

/// Whoever makes a virtual host may do everything in it.
pub(super) async fn put(
    _administrator: Administrator,
    user: User,
    node: State,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<StatusCode, Error> {
    let described = read(name, &Body::parse(&body)?)?;
    let (is_new, mut position) = node.broker.put_vhost(&described)?;
    if is_new && !user.is_monitoring() {
        let all = || ".*".to_owned();
        position = node.broker.put_permission(&Permission {
            user: user.name().to_owned(),
            vhost: described.name,
            configure: all(),
            write: all(),
            read: all(),
        })?;
    }
    Arc::clone(&node).durable(Some(position)).await?;
    Ok(written(is_new))
}

fn read(name: String, body: &Body) -> Result<document::Vhost, Error> {
    let text = |member: &str| match body.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Error::BadRequest(format!("{member} must be a string"))),
    };
    let tags = match body.get("tags") {
        None | Some(Value::Null) => document::Tags::default(),
        Some(tags) => serde_json::from_value(tags.clone())
            .map_err(|_| Error::BadRequest("tags must be a list or a string".to_owned()))?,
    };
    // RabbitMQ 3.11 called it so.
    let default_queue_type = text("default_queue_type")?.or(text("defaultqueuetype")?);
    Ok(document::Vhost {
        name,
        description: text("description")?.unwrap_or_default(),
        tags,
        default_queue_type: default_queue_type.filter(|kind| kind != "undefined"),
        tracing: body.get("tracing") == Some(&Value::Bool(true)),
    })
}

pub(super) async fn delete(
    _administrator: Administrator,
    node: State,
    Path(name): Path<String>,
) -> Result<StatusCode, Error> {
    let position = node.broker.delete_vhost(&name)?.ok_or(Error::NotFound)?;
    Arc::clone(&node).durable(Some(position)).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn describe(node: &Node, vhost: &Vhost, windows: &Windows) -> Value {
    let totals = vhost.totals(windows.periods());
    let described = vhost.described();
    let queue_type = described.default_queue_type.as_deref().unwrap_or("classic");
    let mut shown = json!({
        "name": **vhost.name(),
        "description": described.description,
        "tags": described.tags.0,
        "default_queue_type": queue_type,
        "metadata": {
            "description": described.description,
            "tags": described.tags.0,
            "default_queue_type": queue_type,
        },
        "protected_from_deletion": false,
        "cluster_state": { node.name.as_str(): "running" },
        "tracing": described.tracing,
        "message_stats": windows.of_channel(&totals.channels),
    });
    windows.add_lengths(&mut shown, &totals.queues);
    windows.add_traffic(&mut shown, &totals.connections);
    shown
}
