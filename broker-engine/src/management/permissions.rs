//! `/api/permissions`: who may do what where, for administrators.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::StatusCode;

use super::auth::Administrator;
use super::body::Body;
use super::error::Error;
use super::{Node, State, written};
use crate::broker::definitions::document::Permission;

pub(super) async fn list(_administrator: Administrator, node: State) -> Json<Vec<Permission>> {
    Json(node.broker.permissions())
}

pub(super) async fn list_of_user(
    _administrator: Administrator,
    node: State,
    Path(user): Path<String>,
) -> Result<Json<Vec<Permission>>, Error> {
    check_user(&node, &user)?;
    Ok(Json(matching(&node, |permission| permission.user == user)))
}

pub(super) async fn list_of_vhost(
    _administrator: Administrator,
    node: State,
    Path(vhost): Path<String>,
) -> Result<Json<Vec<Permission>>, Error> {
    node.broker.vhost(&vhost).ok_or(Error::NotFound)?;
    Ok(Json(matching(&node, |permission| {
        permission.vhost == vhost
    })))
}

pub(super) async fn show(
    _administrator: Administrator,
    node: State,
    Path((vhost, user)): Path<(String, String)>,
) -> Result<Json<Permission>, Error> {
    let is_meant = |other: &Permission| other.vhost == vhost && other.user == user;
    matching(&node, is_meant)
        .pop()
        .map(Json)
        .ok_or(Error::NotFound)
}

pub(super) async fn put(
    _administrator: Administrator,
    node: State,
    Path((vhost, user)): Path<(String, String)>,
    body: Bytes,
) -> Result<StatusCode, Error> {
    check_both(&node, &vhost, &user)?;
    let body = Body::parse(&body)?;
    let [configure, write, read] = body.texts(["configure", "write", "read"])?;
    let is_meant = |other: &Permission| other.vhost == vhost && other.user == user;
    let is_new = matching(&node, is_meant).is_empty();
    let permission = Permission {
        user,
        vhost,
        configure,
        write,
        read,
    };
    let position = node.broker.put_permission(&permission)?;
    Arc::clone(&node).durable(Some(position)).await?;
    Ok(written(is_new))
}

pub(super) async fn delete(
    _administrator: Administrator,
    node: State,
    Path((vhost, user)): Path<(String, String)>,
) -> Result<StatusCode, Error> {
    let position = node.broker.delete_permission(&user, &vhost)?;
    let position = position.ok_or(Error::NotFound)?;
    Arc::clone(&node).durable(Some(position)).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) fn check_user(node: &Node, user: &str) -> Result<(), Error> {
    let users = node.broker.users();
    let mut names = users.iter().map(|user| &user.name);
    names
        .any(|name| name == user)
        .then_some(())
        .ok_or(Error::NotFound)
}

/// Nothing can be granted to nobody, or nowhere.
pub(super) fn check_both(node: &Node, vhost: &str, user: &str) -> Result<(), Error> {
    let is_there = node.broker.vhost(vhost).is_some() && check_user(node, user).is_ok();
    let refusal = || Error::BadRequest("vhost_or_user_not_found".to_owned());
    is_there.then_some(()).ok_or_else(refusal)
}

fn matching(node: &State, is_meant: impl Fn(&Permission) -> bool) -> Vec<Permission> {
    node.broker
        .permissions()
        .into_iter()
        .filter(is_meant)
        .collect()
}
