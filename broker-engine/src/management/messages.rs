//! Single messages by HTTP: `/api/exchanges/…/publish` and `/api/queues/…/get`.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::Path;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::auth::User;
use super::body::Body;
use super::error::Error;
use super::{Node, State, exchanges, operator};
use crate::broker::json as tables;
use crate::broker::{
    self, Delivery, DeliveryRun, OfChannel, Publish, Settlement, Settlements, Table, Verdict,
};

/// Messages of one answer at most.
const COUNT_MAX: usize = 10_000;

/// Headers that name further routing keys, and whether those who get the message see them.
const COPIES: [(&str, bool); 2] = [("CC", true), ("BCC", false)];

pub(super) async fn publish(
    user: User,
    node: State,
    Path((vhost, exchange)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<Value>, Error> {
    let body = Body::parse(&body)?;
    let [routing_key, payload, encoding] =
        body.texts(["routing_key", "payload", "payload_encoding"])?;
    body.needed(["properties"])?;
    let payload = match &*encoding {
        "string" => payload.into_bytes(),
        "base64" => STANDARD
            .decode(payload)
            .map_err(|cause| Error::BadRequest(cause.to_string()))?,
        other => {
            let text = format!("unsupported payload encoding {other}");
            return Err(Error::BadRequest(text));
        }
    };
    let mut properties = body.table("properties")?;
    check_user(&user, &properties)?;
    let copies = take_copies(&mut properties);
    let envelope = node.broker.envelope();
    let wire = envelope.compose(&properties).map_err(Error::BadRequest)?;
    let session = operator::enter(&user, &node, &vhost)?;
    let name = exchanges::name_of(&exchange);
    if !name.is_empty()
        && let Err(broker::Error::NotFound(text)) = session.exchange_check(name)
    {
        return Err(Error::BadRequest(format!("404 NOT_FOUND - {text}")));
    }
    let publish = Publish {
        exchange: name,
        routing_key: &routing_key,
        properties: &wire,
        body: &payload,
        persistent: envelope.is_persistent(&wire),
        mandatory: true,
        expires: properties.get("expiration").is_some(),
        copies: &copies,
    };
    let outcome = session.publisher(node.read_headers).publish(&[publish]);
    if let Some(error) = outcome.error {
        return Err(operator::refused(error));
    }
    session.channel_meter().add(OfChannel::Publish, 1);
    Arc::clone(&node).durable(outcome.durable).await?;
    let is_routed = outcome.unroutable.is_empty() && outcome.rejected.is_empty();
    Ok(Json(json!({"routed": is_routed})))
}

pub(super) async fn get(
    user: User,
    node: State,
    Path((vhost, name)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<Value>, Error> {
    let body = Body::parse(&body)?;
    let [ackmode, encoding] = body.texts(["ackmode", "encoding"])?;
    let [count] = body.needed(["count"])?;
    let count = number(count)
        .ok_or_else(|| Error::BadRequest("count must be a number".to_owned()))?
        .min(COUNT_MAX);
    let is_requeued = match &*ackmode {
        "ack_requeue_true" | "reject_requeue_true" => true,
        "ack_requeue_false" | "reject_requeue_false" => false,
        other => return Err(Error::BadRequest(format!("invalid ackmode {other}"))),
    };
    let verdict = match &*ackmode {
        _ if is_requeued => Verdict::Requeue,
        "ack_requeue_false" => Verdict::Ack,
        _ => Verdict::Discard,
    };
    let is_auto = match &*encoding {
        "auto" => true,
        "base64" => false,
        other => {
            let text = format!("unsupported encoding {other}");
            return Err(Error::BadRequest(text));
        }
    };
    let truncate = body.get("truncate").and_then(number);
    let session = operator::enter(&user, &node, &vhost)?;
    session.vhost().queue(&name).ok_or(Error::NotFound)?;
    let queue = session.readable_queue(&name).map_err(operator::refused)?;
    let (mut got, mut settlements) = (Vec::new(), Settlements::default());
    while got.len() < count
        && let Some((delivery, remaining)) = queue.get(false).map_err(operator::refused)?
    {
        got.push(describe(&node, &delivery, remaining, (is_auto, truncate)));
        settlements.add(Settlement {
            verdict,
            queue: Arc::clone(&queue),
            run: DeliveryRun::of(delivery.id),
        });
    }
    settlements.apply();
    session
        .channel_meter()
        .add(OfChannel::Get, got.len() as u64);
    Ok(Json(Value::Array(got)))
}

fn describe(
    node: &Node,
    delivery: &Delivery,
    remaining: usize,
    (is_auto, truncate): (bool, Option<usize>),
) -> Value {
    let message = &delivery.message;
    let body = message.body();
    let shown = &body[..truncate.unwrap_or(body.len()).min(body.len())];
    let (payload, encoding) = match std::str::from_utf8(shown) {
        Ok(text) if is_auto => (text.to_owned(), "string"),
        _ => (STANDARD.encode(shown), "base64"),
    };
    let properties = node.broker.envelope().describe(message.properties());
    json!({
        "payload_bytes": body.len(),
        "redelivered": delivery.redelivered,
        "exchange": message.exchange(),
        "routing_key": message.routing_key(),
        "message_count": remaining,
        "properties": or_list(tables::from_table(&properties)),
        "payload": payload,
        "payload_encoding": encoding,
    })
}

/// RabbitMQ shows a table without members as a list.
fn or_list(table: Value) -> Value {
    match table.as_object() {
        Some(members) if members.is_empty() => json!([]),
        _ => table,
    }
}

/// A number, also one that is written as text.
fn number(value: &Value) -> Option<usize> {
    let number = value.as_u64().and_then(|value| usize::try_from(value).ok());
    number.or_else(|| value.as_str()?.parse().ok())
}

/// Whoever says who sent a message must be that user.
fn check_user(user: &User, properties: &Table) -> Result<(), Error> {
    match properties.get("user_id").map(broker::Value::as_str) {
        Some(Some(name)) if name != user.name() => Err(Error::BadRequest(format!(
            "406 PRECONDITION_FAILED - user_id property set to '{name}' but authenticated user was '{}'",
            user.name()
        ))),
        _ => Ok(()),
    }
}

/// The further routing keys that the headers name; those that nobody may see are taken out.
fn take_copies(properties: &mut Table) -> Vec<String> {
    let headers = properties.0.iter_mut().find(|(name, _)| name == "headers");
    let Some((_, broker::Value::Table(headers))) = headers else {
        return Vec::new();
    };
    let mut copies = Vec::new();
    for (name, is_kept) in COPIES {
        if let Some(broker::Value::Array(keys)) = headers.get(name) {
            copies.extend(
                keys.iter()
                    .filter_map(|key| key.as_str().map(str::to_owned)),
            );
        }
        headers.0.retain(|(other, _)| is_kept || other != name);
    }
    copies
}
