//! Who asks: HTTP Basic logins of the broker's users, and the tags that open each part.

use std::sync::Arc;

use axum::extract::{Extension, FromRequestParts, Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::error::Error;
use super::{Node, Peer};
use crate::broker::Identity;

/// Tags of which one is needed to use the API at all.
const MANAGEMENT_TAGS: [&str; 4] = ["management", "policymaker", "monitoring", "administrator"];

/// The well-known login, which RabbitMQ keeps from other machines whatever its password is.
const LOOPBACK_ONLY_USER: &str = "guest";

/// A user who may use the API.
#[derive(Debug, Clone)]
pub(super) struct User(pub(super) Identity);

impl User {
    /// Whether it sees what belongs to others.
    pub(super) fn is_monitor(&self) -> bool {
        self.0.has_tag("monitoring")
    }

    pub(super) fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether it is the user by which the node is watched, to whom nothing can be granted.
    pub(super) fn is_monitoring(&self) -> bool {
        self.0.is_monitoring
    }

    /// Whether it sees what is in a virtual host.
    pub(super) fn can_see(&self, node: &Node, vhost: &str) -> bool {
        self.is_monitor() || self.has_permission(node, vhost)
    }

    /// Whether it may look into a virtual host although it does not watch the node.
    pub(super) fn can_enter(&self, node: &Node, vhost: &str) -> bool {
        self.0.has_tag("administrator") || self.has_permission(node, vhost)
    }

    fn has_permission(&self, node: &Node, vhost: &str) -> bool {
        let is_own = |permission: &crate::broker::definitions::document::Permission| {
            *permission.user == *self.0.name && permission.vhost == vhost
        };
        node.broker.permissions().iter().any(is_own)
    }

    /// Refuses to show what is in a virtual host that is not there, or not open to it.
    pub(super) fn check_vhost(&self, node: &Node, vhost: &str) -> Result<(), Error> {
        let is_open = node.broker.vhost(vhost).is_some() && self.can_enter(node, vhost);
        is_open.then_some(()).ok_or(Error::NotFound)
    }

    /// Refuses whoever may not make policies, in the virtual host or at all.
    pub(super) fn check_policymaker(&self, node: &Node, vhost: Option<&str>) -> Result<(), Error> {
        if !self.0.has_tag("policymaker") {
            return Err(Error::NotAuthorised("User not authorised to access object"));
        }
        match vhost {
            Some(vhost) if node.broker.vhost(vhost).is_some() => self.check_vhost(node, vhost),
            Some(_) | None => Ok(()),
        }
    }
}

/// A user with the tag `administrator`.
pub(super) struct Administrator;

/// A user with the tag `monitoring` or `administrator`.
pub(super) struct Monitor;

/// Lets only management users pass, and tells handlers who it is.
pub(super) async fn login(
    State(node): State<Arc<Node>>,
    Extension(Peer(peer)): Extension<Peer>,
    mut request: Request,
    next: Next,
) -> Result<Response, Error> {
    let (name, password) =
        credentials(request.headers()).ok_or(Error::NotAuthorised("Login failed"))?;
    let is_loopback = peer.ip().is_loopback();
    let identity = Some(name)
        .filter(|name| is_loopback || name != LOOPBACK_ONLY_USER)
        .and_then(|name| {
            node.broker
                .authenticate(&name, password.as_bytes(), is_loopback)
        })
        .ok_or_else(|| {
            tracing::info!(%peer, "management login refused");
            Error::NotAuthorised("Login failed")
        })?;
    if !MANAGEMENT_TAGS.iter().any(|tag| identity.has_tag(tag)) {
        return Err(Error::NotAuthorised("Not management user"));
    }
    request.extensions_mut().insert(User(identity));
    Ok(next.run(request).await)
}

fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (name, password) = decoded.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

impl<S: Send + Sync> FromRequestParts<S> for User {
    type Rejection = Error;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        _state: &S,
    ) -> Result<Self, Error> {
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or(Error::NotAuthorised("Login failed"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Administrator {
    type Rejection = Error;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        state: &S,
    ) -> Result<Self, Error> {
        let User(identity) = User::from_request_parts(parts, state).await?;
        let refusal = Error::NotAuthorised("Not administrator user");
        if identity.has_tag("administrator") {
            Ok(Self)
        } else {
            Err(refusal)
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Monitor {
    type Rejection = Error;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        state: &S,
    ) -> Result<Self, Error> {
        let user = User::from_request_parts(parts, state).await?;
        if user.is_monitor() {
            Ok(Self)
        } else {
            Err(Error::NotAuthorised("Not monitor user"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn read(value: &'static str) -> Option<(String, String)> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static(value));
        credentials(&headers)
    }

    #[test]
    fn a_password_may_contain_colons() {
        assert_eq!(
            read("Basic YTpiOmM="),
            Some(("a".to_owned(), "b:c".to_owned()))
        );
        assert_eq!(
            read("basic YTpiOmM="),
            Some(("a".to_owned(), "b:c".to_owned()))
        );
    }

    #[test]
    fn anything_else_is_no_login() {
        assert_eq!(read("Bearer YTpiOmM="), None);
        assert_eq!(read("Basic !"), None);
        assert_eq!(read("Basic YQ=="), None);
    }
}
