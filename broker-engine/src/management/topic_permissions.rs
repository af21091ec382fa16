//! `/api/topic-permissions`: which keys of topic exchanges users may use, for administrators.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::StatusCode;

use super::auth::Administrator;
use super::body::Body;
use super::error::Error;
use super::permissions::{check_both, check_user};
use super::{Node, State, written};
use crate::broker::definitions::document::TopicPermission;

type Listed = Result<Json<Vec<TopicPermission>>, Error>;

pub(super) async fn list(_administrator: Administrator, node: State) -> Listed {
    Ok(Json(node.broker.topic_permissions()))
}

pub(super) async fn list_of_user(
    _administrator: Administrator,
    node: State,
    Path(user): Path<String>,
) -> Listed {
    check_user(&node, &user)?;
    Ok(Json(matching(&node, |other| other.user == user)))
}

pub(super) async fn list_of_vhost(
    _administrator: Administrator,
    node: State,
    Path(vhost): Path<String>,
) -> Listed {
    node.broker.vhost(&vhost).ok_or(Error::NotFound)?;
    Ok(Json(matching(&node, |other| other.vhost == vhost)))
}

pub(super) async fn show(
    _administrator: Administrator,
    node: State,
    Path((vhost, user)): Path<(String, String)>,
) -> Listed {
    let found = matching(&node, |other| other.vhost == vhost && other.user == user);
    if found.is_empty() {
        return Err(Error::NotFound);
    }
    Ok(Json(found))
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
    let is_meant = |other: &TopicPermission| other.vhost == vhost && other.user == user;
    let is_new = matching(&node, is_meant).is_empty();
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

fn matching(node: &Node, is_meant: impl Fn(&TopicPermission) -> bool) -> Vec<TopicPermission> {
    let permissions = node.broker.topic_permissions().into_iter();
    permissions.filter(is_meant).collect()
}
