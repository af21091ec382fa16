//! `/api/permissions`: who may do what where, for administrators.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::StatusCode;
use serde::Deserialize;

use super::State;
use super::auth::Administrator;
use super::error::{Error, parse};
use crate::broker::definitions::document::Permission;

#[derive(Deserialize)]
pub(super) struct Put {
    configure: String,
    write: String,
    read: String,
}

pub(super) async fn list(_administrator: Administrator, node: State) -> Json<Vec<Permission>> {
    Json(node.broker.permissions())
}

pub(super) async fn list_of_user(
    _administrator: Administrator,
    node: State,
    Path(user): Path<String>,
) -> Result<Json<Vec<Permission>>, Error> {
    if !node.broker.users().iter().any(|other| other.name == user) {
        return Err(Error::NotFound);
    }
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
    let Put {
        configure,
        write,
        read,
    } = parse(&body)?;
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
    Ok(if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::NO_CONTENT
    })
}

fn matching(node: &State, is_meant: impl Fn(&Permission) -> bool) -> Vec<Permission> {
    node.broker
        .permissions()
        .into_iter()
        .filter(is_meant)
        .collect()
}
