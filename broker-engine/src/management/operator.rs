//! What a user of the API does in a virtual host: with its own permissions, as over AMQP.

use std::sync::Arc;

use axum::Json;
use serde_json::Value;

use super::Node;
use super::auth::User;
use super::error::Error;
use super::listing::Parameters;
use super::rates::Windows;
use crate::broker::{self, Session, Vhost};

/// Opens a session for the user.
pub(super) fn enter(user: &User, node: &Node, vhost: &str) -> Result<Session, Error> {
    if node.broker.vhost(vhost).is_none() {
        return Err(Error::NotFound);
    }
    node.broker
        .session(&user.0, vhost)
        .map_err(|error| Error::Refused(error.to_string()))
}

/// A virtual host that the user may look into.
pub(super) fn look(user: &User, node: &Node, vhost: &str) -> Result<Arc<Vhost>, Error> {
    let found = node.broker.vhost(vhost).ok_or(Error::NotFound)?;
    if user.can_see(node, vhost) {
        Ok(found)
    } else {
        Err(Error::NotAuthorised(
            "User not authorised to access virtual host",
        ))
    }
}

/// The virtual hosts that the user may look into.
pub(super) fn all(user: &User, node: &Node) -> Vec<Arc<Vhost>> {
    let mut vhosts = node.broker.vhosts();
    vhosts.retain(|vhost| user.can_see(node, vhost.name()));
    vhosts
}

/// A list of what there is in every virtual host that the user may look into; `all` describes what one of them has.
pub(super) fn list(
    (user, node): (&User, &Node),
    parameters: &Parameters,
    all: impl Fn(&Vhost, &Windows) -> Vec<Value>,
) -> Result<Json<Value>, Error> {
    let windows = Windows::of(parameters)?;
    let described = self::all(user, node).into_iter();
    let described = described.flat_map(|vhost| all(&vhost, &windows));
    Ok(Json(parameters.list(described.collect())?))
}

/// The same of one virtual host.
pub(super) fn list_of_vhost(
    (user, node): (&User, &Node),
    parameters: &Parameters,
    vhost: &str,
    all: impl Fn(&Vhost, &Windows) -> Vec<Value>,
) -> Result<Json<Value>, Error> {
    let vhost = look(user, node, vhost)?;
    let windows = Windows::of(parameters)?;
    Ok(Json(parameters.list(all(&vhost, &windows))?))
}

/// A refusal in the words in which a client of AMQP would have it.
pub(super) fn refused(error: broker::Error) -> Error {
    match error {
        broker::Error::NotFound(text) => Error::NoSuch(format!("NOT_FOUND - {text}")),
        broker::Error::AccessRefused(text) => Error::Refused(format!("ACCESS_REFUSED - {text}")),
        broker::Error::PreconditionFailed(text) => bad(406, "PRECONDITION_FAILED", &text),
        broker::Error::ResourceLocked(text) => bad(405, "RESOURCE_LOCKED", &text),
        broker::Error::NotAllowed(text) => bad(530, "NOT_ALLOWED", &text),
        broker::Error::CommandInvalid(text) => bad(503, "COMMAND_INVALID", &text),
        broker::Error::NotImplemented(text) => bad(540, "NOT_IMPLEMENTED", &text),
        broker::Error::Store(cause) => Error::Internal(cause.to_string()),
    }
}

fn bad(code: u16, name: &str, text: &str) -> Error {
    Error::BadRequest(format!("{code} {name} - {text}"))
}
