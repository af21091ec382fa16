//! The accept loop of one listener: one task a connection, TLS handshakes in the connection's own.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::client_name::NameRule;
use super::limits::Places;
use super::stream::Stream;
use super::{HANDSHAKE_TIMEOUT, Tls, proxy, tcp};
use crate::settings::{SocketSettings, TrustedSources};
use crate::{amqp, management};

/// Pause after an accept failed for want of resources, so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Time an HTTP client has to send its request's head.
const HTTP_HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How the connections of a listener are secured.
#[derive(Clone)]
pub(super) struct Acceptor {
    pub(super) tls: Arc<Tls>,
    pub(super) is_amqp: bool,
}

/// What the connections of one listener have in common.
#[derive(Clone)]
pub(super) struct Endpoint {
    pub(super) acceptor: Option<Acceptor>,
    pub(super) socket: SocketSettings,
    /// Whose PROXY headers are believed; none is looked for without.
    pub(super) proxy: Option<Arc<TrustedSources>>,
    pub(super) places: Places,
    pub(super) tasks: TaskTracker,
    pub(super) shutdown: CancellationToken,
}

impl Endpoint {
    fn serve<F>(
        self,
        listener: TcpListener,
        connection: impl Fn(Stream, SocketAddr) -> F + Clone + Send + Sync + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let tasks = self.tasks.clone();
        tasks.spawn(async move {
            while let Some(accepted) = self.shutdown.run_until_cancelled(listener.accept()).await {
                match accepted {
                    Ok((stream, peer)) => self.start(stream, peer, connection.clone()),
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        });
    }

    fn start<F>(
        &self,
        mut stream: TcpStream,
        peer: SocketAddr,
        connection: impl Fn(Stream, SocketAddr) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let Some(place) = self.places.take() else {
            tracing::warn!(%peer, "connection refused: the connection limit is reached");
            return;
        };
        let shutdown = self.shutdown.clone();
        let (acceptor, socket, proxy) = (self.acceptor.clone(), self.socket, self.proxy.clone());
        self.tasks.spawn(async move {
            // Boxed: its size would be part of every connection's task for ever.
            let securing = Box::pin(shutdown.run_until_cancelled_owned(async {
                tcp::prepare(&stream, &socket)?;
                let client = match proxy {
                    Some(proxy) if proxy.includes(peer.ip()) => proxy::client(&mut stream).await?,
                    Some(_) | None => None,
                };
                // Only who is on this machine can say that a client is.
                let client =
                    client.filter(|client| !client.ip().is_loopback() || peer.ip().is_loopback());
                let stream = secure(stream, acceptor).await?;
                Ok::<_, io::Error>((stream, client.unwrap_or(peer)))
            }));
            match securing.await {
                Some(Ok((stream, peer))) => connection(stream, peer).await,
                Some(Err(error)) => tracing::debug!(%peer, %error, "handshake failed"),
                None => {}
            }
            drop(place);
        });
    }
}

async fn secure(stream: TcpStream, acceptor: Option<Acceptor>) -> io::Result<Stream> {
    match acceptor {
        None => Ok(Stream::Plain(stream)),
        Some(acceptor) => {
            let handshake = acceptor.tls.acceptor(acceptor.is_amqp).accept(stream);
            let stream = timeout(HANDSHAKE_TIMEOUT, handshake).await??;
            Ok(Stream::Tls(Box::new(stream)))
        }
    }
}

/// Serves AMQP; a connection ends by its client, by an error, or by `server` closing all.
/// A client's certificate, which the handshake has verified, names its user by `name_rule`.
pub(super) fn serve_amqp(
    listener: TcpListener,
    endpoint: Endpoint,
    name_rule: NameRule,
    server: Arc<amqp::Server>,
) {
    let is_secure = endpoint.acceptor.is_some();
    endpoint.serve(listener, move |stream, address| {
        let server = Arc::clone(&server);
        let certificate = stream.client_certificate().map(|certificate| {
            let name = name_rule.name(certificate);
            name.map_or(amqp::Certified::Nameless, amqp::Certified::As)
        });
        let peer = amqp::Peer {
            address,
            local: stream.local_address().unwrap_or(address),
            is_secure,
            certificate,
        };
        async move { Box::pin(amqp::serve(stream, peer, server)).await }
    });
}

/// Serves HTTP; at shutdown each connection finishes the request it is in.
pub(super) fn serve_http(listener: TcpListener, endpoint: Endpoint, router: Router) {
    let shutdown = endpoint.shutdown.clone();
    endpoint.serve(listener, move |stream, peer| {
        let router = router.clone();
        let shutdown = shutdown.clone();
        async move {
            let service = service_fn(move |request: hyper::Request<Incoming>| {
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(management::Peer(peer));
                router.clone().oneshot(request)
            });
            let mut connection = std::pin::pin!(
                http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HTTP_HEAD_TIMEOUT)
                    .serve_connection(TokioIo::new(stream), service)
            );
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = shutdown.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%peer, %error, "management connection ended");
            }
        }
    });
}
