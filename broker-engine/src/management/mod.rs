//! The management HTTP API: RabbitMQ's paths, shapes and errors, one file per resource.
//!
//! Owns the translation between HTTP and the broker. Every path under `/api` needs a login with a
//! management tag; what changes something is answered when it is durable.

mod auth;
mod error;
mod health;
mod landing;
mod nodes;
mod overview;
mod permissions;
mod queues;
mod users;
mod vhosts;
mod whoami;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::get;

use self::error::Error;
use crate::broker::{Broker, Position};

/// Bytes of the largest request body.
const BODY_SIZE_MAX: usize = 1 << 20;

/// The client's address; the listener puts it into each request.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// A port that clients can reach.
#[derive(Debug, Clone)]
pub struct ListenerInfo {
    /// `amqp`, `amqp/ssl`, `http` or `https`.
    pub protocol: &'static str,
    pub address: SocketAddr,
}

/// What the API tells about, besides the broker itself.
pub struct Node {
    pub broker: Arc<Broker>,
    pub name: String,
    pub product: &'static str,
    pub version: &'static str,
    pub listeners: Vec<ListenerInfo>,
    /// How many AMQP connections are open now.
    pub connection_count: Box<dyn Fn() -> usize + Send + Sync>,
}

type State = axum::extract::State<Arc<Node>>;

/// All routes, for requests that carry a [`Peer`].
pub fn router(node: Arc<Node>) -> Router {
    let api = Router::new()
        .route("/overview", get(overview::show))
        .route("/whoami", get(whoami::show))
        .route("/nodes", get(nodes::list))
        .route("/nodes/{name}", get(nodes::show))
        .route("/health/checks/alarms", get(health::alarms))
        .route("/health/checks/local-alarms", get(health::local_alarms))
        .route(
            "/health/checks/port-listener/{port}",
            get(health::port_listener),
        )
        .route("/users", get(users::list))
        .route("/users/", get(users::list))
        .route(
            "/users/{name}",
            get(users::show).put(users::put).delete(users::delete),
        )
        .route("/users/{name}/permissions", get(permissions::list_of_user))
        .route("/vhosts", get(vhosts::list))
        .route("/vhosts/{name}", get(vhosts::show).put(vhosts::put))
        .route(
            "/vhosts/{name}/permissions",
            get(permissions::list_of_vhost),
        )
        .route("/permissions", get(permissions::list))
        .route(
            "/permissions/{vhost}/{user}",
            get(permissions::show).put(permissions::put),
        )
        .route("/queues", get(queues::list))
        .route("/queues/{vhost}", get(queues::list_of_vhost))
        .route("/queues/{vhost}/{name}", get(queues::show))
        .fallback(error::not_found)
        .route_layer(middleware::from_fn_with_state(
            Arc::clone(&node),
            auth::login,
        ));
    Router::new()
        .route("/", get(landing::show))
        .nest("/api", api)
        .fallback(error::not_found)
        .layer(DefaultBodyLimit::max(BODY_SIZE_MAX))
        .with_state(node)
}

impl Node {
    /// Waits until a change is durable, without holding up a worker.
    async fn durable(self: Arc<Self>, position: Option<Position>) -> Result<(), Error> {
        let Some(position) = position else {
            return Ok(());
        };
        let waited = tokio::task::spawn_blocking(move || self.broker.wait(position)).await;
        waited
            .map_err(|cause| Error::Internal(cause.to_string()))?
            .map_err(Error::from)
    }
}
