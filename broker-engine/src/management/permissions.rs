//! `/api/permissions`: who may do what where, for administrators. `grants` lists them.

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
use super::listing::{self, Parameters};
use super::{State, written};
use crate::broker::definitions::document::Permission;

pub(super) async fn show(
    _administrator: Administrator,
    node: State,
    parameters: Parameters,
    Path((vhost, user)): Path<(String, String)>,
) -> Result<Json<Value>, Error> {
    let found = Permission::find(&node, &vhost, &user).pop();
    let found = listing::to_json(found.ok_or(Error::NotFound)?)?;
    Ok(Json(parameters.one(found)))
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
    let is_new = Permission::find(&node, &vhost, &user).is_empty();
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
