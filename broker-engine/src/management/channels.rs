//! `/api/channels`: what connections do.

use axum::Json;
use axum::extract::Path;
use serde_json::{Value, json};

use super::auth::User;
use super::clients::{Asked, channel_name, connection_details};
use super::error::Error;
use super::listing::Parameters;
use super::{State, consumers};
use crate::broker::{ChannelReport, ConnectionReport};

type Listed = Result<Json<Value>, Error>;

pub(super) async fn list(user: User, node: State, parameters: Parameters) -> Listed {
    let asked = Asked::new(user, node, parameters)?;
    asked.list(|_| true, all).await
}

pub(super) async fn list_of_vhost(
    user: User,
    node: State,
    parameters: Parameters,
    Path(vhost): Path<String>,
) -> Listed {
    let asked = Asked::new(user, node, parameters)?;
    asked.list_of_vhost(&vhost, all).await
}

pub(super) async fn list_of_connection(
    user: User,
    node: State,
    parameters: Parameters,
    Path(name): Path<String>,
) -> Listed {
    let asked = Asked::new(user, node, parameters)?;
    let report = asked.find(&name).await?;
    asked.show_all(all(&asked, &report))
}

pub(super) async fn show(
    user: User,
    node: State,
    parameters: Parameters,
    Path(name): Path<String>,
) -> Listed {
    let asked = Asked::new(user, node, parameters)?;
    // The name of its connection, and its number in parentheses.
    let named = name
        .strip_suffix(')')
        .and_then(|name| name.rsplit_once(" ("));
    let (connection, number) = named.ok_or(Error::NotFound)?;
    let report = asked.find(connection).await?;
    let mut channels = report.channels.iter();
    let channel = channels
        .find(|channel| channel.number.to_string() == number)
        .ok_or(Error::NotFound)?;
    let mut described = describe(&asked, &report, channel);
    let consumers = channel.consumers.iter();
    let consumers =
        consumers.map(|consumer| consumers::describe(&asked.node, &report.vhost, consumer));
    described["consumer_details"] = consumers.collect();
    Ok(asked.show(described))
}

fn all(asked: &Asked, report: &ConnectionReport) -> Vec<Value> {
    let channels = report.channels.iter();
    channels
        .map(|channel| describe(asked, report, channel))
        .collect()
}

fn describe(asked: &Asked, report: &ConnectionReport, channel: &ChannelReport) -> Value {
    let origin = &report.origin;
    json!({
        "name": channel_name(origin, channel.number),
        "number": channel.number,
        "node": asked.node.name,
        "state": "running",
        "user": origin.user,
        "user_who_performed_action": origin.user,
        "vhost": report.vhost,
        "connection_details": connection_details(origin),
        "consumer_count": channel.consumers.len(),
        "messages_unacknowledged": channel.unacked,
        "messages_unconfirmed": channel.unconfirmed,
        "messages_uncommitted": channel.uncommitted.0,
        "acks_uncommitted": channel.uncommitted.1,
        "prefetch_count": channel.prefetch,
        "global_prefetch_count": channel.channel_prefetch,
        "confirm": channel.is_confirming,
        "transactional": channel.is_transactional,
        "message_stats": asked.windows.of_channel(&channel.messages),
    })
}
