//! Who is at the other end of a connection.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request};
use axum::middleware::Next;
use axum::response::Response;
use axum::serve::IncomingStream;

use super::Listener;

/// What handlers get as `ConnectInfo<Peer>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    pub addr: SocketAddr,
    /// Whether the connection is encrypted.
    pub is_secure: bool,
    /// DER of the client certificate, verified against the authority of the listener's
    /// [`super::Clients`]; none on plain TCP or when the client sent none.
    pub certificate: Option<Arc<[u8]>>,
}

/// DER of the verified client certificate as a request extension, for routers that must not
/// depend on how they are served.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerCertificate(pub Option<Vec<u8>>);

impl Connected<IncomingStream<'_, Listener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Listener>) -> Peer {
        stream.remote_addr().clone()
    }
}

/// Middleware that turns the connection's [`Peer`] into a [`PeerCertificate`] extension.
pub async fn attach_peer_certificate(
    ConnectInfo(peer): ConnectInfo<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let certificate = peer.certificate.map(|der| der.to_vec());
    request
        .extensions_mut()
        .insert(PeerCertificate(certificate));
    next.run(request).await
}
