//! `/api/overview`: what the node is and how much is in it.

use axum::Json;
use serde_json::{Value, json};

use super::auth::User;
use super::error::Error;
use super::listing::Parameters;
use super::{State, clients};

/// `/api/cluster-name`.
pub(super) async fn cluster_name(_user: User, node: State) -> Json<Value> {
    Json(json!({"name": node.name}))
}

pub(super) async fn show(
    user: User,
    node: State,
    parameters: Parameters,
) -> Result<Json<Value>, Error> {
    let vhosts = node.broker.vhosts();
    let visible = vhosts
        .iter()
        .filter(|vhost| user.can_see(&node, vhost.name()));
    let (mut published, mut delivered, mut redelivered, mut acked) = (0, 0, 0, 0);
    let (mut exchanges, mut queues, mut consumers, mut ready, mut unacked) = (0, 0, 0, 0, 0);
    for vhost in visible {
        // The default exchange is one that the virtual host does not list.
        exchanges += vhost.exchanges().len() + 1;
        for queue in vhost.queues() {
            let stats = queue.stats();
            queues += 1;
            consumers += stats.consumers;
            ready += stats.ready;
            unacked += stats.unacked;
            published += stats.published_total;
            delivered += stats.delivered_total;
            redelivered += stats.redelivered_total;
            acked += stats.acked_total;
        }
    }
    let listeners: Vec<Value> = node
        .listeners
        .iter()
        .map(|listener| {
            json!({
                "node": node.name,
                "protocol": listener.protocol,
                "ip_address": listener.address.ip().to_string(),
                "port": listener.address.port(),
            })
        })
        .collect();
    let contexts: Vec<Value> = node
        .listeners
        .iter()
        .filter(|listener| listener.protocol.starts_with("http"))
        .map(|listener| {
            json!({
                "node": node.name,
                "description": format!("{} Management", node.product),
                "path": "/",
                "ip": listener.address.ip().to_string(),
                "port": listener.address.port(),
                "ssl": listener.protocol == "https",
            })
        })
        .collect();
    let mut overview = json!({
        "management_version": node.version,
        "rates_mode": "basic",
        "product_name": node.product,
        "product_version": node.version,
        "rabbitmq_version": node.version,
        "cluster_name": node.name,
        "node": node.name,
        "object_totals": {
            "connections": node.clients.connection_count(),
            "channels": clients::channel_count(&node).await?,
            "consumers": consumers,
            "exchanges": exchanges,
            "queues": queues,
        },
        "queue_totals": {
            "messages": ready + unacked,
            "messages_ready": ready,
            "messages_unacknowledged": unacked,
        },
        "message_stats": {
            "publish": published,
            "deliver_get": delivered,
            "redeliver": redelivered,
            "ack": acked,
        },
        "contexts": contexts,
    });
    if user.is_monitor() {
        overview["listeners"] = Value::Array(listeners);
    }
    Ok(Json(parameters.one(overview)))
}
