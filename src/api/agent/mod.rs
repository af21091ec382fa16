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

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

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
        .with_state(state)
}
