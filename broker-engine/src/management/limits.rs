//! `/api/vhost-limits` and `/api/user-limits`: how much there may be in a virtual host, and of a user.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::auth::{Administrator, User};
use super::body::Body;
use super::error::Error;
use super::listing::Parameters;
use super::{Node, State, operator};
use crate::broker::{LIMITS, VHOST_LIMITS, Vhost};

type Listed = Result<Json<Value>, Error>;

pub(super) async fn list_of_vhosts(user: User, node: State, parameters: Parameters) -> Listed {
    let vhosts = operator::all(&user, &node);
    let limits = vhosts.iter().filter_map(|vhost| of_vhost(vhost));
    Ok(Json(parameters.list(limits.collect())?))
}

pub(super) async fn list_of_vhost(
    user: User,
    node: State,
    parameters: Parameters,
    Path(vhost): Path<String>,
) -> Listed {
    let found = node.broker.vhost(&vhost).ok_or(Error::NotFound)?;
    if !user.can_see(&node, &vhost) {
        return Err(Error::NotFound);
    }
    Ok(Json(
        parameters.list(of_vhost(&found).into_iter().collect())?,
    ))
}

pub(super) async fn put_of_vhost(
    _administrator: Administrator,
    node: State,
    Path((vhost, limit)): Path<(String, String)>,
    body: Bytes,
) -> Result<StatusCode, Error> {
    node.check_vhost(&vhost)?;
    let body = Body::parse(&body)?;
    let [value] = body.needed(["value"])?;
    let position = node.broker.limit_vhost(&vhost, &limit, Some(value))?;
    Arc::clone(&node).durable(position).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn delete_of_vhost(
    _administrator: Administrator,
    node: State,
    Path((vhost, limit)): Path<(String, String)>,
) -> Result<StatusCode, Error> {
    node.check_vhost(&vhost)?;
    let position = node.broker.limit_vhost(&vhost, &limit, None)?;
    Arc::clone(&node).durable(position).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn list_of_users(
    _administrator: Administrator,
    node: State,
    parameters: Parameters,
) -> Listed {
    Ok(Json(parameters.list(of_users(&node, |_| true))?))
}

pub(super) async fn list_of_user(
    caller: User,
    node: State,
    parameters: Parameters,
    Path(user): Path<String>,
) -> Listed {
    if !caller.is_monitor() && caller.name() != user {
        return Err(Error::NotAuthorised("User not authorised to access object"));
    }
    super::grants::check_user(&node, &user)?;
    Ok(Json(
        parameters.list(of_users(&node, |other| other == user))?,
    ))
}

pub(super) async fn put_of_user(
    _administrator: Administrator,
    node: State,
    Path((user, limit)): Path<(String, String)>,
    body: Bytes,
) -> Result<StatusCode, Error> {
    let body = Body::parse(&body)?;
    let [value] = body.needed(["value"])?;
    change_of_user(node, &user, &limit, Some(value)).await
}

pub(super) async fn delete_of_user(
    _administrator: Administrator,
    node: State,
    Path((user, limit)): Path<(String, String)>,
) -> Result<StatusCode, Error> {
    change_of_user(node, &user, &limit, None).await
}

async fn change_of_user(
    node: State,
    user: &str,
    limit: &str,
    value: Option<&Value>,
) -> Result<StatusCode, Error> {
    let position = node.broker.limit_user(user, limit, value)?;
    let position = position.ok_or(Error::Missing("user_not_found"))?;
    Arc::clone(&node).durable(Some(position)).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn of_vhost(vhost: &Vhost) -> Option<Value> {
    let limits = vhost.parameter(VHOST_LIMITS, LIMITS)?;
    let is_any = limits.as_object().is_some_and(|limits| !limits.is_empty());
    is_any.then(|| json!({"vhost": **vhost.name(), "value": limits}))
}

fn of_users(node: &Node, is_meant: impl Fn(&str) -> bool) -> Vec<Value> {
    let users = node.broker.users().into_iter();
    users
        .filter(|user| is_meant(&user.name) && !user.limits.is_empty())
        .map(|user| json!({"user": user.name, "value": user.limits}))
        .collect()
}
