//! Plain HTTP on the network is for named proxies alone.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::listener::Peer;

/// Turns away whoever is neither a named proxy nor on this machine.
pub(super) async fn only_from(
    State(proxies): State<Arc<[IpAddr]>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let address = peer.addr.ip().to_canonical();
    if address.is_loopback() || proxies.contains(&address) {
        return next.run(request).await;
    }
    tracing::warn!(%address, "refused plain HTTP from a peer that is no trusted proxy");
    StatusCode::FORBIDDEN.into_response()
}
