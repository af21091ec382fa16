//! The management HTTP API: RabbitMQ's paths, shapes and errors, one file per resource.
//!
//! Owns the translation between HTTP and the broker. Every path under `/api` needs a login with a
//! management tag; what changes something is answered when it is durable.

mod auth;
mod bindings;
mod body;
mod channels;
mod clients;
mod connections;
mod consumers;
mod definitions;
mod error;
mod exchanges;
mod grants;
mod headers;
mod health;
mod landing;
mod limits;
mod listing;
mod messages;
mod nodes;
mod operator;
mod overview;
mod parameters;
mod permissions;
mod policies;
mod queues;
mod rates;
mod topic_permissions;
mod upload;
mod users;
mod vhosts;
mod whoami;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::{delete, get, post, put};

use self::error::Error;
use crate::broker::definitions::document::{Permission, TopicPermission};
use crate::broker::{Broker, Clients, OPERATOR_POLICY, Position, ReadHeaders};

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
    /// Who is connected.
    pub clients: Arc<dyn Clients>,
    /// Reads the headers of messages, for headers exchanges.
    pub read_headers: ReadHeaders,
    /// Nobody changes operator policies.
    pub operator_policies_fixed: bool,
    /// Answers carry the headers that keep browsers from harm.
    pub security_headers: bool,
}

type State = axum::extract::State<Arc<Node>>;

/// All routes, for requests that carry a [`Peer`].
pub fn router(node: Arc<Node>) -> Router {
    let api = Router::new()
        .route("/overview", get(overview::show))
        .route("/cluster-name", get(overview::cluster_name))
        .route("/whoami", get(whoami::show))
        .route("/aliveness-test/{vhost}", get(health::aliveness))
        .route("/healthchecks/node", get(health::node))
        .route("/healthchecks/node/", get(health::node))
        .route("/healthchecks/node/{name}", get(health::named_node))
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
            "/users/without-permissions",
            get(users::list_without_permissions),
        )
        .route("/users/bulk-delete", post(users::delete_many))
        .route(
            "/users/{name}",
            get(users::show).put(users::put).delete(users::delete),
        )
        .route(
            "/users/{name}/permissions",
            get(grants::list_of_user::<Permission>),
        )
        .route("/vhosts", get(vhosts::list))
        .route(
            "/users/{name}/topic-permissions",
            get(grants::list_of_user::<TopicPermission>),
        )
        .route(
            "/vhosts/{name}",
            get(vhosts::show).put(vhosts::put).delete(vhosts::delete),
        )
        .route(
            "/vhosts/{name}/topic-permissions",
            get(grants::list_of_vhost::<TopicPermission>),
        )
        .route(
            "/vhosts/{name}/permissions",
            get(grants::list_of_vhost::<Permission>),
        )
        .route("/permissions", get(grants::list::<Permission>))
        .route(
            "/permissions/{vhost}/{user}",
            get(permissions::show)
                .put(permissions::put)
                .delete(permissions::delete),
        )
        .merge(governance())
        .merge(topology())
        .merge(connected())
        .fallback(error::not_found)
        .route_layer(middleware::from_fn_with_state(
            Arc::clone(&node),
            auth::login,
        ));
    let security_headers = node.security_headers;
    let router = Router::new()
        .route("/", get(landing::show))
        .nest("/api", api)
        .fallback(error::not_found)
        .layer(DefaultBodyLimit::max(BODY_SIZE_MAX))
        .with_state(node);
    if security_headers {
        router.layer(middleware::map_response(headers::secure))
    } else {
        router
    }
}

/// Exchanges, queues, bindings and the messages in them.
fn topology() -> Router<Arc<Node>> {
    Router::new()
        .route("/exchanges", get(exchanges::list))
        .route("/exchanges/{vhost}", get(exchanges::list_of_vhost))
        .route(
            "/exchanges/{vhost}/{name}",
            get(exchanges::show)
                .put(exchanges::put)
                .delete(exchanges::delete),
        )
        .route("/exchanges/{vhost}/{name}/publish", post(messages::publish))
        .route(
            "/exchanges/{vhost}/{name}/bindings/{side}",
            get(bindings::list_of_exchange),
        )
        .route("/queues", get(queues::list))
        .route("/queues/{vhost}", get(queues::list_of_vhost))
        .route(
            "/queues/{vhost}/{name}",
            get(queues::show).put(queues::put).delete(queues::delete),
        )
        .route(
            "/queues/{vhost}/{name}/bindings",
            get(bindings::list_of_queue),
        )
        .route("/queues/{vhost}/{name}/contents", delete(queues::purge))
        .route("/queues/{vhost}/{name}/get", post(messages::get))
        .route("/bindings", get(bindings::list))
        .route("/bindings/{vhost}", get(bindings::list_of_vhost))
        .route(
            "/bindings/{vhost}/e/{source}/{kind}/{destination}",
            get(bindings::list_between).post(bindings::post),
        )
        .route(
            "/bindings/{vhost}/e/{source}/{kind}/{destination}/{properties}",
            get(bindings::show).delete(bindings::delete),
        )
}

/// Who is connected.
fn connected() -> Router<Arc<Node>> {
    Router::new()
        .route("/connections", get(connections::list))
        .route(
            "/connections/username/{user}",
            get(connections::list_of_user),
        )
        .route(
            "/connections/{name}",
            get(connections::show).delete(connections::close),
        )
        .route(
            "/connections/{name}/channels",
            get(channels::list_of_connection),
        )
        .route(
            "/vhosts/{name}/connections",
            get(connections::list_of_vhost),
        )
        .route("/vhosts/{name}/channels", get(channels::list_of_vhost))
        .route("/channels", get(channels::list))
        .route("/channels/{name}", get(channels::show))
        .route("/consumers", get(consumers::list))
        .route("/consumers/{vhost}", get(consumers::list_of_vhost))
}

/// What bounds others: policies, parameters, limits, topics.
fn governance() -> Router<Arc<Node>> {
    Router::new()
        .merge(
            Router::new()
                .route(
                    "/definitions",
                    get(definitions::export).post(definitions::import),
                )
                .route(
                    "/definitions/{vhost}",
                    get(definitions::export_vhost).post(definitions::import_vhost),
                )
                .layer(DefaultBodyLimit::max(definitions::DOCUMENT_SIZE_MAX)),
        )
        .route("/topic-permissions", get(grants::list::<TopicPermission>))
        .route(
            "/topic-permissions/{vhost}/{user}",
            get(topic_permissions::show)
                .put(topic_permissions::put)
                .delete(topic_permissions::delete),
        )
        .route(
            "/topic-permissions/{vhost}/{user}/{exchange}",
            delete(topic_permissions::delete_of_exchange),
        )
        .route("/policies", get(policies::list))
        .route("/policies/{vhost}", get(policies::list_of_vhost))
        .route(
            "/policies/{vhost}/{name}",
            get(policies::show)
                .put(policies::put)
                .delete(policies::delete),
        )
        .route("/operator-policies", get(policies::list_operator))
        .route(
            "/operator-policies/{vhost}",
            get(policies::list_operator_of_vhost),
        )
        .route(
            "/operator-policies/{vhost}/{name}",
            get(policies::show_operator)
                .put(policies::put_operator)
                .delete(policies::delete_operator),
        )
        .route("/parameters", get(parameters::list))
        .route(
            "/parameters/{component}",
            get(parameters::list_of_component),
        )
        .route(
            "/parameters/{component}/{vhost}",
            get(parameters::list_of_vhost),
        )
        .route(
            "/parameters/{component}/{vhost}/{name}",
            get(parameters::show)
                .put(parameters::put)
                .delete(parameters::delete),
        )
        .route("/global-parameters", get(parameters::list_global))
        .route(
            "/global-parameters/{name}",
            get(parameters::show_global)
                .put(parameters::put_global)
                .delete(parameters::delete_global),
        )
        .route("/vhost-limits", get(limits::list_of_vhosts))
        .route("/vhost-limits/{vhost}", get(limits::list_of_vhost))
        .route(
            "/vhost-limits/{vhost}/{name}",
            put(limits::put_of_vhost).delete(limits::delete_of_vhost),
        )
        .route("/user-limits", get(limits::list_of_users))
        .route("/user-limits/{user}", get(limits::list_of_user))
        .route(
            "/user-limits/{user}/{name}",
            put(limits::put_of_user).delete(limits::delete_of_user),
        )
}

/// The status of a PUT that was done.
fn written(is_new: bool) -> StatusCode {
    if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::NO_CONTENT
    }
}

impl Node {
    /// Refuses to change anything in a virtual host that is not there.
    fn check_vhost(&self, name: &str) -> Result<(), Error> {
        let found = self.broker.vhost(name);
        found.map(|_| ()).ok_or(Error::Missing("vhost_not_found"))
    }

    /// Refuses to change parameters of a component that the node's settings keep as they are.
    fn check_changeable(&self, component: &str) -> Result<(), Error> {
        if self.operator_policies_fixed && component == OPERATOR_POLICY {
            return Err(Error::NotAllowed("operator policy changes are disabled"));
        }
        Ok(())
    }

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
