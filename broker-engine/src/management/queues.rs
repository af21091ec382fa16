//! `/api/queues`: queues with their depth, made, emptied and deleted with the caller's permissions.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::auth::User;
use super::body::Body;
use super::error::Error;
use super::listing::Parameters;
use super::rates::Windows;
use super::{Node, State, consumers, operator, written};
use crate::broker::json as tables;
use crate::broker::{Queue, QueueDeclare, Vhost};

pub(super) async fn list(
    user: User,
    node: State,
    parameters: Parameters,
) -> Result<Json<Value>, Error> {
    let all = |vhost: &Vhost, windows: &Windows| all(&node, vhost, windows);
    operator::list((&user, &node), &parameters, all)
}

pub(super) async fn list_of_vhost(
    user: User,
    node: State,
    parameters: Parameters,
    Path(vhost): Path<String>,
) -> Result<Json<Value>, Error> {
    let all = |vhost: &Vhost, windows: &Windows| all(&node, vhost, windows);
    operator::list_of_vhost((&user, &node), &parameters, &vhost, all)
}

pub(super) async fn show(
    user: User,
    node: State,
    parameters: Parameters,
    Path((vhost, name)): Path<(String, String)>,
) -> Result<Json<Value>, Error> {
    let vhost = operator::look(&user, &node, &vhost)?;
    let queue = vhost.queue(&name).ok_or(Error::NotFound)?;
    let mut described = describe(&node, &queue, &Windows::of(&parameters)?);
    described["consumer_details"] = Value::Array(consumers::of_queue(&node, &queue));
    Ok(Json(parameters.one(described)))
}

pub(super) async fn put(
    user: User,
    node: State,
    Path((vhost, name)): Path<(String, String)>,
    body: Bytes,
) -> Result<StatusCode, Error> {
    let body = Body::parse(&body)?;
    let session = operator::enter(&user, &node, &vhost)?;
    let is_new = session.vhost().queue(&name).is_none();
    let declared = session.queue_declare(QueueDeclare {
        name,
        durable: body.is_on("durable")?,
        exclusive: false,
        auto_delete: body.is_on("auto_delete")?,
        arguments: body.table("arguments")?,
    });
    let declared = declared.map_err(operator::refused)?;
    Arc::clone(&node).durable(declared.durable).await?;
    Ok(written(is_new))
}

pub(super) async fn delete(
    user: User,
    node: State,
    parameters: Parameters,
    Path((vhost, name)): Path<(String, String)>,
) -> Result<StatusCode, Error> {
    let session = operator::enter(&user, &node, &vhost)?;
    session.vhost().queue(&name).ok_or(Error::NotFound)?;
    let (if_unused, if_empty) = (parameters.is_on("if-unused"), parameters.is_on("if-empty"));
    let deleted = session.queue_delete(&name, if_unused, if_empty);
    let deleted = deleted.map_err(operator::refused)?;
    Arc::clone(&node).durable(deleted.durable).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE …/contents`.
pub(super) async fn purge(
    user: User,
    node: State,
    Path((vhost, name)): Path<(String, String)>,
) -> Result<StatusCode, Error> {
    let session = operator::enter(&user, &node, &vhost)?;
    session.vhost().queue(&name).ok_or(Error::NotFound)?;
    let purged = session.queue_purge(&name).map_err(operator::refused)?;
    Arc::clone(&node).durable(purged.durable).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn all(node: &Node, vhost: &Vhost, windows: &Windows) -> Vec<Value> {
    let mut queues = vhost.queues();
    queues.sort_unstable_by(|a, b| a.name().cmp(b.name()));
    let described = queues.iter().map(|queue| describe(node, queue, windows));
    described.collect()
}

fn describe(node: &Node, queue: &Queue, windows: &Windows) -> Value {
    let history = queue.history(windows.periods());
    let (settings, stats, policies) = (queue.settings(), queue.stats(), queue.policies());
    let mut described = json!({
        "name": **queue.name(),
        "vhost": **queue.vhost(),
        "type": queue.kind().name(),
        "durable": settings.durable,
        "durability": queue.is_logged().then(|| queue.durability().name()),
        "auto_delete": settings.auto_delete,
        "exclusive": settings.exclusive.is_some(),
        "arguments": tables::from_table(&settings.arguments),
        "policy": policies.policy,
        "operator_policy": policies.operator_policy,
        "effective_policy_definition": policies.definition.unwrap_or_default(),
        "node": node.name,
        "state": "running",
        "consumers": stats.consumers,
        "message_bytes_ready": stats.ready_bytes,
        "message_stats": windows.of_queue(&history),
    });
    windows.add_lengths(&mut described, &history);
    described
}
