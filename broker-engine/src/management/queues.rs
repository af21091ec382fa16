//! `/api/queues`: queues with their depth.

use axum::Json;
use axum::extract::Path;
use serde_json::{Map, Value, json};

use super::auth::User;
use super::error::Error;
use super::{Node, State};
use crate::broker::{self, Queue, Table, Vhost};

pub(super) async fn list(user: User, node: State) -> Json<Value> {
    let vhosts = node.broker.vhosts();
    let visible = vhosts
        .iter()
        .filter(|vhost| user.can_see(&node, vhost.name()));
    Json(Value::Array(
        visible.flat_map(|vhost| all(&node, vhost)).collect(),
    ))
}

pub(super) async fn list_of_vhost(
    user: User,
    node: State,
    Path(vhost): Path<String>,
) -> Result<Json<Value>, Error> {
    Ok(Json(Value::Array(all(
        &node,
        &*visible(&user, &node, &vhost)?,
    ))))
}

pub(super) async fn show(
    user: User,
    node: State,
    Path((vhost, name)): Path<(String, String)>,
) -> Result<Json<Value>, Error> {
    let queue = visible(&user, &node, &vhost)?
        .queue(&name)
        .ok_or(Error::NotFound)?;
    Ok(Json(describe(&node, &queue)))
}

fn visible(user: &User, node: &Node, vhost: &str) -> Result<std::sync::Arc<Vhost>, Error> {
    let found = node.broker.vhost(vhost).ok_or(Error::NotFound)?;
    if user.can_see(node, vhost) {
        Ok(found)
    } else {
        Err(Error::NotAuthorised(
            "User not authorised to access virtual host",
        ))
    }
}

fn all(node: &Node, vhost: &Vhost) -> Vec<Value> {
    let mut queues = vhost.queues();
    queues.sort_unstable_by(|a, b| a.name().cmp(b.name()));
    queues.iter().map(|queue| describe(node, queue)).collect()
}

fn describe(node: &Node, queue: &Queue) -> Value {
    let (settings, stats, policies) = (queue.settings(), queue.stats(), queue.policies());
    json!({
        "name": **queue.name(),
        "vhost": **queue.vhost(),
        "type": queue.kind().name(),
        "durable": settings.durable,
        "auto_delete": settings.auto_delete,
        "exclusive": settings.exclusive.is_some(),
        "arguments": table(&settings.arguments),
        "policy": policies.policy,
        "operator_policy": policies.operator_policy,
        "effective_policy_definition": policies.definition.unwrap_or_default(),
        "node": node.name,
        "state": "running",
        "consumers": stats.consumers,
        "messages": stats.ready + stats.unacked,
        "messages_ready": stats.ready,
        "messages_unacknowledged": stats.unacked,
        "message_bytes_ready": stats.ready_bytes,
        "message_stats": {
            "publish": stats.published_total,
            "deliver_get": stats.delivered_total,
            "redeliver": stats.redelivered_total,
            "ack": stats.acked_total,
        },
    })
}

fn table(table: &Table) -> Value {
    let fields = table
        .0
        .iter()
        .map(|(name, field)| (name.clone(), value(field)));
    Value::Object(fields.collect::<Map<_, _>>())
}

fn value(field: &broker::Value) -> Value {
    match field {
        broker::Value::Void => Value::Null,
        broker::Value::Bool(value) => json!(value),
        broker::Value::F32(value) => json!(value),
        broker::Value::F64(value) => json!(value),
        broker::Value::Timestamp(value) => json!(value),
        broker::Value::Array(values) => values.iter().map(value).collect(),
        broker::Value::Table(fields) => table(fields),
        broker::Value::Decimal { scale, value } => {
            json!(f64::from(*value) / 10_f64.powi(i32::from(*scale)))
        }
        broker::Value::String(bytes) | broker::Value::Bytes(bytes) => {
            json!(String::from_utf8_lossy(bytes))
        }
        broker::Value::I8(_)
        | broker::Value::U8(_)
        | broker::Value::I16(_)
        | broker::Value::U16(_)
        | broker::Value::I32(_)
        | broker::Value::U32(_)
        | broker::Value::I64(_) => json!(field.as_i64()),
    }
}
