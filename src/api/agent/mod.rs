//! The host agents' endpoints, on a listener of their own that verifies client certificates.
//!
//! Owns who may ask for what: a host speaks only for itself and the nodes placed on it. The types
//! are those of the `agent-api` crate. Nothing here changes intent; an agent's report is an
//! observation, and wakes the jobs that wait for it.

mod certificate;
mod enrol;
mod error;
mod intent;
mod intent_bell;
mod peer;
mod report;
mod state;
mod strangers;

use std::time::Instant;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use tracing::{Instrument as _, Span};

pub use state::{AgentState, Lifetimes};

/// A report of a full host is far smaller.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The routes, in the order of the `agent-api` crate's table. Requests carry the verified client
/// certificate as an extension, [`crate::listener::PeerCertificate`].
pub fn router(state: AgentState) -> Router {
    Router::new()
        .route("/v1/enrol", post(enrol::enrol))
        .route("/v1/certificate", post(certificate::host))
        .route("/v1/nodes/{node_id}/certificate", post(certificate::node))
        .route("/v1/intent", get(intent::intent))
        .route("/v1/report", post(report::report))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(state.clone(), measure))
        .with_state(state)
}

/// The long poll's time says nothing: it waits on purpose.
const LONG_POLL: &str = "intent";

async fn measure(State(state): State<AgentState>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let operation = operation(request.method(), route.map_or("", MatchedPath::as_str));
    let started = Instant::now();
    let traced = traced(&request, operation);
    let response = next.run(request).instrument(traced.clone()).await;
    let took = (operation != LONG_POLL).then(|| started.elapsed());
    let status = response.status().as_u16();
    traced.record("http.response.status_code", status);
    state.metrics.agent_answered(operation, status, took);
    response
}

/// A call that an agent makes for the sake of one that is traced. Heartbeats and long polls are not.
fn traced(request: &Request, operation: &'static str) -> Span {
    let header = request.headers().get(trace::HEADER);
    let parent = header.and_then(|header| header.to_str().ok()?.parse().ok());
    if parent.is_none() {
        return Span::none();
    }
    let span = tracing::info_span!(
        target: trace::TARGET,
        parent: None,
        "agent_call",
        otel.name = operation,
        otel.kind = "server",
        http.response.status_code = tracing::field::Empty,
    );
    trace::join(&span, parent);
    span
}

fn operation(method: &Method, route: &str) -> &'static str {
    match (method.as_str(), route) {
        ("POST", "/v1/enrol") => "enrol",
        ("POST", "/v1/certificate") => "host_certificate",
        ("POST", "/v1/nodes/{node_id}/certificate") => "node_certificate",
        ("GET", "/v1/intent") => LONG_POLL,
        ("POST", "/v1/report") => "report",
        _ => "unknown",
    }
}
