//! `/api/consumers`: who consumes what. The queues know; no connection is asked.

use axum::Json;
use axum::extract::Path;
use serde_json::{Value, json};

use super::auth::User;
use super::clients::{channel_name, connection_details};
use super::error::Error;
use super::listing::Parameters;
use super::{Node, State, operator};
use crate::broker::json as tables;
use crate::broker::{Activity, ConsumerReport, Queue, Vhost};

pub(super) async fn list(
    user: User,
    node: State,
    parameters: Parameters,
) -> Result<Json<Value>, Error> {
    let vhosts = node.broker.vhosts();
    let consumers = vhosts.iter().flat_map(|vhost| visible(&user, &node, vhost));
    Ok(Json(parameters.list(consumers.collect())?))
}

pub(super) async fn list_of_vhost(
    user: User,
    node: State,
    parameters: Parameters,
    Path(vhost): Path<String>,
) -> Result<Json<Value>, Error> {
    let vhost = operator::look(&user, &node, &vhost)?;
    Ok(Json(parameters.list(visible(&user, &node, &vhost))?))
}

/// The consumers of one queue, for whoever may see it.
pub(super) fn of_queue(node: &Node, queue: &Queue) -> Vec<Value> {
    let reports = queue.consumer_reports();
    let described = reports
        .iter()
        .map(|report| describe(node, queue.vhost(), report));
    described.collect()
}

/// The consumers that the user may see: its own, or all.
fn visible(user: &User, node: &Node, vhost: &Vhost) -> Vec<Value> {
    let queues = vhost.queues();
    let reports = queues.iter().flat_map(|queue| queue.consumer_reports());
    let is_visible = |report: &ConsumerReport| {
        let mut channel = report.channel.iter();
        user.is_monitor() || channel.any(|(origin, _)| *origin.user == *user.name())
    };
    reports
        .filter(is_visible)
        .map(|report| describe(node, vhost.name(), &report))
        .collect()
}

pub(super) fn describe(node: &Node, vhost: &str, consumer: &ConsumerReport) -> Value {
    let channel = consumer.channel.as_ref().map(|(origin, number)| {
        let mut details = connection_details(origin);
        details["connection_name"] = details["name"].take();
        details["name"] = channel_name(origin, *number).into();
        details["node"] = json!(node.name);
        details["number"] = json!(number);
        details["user"] = json!(origin.user);
        details
    });
    json!({
        "consumer_tag": consumer.tag,
        "queue": {"name": consumer.queue, "vhost": vhost},
        "ack_required": !consumer.no_ack,
        "exclusive": consumer.exclusive,
        "prefetch_count": consumer.prefetch,
        "priority": consumer.priority,
        "active": consumer.activity != Activity::Waiting,
        "activity_status": activity_status(consumer.activity),
        "arguments": tables::from_table(&consumer.arguments),
        "channel_details": channel,
    })
}

fn activity_status(activity: Activity) -> &'static str {
    match activity {
        Activity::Up => "up",
        Activity::SingleActive => "single_active",
        Activity::Waiting => "waiting",
    }
}
