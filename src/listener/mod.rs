//! Accepting connections: plain TCP or TLS, for `axum::serve`.
//!
//! Owns the socket, the handshakes and the certificate that is shown; knows nothing of HTTP
//! beyond what axum needs to hand the peer to a handler. Invariant: no client, however slow or
//! hostile, delays the acceptance of another.

mod certificates;
mod peer;
mod stream;
mod tls;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

pub use certificates::{Certificates, CertificatesError, watch};
pub use peer::{Peer, PeerCertificate, attach_peer_certificate};
pub use stream::Stream;
pub use tls::{Clients, Tls};

/// Handshakes in progress at once; further connections wait in the kernel's queue.
const HANDSHAKES_MAX: usize = 512;
/// Time from accept to a finished handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after an accept that failed for want of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen on {address}: {source}")]
    Bind {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error("the certificate authority for client certificates is not usable: {0}")]
    ClientAuthority(String),
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// Implements [`axum::serve::Listener`]; serve with
/// `router.into_make_service_with_connect_info::<Peer>()`.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    ready: Ready,
}

#[derive(Debug)]
enum Ready {
    Plain(TcpListener),
    /// Connections whose handshake is done. The acceptor ends with the listener.
    Tls {
        connections: mpsc::Receiver<(Stream, Peer)>,
        _acceptor: AbortOnDropHandle<()>,
    },
}

impl Listener {
    pub async fn plain(address: SocketAddr) -> Result<Listener, Error> {
        let socket = bind(address).await?;
        Ok(Listener {
            address: local(&socket, address)?,
            ready: Ready::Plain(socket),
        })
    }

    pub async fn tls(address: SocketAddr, tls: &Tls) -> Result<Listener, Error> {
        let config = tls.server_config()?;
        let socket = bind(address).await?;
        let address = local(&socket, address)?;
        let (sender, connections) = mpsc::channel(HANDSHAKES_MAX);
        let acceptor = tokio::spawn(tls::accept_all(socket, config, sender));
        let _acceptor = AbortOnDropHandle::new(acceptor);
        Ok(Listener {
            address,
            ready: Ready::Tls {
                connections,
                _acceptor,
            },
        })
    }

    /// The address that is bound, with the port that was chosen if 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl axum::serve::Listener for Listener {
    type Io = Stream;
    type Addr = Peer;

    async fn accept(&mut self) -> (Stream, Peer) {
        match &mut self.ready {
            Ready::Plain(socket) => {
                let (stream, addr) = accept_tcp(socket).await;
                (
                    Stream::Plain(stream),
                    Peer {
                        addr,
                        is_secure: false,
                        certificate: None,
                    },
                )
            }
            Ready::Tls { connections, .. } => match connections.recv().await {
                Some(accepted) => accepted,
                // The acceptor never returns; if it is gone, the runtime is shutting down.
                None => std::future::pending().await,
            },
        }
    }

    fn local_addr(&self) -> std::io::Result<Peer> {
        Ok(Peer {
            addr: self.address,
            is_secure: matches!(self.ready, Ready::Tls { .. }),
            certificate: None,
        })
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address)
        .await
        .map_err(|source| Error::Bind { address, source })
}

fn local(socket: &TcpListener, address: SocketAddr) -> Result<SocketAddr, Error> {
    socket
        .local_addr()
        .map_err(|source| Error::Bind { address, source })
}

async fn accept_tcp(socket: &TcpListener) -> (TcpStream, SocketAddr) {
    use std::io::ErrorKind;
    loop {
        match socket.accept().await {
            Ok((stream, addr)) => {
                // Small answers must not wait for the peer's delayed acknowledgement.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%addr, %error, "cannot disable Nagle's algorithm");
                }
                return (stream, addr);
            }
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::ConnectionAborted
                        | ErrorKind::ConnectionReset
                        | ErrorKind::ConnectionRefused
                ) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
