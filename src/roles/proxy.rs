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

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn only_this_machine_and_named_proxies_are_served() {
        let proxies: Arc<[IpAddr]> = Arc::from(["10.0.0.9".parse().unwrap()]);
        let router = Router::new()
            .route("/", get(|| async {}))
            .layer(from_fn_with_state(proxies, only_from));
        for (peer, expected) in [
            ("10.0.0.9:1", StatusCode::OK),
            ("[::ffff:10.0.0.9]:1", StatusCode::OK),
            ("127.0.0.1:1", StatusCode::OK),
            ("10.0.0.8:1", StatusCode::FORBIDDEN),
        ] {
            let mut request = Request::new(Body::empty());
            let peer = Peer {
                is_secure: false,
                addr: peer.parse().unwrap(),
                certificate: None,
            };
            request.extensions_mut().insert(ConnectInfo(peer.clone()));
            let answer = router.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.status(), expected, "{}", peer.addr);
        }
    }
}
