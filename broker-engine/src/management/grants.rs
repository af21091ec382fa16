//! Lists of what is granted to users in virtual hosts, for administrators: permissions and topic permissions alike.

use axum::Json;
use axum::extract::Path;
use serde::Serialize;
use serde_json::Value;

use super::auth::Administrator;
use super::error::Error;
use super::listing::Parameters;
use super::{Node, State};
use crate::broker::definitions::document::{Permission, TopicPermission};

/// What one user may do in one virtual host.
pub(super) trait Grant: Serialize + Sized {
    /// Every one of the node.
    fn all(node: &Node) -> Vec<Self>;
    fn user(&self) -> &str;
    fn vhost(&self) -> &str;

    /// Those of one user in one virtual host.
    fn find(node: &Node, vhost: &str, user: &str) -> Vec<Self> {
        let mut found = Self::all(node);
        found.retain(|grant| grant.vhost() == vhost && grant.user() == user);
        found
    }
}

impl Grant for Permission {
    fn all(node: &Node) -> Vec<Self> {
        node.broker.permissions()
    }

    fn user(&self) -> &str {
        &self.user
    }

    fn vhost(&self) -> &str {
        &self.vhost
    }
}

impl Grant for TopicPermission {
    fn all(node: &Node) -> Vec<Self> {
        node.broker.topic_permissions()
    }

    fn user(&self) -> &str {
        &self.user
    }

    fn vhost(&self) -> &str {
        &self.vhost
    }
}

pub(super) async fn list<G: Grant>(
    _administrator: Administrator,
    node: State,
    parameters: Parameters,
) -> Result<Json<Value>, Error> {
    Ok(Json(parameters.list_of(G::all(&node))?))
}

pub(super) async fn list_of_user<G: Grant>(
    _administrator: Administrator,
    node: State,
    parameters: Parameters,
    Path(user): Path<String>,
) -> Result<Json<Value>, Error> {
    check_user(&node, &user)?;
    let of_user = G::all(&node)
        .into_iter()
        .filter(|grant| grant.user() == user);
    Ok(Json(parameters.list_of(of_user)?))
}

pub(super) async fn list_of_vhost<G: Grant>(
    _administrator: Administrator,
    node: State,
    parameters: Parameters,
    Path(vhost): Path<String>,
) -> Result<Json<Value>, Error> {
    node.broker.vhost(&vhost).ok_or(Error::NotFound)?;
    let of_vhost = G::all(&node)
        .into_iter()
        .filter(|grant| grant.vhost() == vhost);
    Ok(Json(parameters.list_of(of_vhost)?))
}

/// Refuses to tell about a user who is not there.
pub(super) fn check_user(node: &Node, user: &str) -> Result<(), Error> {
    let users = node.broker.users();
    let is_there = users.iter().any(|other| other.name == user);
    is_there.then_some(()).ok_or(Error::NotFound)
}

/// Nothing can be granted to nobody, or nowhere.
pub(super) fn check_both(node: &Node, vhost: &str, user: &str) -> Result<(), Error> {
    let is_there = node.broker.vhost(vhost).is_some() && check_user(node, user).is_ok();
    let refusal = || Error::BadRequest("vhost_or_user_not_found".to_owned());
    is_there.then_some(()).ok_or_else(refusal)
}
