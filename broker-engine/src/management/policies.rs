//! `/api/policies` and `/api/operator-policies`: what operators give to queues and exchanges by name.
//!
//! Policies are for policymakers of the virtual host, operator policies for administrators; whoever enters the virtual
//! host may read both.

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
use super::{Node, State, written};
use crate::broker::definitions::document::Parameter;
use crate::broker::{OPERATOR_POLICY, POLICY};

type Named = Path<(String, String)>;

type Listed = Result<Json<Value>, Error>;

pub(super) async fn list(user: User, node: State, parameters: Parameters) -> Listed {
    let is_visible = |vhost: &str| user.can_enter(&node, vhost);
    all(&node, &parameters, POLICY, is_visible)
}

pub(super) async fn list_of_vhost(
    user: User,
    node: State,
    parameters: Parameters,
    Path(vhost): Path<String>,
) -> Listed {
    user.check_vhost(&node, &vhost)?;
    all(&node, &parameters, POLICY, |other| other == vhost)
}

pub(super) async fn show(user: User, node: State, path: Named) -> Result<Json<Value>, Error> {
    user.check_policymaker(&node, Some(&path.0.0))?;
    find(&node, POLICY, &path)
}

pub(super) async fn put(
    user: User,
    node: State,
    path: Named,
    body: Bytes,
) -> Result<StatusCode, Error> {
    user.check_policymaker(&node, Some(&path.0.0))?;
    set(node, POLICY, path, &body).await
}

pub(super) async fn delete(user: User, node: State, path: Named) -> Result<StatusCode, Error> {
    user.check_policymaker(&node, Some(&path.0.0))?;
    clear(node, POLICY, path).await
}

pub(super) async fn list_operator(user: User, node: State, parameters: Parameters) -> Listed {
    let is_visible = |vhost: &str| user.can_enter(&node, vhost);
    all(&node, &parameters, OPERATOR_POLICY, is_visible)
}

pub(super) async fn list_operator_of_vhost(
    user: User,
    node: State,
    parameters: Parameters,
    Path(vhost): Path<String>,
) -> Listed {
    user.check_vhost(&node, &vhost)?;
    all(&node, &parameters, OPERATOR_POLICY, |other| other == vhost)
}

pub(super) async fn show_operator(
    _administrator: Administrator,
    node: State,
    path: Named,
) -> Result<Json<Value>, Error> {
    find(&node, OPERATOR_POLICY, &path)
}

pub(super) async fn put_operator(
    _administrator: Administrator,
    node: State,
    path: Named,
    body: Bytes,
) -> Result<StatusCode, Error> {
    node.check_changeable(OPERATOR_POLICY)?;
    set(node, OPERATOR_POLICY, path, &body).await
}

pub(super) async fn delete_operator(
    _administrator: Administrator,
    node: State,
    path: Named,
) -> Result<StatusCode, Error> {
    node.check_changeable(OPERATOR_POLICY)?;
    clear(node, OPERATOR_POLICY, path).await
}

async fn set(
    node: State,
    component: &str,
    Path((vhost, name)): Named,
    body: &[u8],
) -> Result<StatusCode, Error> {
    node.check_vhost(&vhost)?;
    let body = Body::parse(body)?;
    let [pattern, definition] = body.needed(["pattern", "definition"])?;
    let or = |member: &str, default: Value| body.get(member).cloned().unwrap_or(default);
    let value = json!({
        "pattern": pattern,
        "definition": definition,
        "priority": or("priority", json!(0)),
        "apply-to": or("apply-to", json!("all")),
    });
    let (is_new, position) = node.broker.put_parameter(&Parameter {
        vhost,
        component: component.to_owned(),
        name,
        value,
    })?;
    Arc::clone(&node).durable(position).await?;
    Ok(written(is_new))
}

async fn clear(
    node: State,
    component: &str,
    Path((vhost, name)): Named,
) -> Result<StatusCode, Error> {
    let position = node.broker.delete_parameter(&vhost, component, &name)?;
    let position = position.ok_or(Error::NotFound)?;
    Arc::clone(&node).durable(Some(position)).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn find(node: &Node, component: &str, Path((vhost, name)): &Named) -> Result<Json<Value>, Error> {
    let found = node.broker.vhost(vhost).ok_or(Error::NotFound)?;
    let value = found.parameter(component, name).ok_or(Error::NotFound)?;
    Ok(Json(describe(vhost, name, value)))
}

/// The lowest priority first.
fn all(
    node: &Node,
    parameters: &Parameters,
    component: &str,
    is_meant: impl Fn(&str) -> bool,
) -> Listed {
    let vhosts = node.broker.vhosts();
    let vhosts = vhosts.iter().filter(|vhost| is_meant(vhost.name()));
    let found = vhosts.flat_map(|vhost| vhost.parameters());
    let mut policies: Vec<Value> = found
        .filter(|parameter| parameter.component == component)
        .map(|parameter| describe(&parameter.vhost, &parameter.name, parameter.value))
        .collect();
    let priority = |policy: &Value| policy["priority"].as_f64().unwrap_or(0.0);
    policies.sort_by(|a, b| priority(a).total_cmp(&priority(b)));
    Ok(Json(parameters.list(policies)?))
}

fn describe(vhost: &str, name: &str, mut value: Value) -> Value {
    value["vhost"] = json!(vhost);
    value["name"] = json!(name);
    value
}
