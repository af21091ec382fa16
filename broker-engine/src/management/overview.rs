//! `/api/overview`: what the node is and how much is in it.

use axum::Json;
use serde_json::{Value, json};

use super::auth::User;
use super::error::Error;
use super::listing::Parameters;
use super::rates::Windows;
use super::{State, operator};
use crate::broker::Totals;

/// `/api/cluster-name`.
pub(super) async fn cluster_name(_user: User, node: State) -> Json<Value> {
    Json(json!({"name": node.name}))
}

pub(super) async fn show(
    user: User,
    node: State,
    parameters: Parameters,
) -> Result<Json<Value>, Error> {
    let windows = Windows::of(&parameters)?;
    let vhosts = operator::all(&user, &node);
    // The default exchange is one that the virtual host does not list.
    let exchanges: usize = vhosts.iter().map(|vhost| vhost.exchanges().len() + 1).sum();
    let queues: usize = vhosts.iter().map(|vhost| vhost.queue_count()).sum();
    let consumers: usize = vhosts.iter().map(|vhost| vhost.consumer_count()).sum();
    let periods = windows.periods();
    let totals = if user.is_monitor() {
        node.broker.totals(periods)
    } else {
        let visible = vhosts.iter().map(|vhost| vhost.totals(periods));
        visible.reduce(Totals::plus).unwrap_or_default()
    };
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
            "channels": node.broker.channel_count(),
            "consumers": consumers,
            "exchanges": exchanges,
            "queues": queues,
        },
        "queue_totals": {},
        "message_stats": windows.of_channel(&totals.channels),
        "churn_rates": windows.of_node(&node.broker.churn(periods)),
        "contexts": contexts,
    });
    windows.add_lengths(&mut overview["queue_totals"], &totals.queues);
    if user.is_monitor() {
        overview["listeners"] = Value::Array(listeners);
    }
    Ok(Json(parameters.one(overview)))
}
