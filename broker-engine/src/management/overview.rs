//! `/api/overview`: what the node is and how much is in it.

use axum::Json;
use serde_json::{Value, json};

use super::State;
use super::auth::User;

pub(super) async fn show(user: User, node: State) -> Json<Value> {
    let vhosts = node.broker.vhosts();
    let visible = vhosts
        .iter()
        .filter(|vhost| user.can_see(&node, vhost.name()));
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
    let mut overview = json!({
        "management_version": node.version,
        "rates_mode": "basic",
        "product_name": node.product,
        "product_version": node.version,
        "rabbitmq_version": node.version,
        "cluster_name": node.name,
        "node": node.name,
        "object_totals": {
            "connections": (node.connection_count)(),
            "consumers": consumers,
            "exchanges": exchanges,
            "queues": queues,
        },
        "queue_totals": {
            "messages": ready + unacked,
            "messages_ready": ready,
            "messages_unacknowledged": unacked,
        },
    });
    if user.is_monitor() {
        overview["listeners"] = Value::Array(listeners);
    }
    Json(overview)
}
