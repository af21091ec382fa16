//! `/api/parameters` and `/api/global-parameters`: runtime parameters, for policymakers.
//!
//! Policies are parameters as well, and have paths of their own.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::auth::User;
use super::body::Body;
use super::error::Error;
use super::listing::Parameters;
use super::{Node, State, written};
use crate::broker::POLICY;
use crate::broker::definitions::document::Parameter;

/// Component, virtual host, name.
type Named = Path<(String, String, String)>;

type Listed = Result<Json<Value>, Error>;

pub(super) async fn list(user: User, node: State, parameters: Parameters) -> Listed {
    user.check_policymaker(&node, None)?;
    all(&node, &parameters, |vhost, component| {
        component != POLICY && user.can_enter(&node, vhost)
    })
}

pub(super) async fn list_of_component(
    user: User,
    node: State,
    parameters: Parameters,
    Path(component): Path<String>,
) -> Listed {
    user.check_policymaker(&node, None)?;
    all(&node, &parameters, |vhost, other| {
        other == component && user.can_enter(&node, vhost)
    })
}

pub(super) async fn list_of_vhost(
    user: User,
    node: State,
    parameters: Parameters,
    Path((component, vhost)): Path<(String, String)>,
) -> Listed {
    user.check_policymaker(&node, Some(&vhost))?;
    node.broker.vhost(&vhost).ok_or(Error::NotFound)?;
    all(&node, &parameters, |other, kind| {
        kind == component && other == vhost
    })
}

pub(super) async fn show(
    user: User,
    node: State,
    Path((component, vhost, name)): Named,
) -> Result<Json<Parameter>, Error> {
    user.check_policymaker(&node, Some(&vhost))?;
    let found = node.broker.vhost(&vhost).ok_or(Error::NotFound)?;
    let value = found.parameter(&component, &name).ok_or(Error::NotFound)?;
    Ok(Json(Parameter {
        vhost,
        component,
        name,
        value,
    }))
}

pub(super) async fn put(
    user: User,
    node: State,
    Path((component, vhost, name)): Named,
    body: Bytes,
) -> Result<StatusCode, Error> {
    user.check_policymaker(&node, Some(&vhost))?;
    node.check_vhost(&vhost)?;
    node.check_changeable(&component)?;
    let body = Body::parse(&body)?;
    let [value] = body.needed(["value"])?;
    if component == POLICY {
        let text = "policies may not be set using this method";
        return Err(Error::BadRequest(text.to_owned()));
    }
    let (is_new, position) = node.broker.put_parameter(&Parameter {
        vhost,
        component,
        name,
        value: value.clone(),
    })?;
    Arc::clone(&node).durable(position).await?;
    Ok(written(is_new))
}

pub(super) async fn delete(
    user: User,
    node: State,
    Path((component, vhost, name)): Named,
) -> Result<StatusCode, Error> {
    user.check_policymaker(&node, Some(&vhost))?;
    node.check_changeable(&component)?;
    if component == POLICY {
        let text = "policies may not be cleared using this method";
        return Err(Error::BadRequest(text.to_owned()));
    }
    let position = node.broker.delete_parameter(&vhost, &component, &name)?;
    let position = position.ok_or(Error::NotFound)?;
    Arc::clone(&node).durable(Some(position)).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn list_global(user: User, node: State, parameters: Parameters) -> Listed {
    user.check_policymaker(&node, None)?;
    let globals = node.broker.global_parameters().into_iter();
    let described = globals.map(|(name, value)| json!({"name": name, "value": value}));
    Ok(Json(parameters.list(described.collect())?))
}

pub(super) async fn show_global(
    user: User,
    node: State,
    Path(name): Path<String>,
) -> Result<Json<Value>, Error> {
    user.check_policymaker(&node, None)?;
    let mut globals = node.broker.global_parameters();
    let value = globals.remove(&name).ok_or(Error::NotFound)?;
    Ok(Json(json!({"name": name, "value": value})))
}

pub(super) async fn put_global(
    user: User,
    node: State,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<StatusCode, Error> {
    user.check_policymaker(&node, None)?;
    let body = Body::parse(&body)?;
    let [value] = body.needed(["value"])?;
    let (is_new, position) = node.broker.put_global_parameter(&name, value)?;
    Arc::clone(&node).durable(Some(position)).await?;
    Ok(written(is_new))
}

pub(super) async fn delete_global(
    user: User,
    node: State,
    Path(name): Path<String>,
) -> Result<StatusCode, Error> {
    user.check_policymaker(&node, None)?;
    let position = node.broker.delete_global_parameter(&name)?;
    let position = position.ok_or(Error::NotFound)?;
    Arc::clone(&node).durable(Some(position)).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn all(node: &Node, parameters: &Parameters, is_meant: impl Fn(&str, &str) -> bool) -> Listed {
    let vhosts = node.broker.vhosts();
    let found = vhosts.iter().flat_map(|vhost| vhost.parameters());
    let meant = found.filter(|parameter| is_meant(&parameter.vhost, &parameter.component));
    Ok(Json(parameters.list_of(meant)?))
}
