//! `/api/topic-permissions`: which keys of topic exchanges users may use, for administrators. `grants` lists them.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::Value;

use super::auth::Administrator;
use super::body::Body;
use super::error::Error;
use super::grants::{Grant as _, check_both};
use super::listing::Parameters;
use super::{State, written};
use crate::broker::definitions::document::TopicPermission;

/// One for each exchange.
pub(super) async fn show(
    _administrator: Administrator,
    node: State,
    parameters: Parameters,
    Path((vhost, user)): Path<(String, String)>,
) -> Result<Json<Value>, Error> {
    let found = TopicPermission::find(&node, &vhost, &user);
    if found.is_empty() {
        return Err(Error::NotFound);
    }
    Ok(Json(parameters.list_of(found)?))
}

pub(super) async fn put(
    _administrator: Administrator,
    node: State,
    Path((vhost, user)): Path<(String, String)>,
    body: Bytes,
) -> Result<StatusCode, Error> {
    check_both(&node, &vhost, &user)?;
    let body = Body::parse(&body)?;
    let [exchange, write, read] = body.texts(["exchange", "write", "read"])?;
    let is_new = TopicPermission::find(&node, &vhost, &user).is_empty();
    let permission = TopicPermission {
        user,
        vhost,
        exchange,
        write,
        read,
    };
    let position = node.broker.put_topic_permission(&permission)?;
    Arc::clone(&node).durable(Some(position)).await?;
    Ok(written(is_new))
}

pub(super) async fn delete(
    administrator: Administrator,
    node: State,
    Path((vhost, user)): Path<(String, String)>,
) -> Result<StatusCode, Error> {
    remove(administrator, node, (&vhost, &user), None).await
}

pub(super) async fn delete_of_exchange(
    administrator: Administrator,
    node: State,
    Path((vhost, user, exchange)): Path<(String, String, String)>,
) -> Result<StatusCode, Error> {
    remove(administrator, node, (&vhost, &user), Some(&exchange)).await
}

async fn remove(
    _administrator: Administrator,
    node: State,
    (vhost, user): (&str, &str),
    exchange: Option<&str>,
) -> Result<StatusCode, Error> {
    let position = node
        .broker
        .delete_topic_permissions(user, vhost, exchange)?;
    let position = position.ok_or(Error::NotFound)?;
    Arc::clone(&node).durable(Some(position)).await?;
    Ok(StatusCode::NO_CONTENT)
}
