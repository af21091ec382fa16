//! Sockets: listens, accepts, secures, counts, and hands each connection to its protocol.
//!
//! Knows neither frames nor routes. No connection reaches a protocol in the clear unless the
//! listener is on a loopback address.

mod accept;
mod control;
mod limits;
mod stream;
mod tcp;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::amqp;
use crate::options::Options;

pub use control::{Control, Reload, Status};
pub use tls::Certificate;

/// Time a peer has for its TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections to the management API that are open at a time.
const MANAGEMENT_CONNECTIONS_MAX: usize = 1024;

/// Why a listener could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen on {address}: {source}")]
    Bind {
        address: SocketAddr,
        source: io::Error,
    },
    #[error(
        "{flag} {address} would accept passwords without TLS from other machines: \
         use a loopback address, or {tls_flag}"
    )]
    PlainText {
        flag: &'static str,
        tls_flag: &'static str,
        address: SocketAddr,
    },
    #[error("certificate {file}: {reason}", file = file.display())]
    Certificate { file: PathBuf, reason: String },
    #[error("a TLS listener needs --tls-cert and --tls-key")]
    CertificateMissing,
    #[error("control socket {file}: {source}", file = file.display())]
    Control { file: PathBuf, source: io::Error },
}

/// Where clients reach the engine; ports are the real ones even if 0 was asked for.
#[derive(Debug, Clone, Default)]
pub struct Addresses {
    pub amqp: Vec<SocketAddr>,
    pub amqps: Vec<SocketAddr>,
    /// Management without TLS.
    pub management: Vec<SocketAddr>,
    pub management_tls: Vec<SocketAddr>,
}

/// Listeners that are bound and do not accept yet.
#[derive(Debug)]
pub struct Listeners {
    amqp: Vec<TcpListener>,
    amqps: Vec<TcpListener>,
    management: Vec<TcpListener>,
    management_tls: Vec<TcpListener>,
    addresses: Addresses,
    certificate: Option<Arc<Certificate>>,
    connections_max: usize,
}

impl Listeners {
    /// Binds everything `options` names; nothing is accepted before [`Listeners::serve`].
    ///
    /// # Errors
    /// When an address cannot be bound, would be served in the clear to other machines, or the
    /// certificate is unusable.
    pub fn bind(options: &Options) -> Result<Self, Error> {
        let certificate = match (&options.tls_cert, &options.tls_key) {
            (Some(cert), Some(key)) => Some(Certificate::open(cert, key)?),
            _ => None,
        };
        let management_tls = options.management_tls.iter().map(|address| bind(*address));
        let mut management_tls = management_tls.collect::<Result<Vec<_>, _>>()?;
        for address in &options.management_tls_try {
            match bind(*address) {
                Ok(listener) => management_tls.push(listener),
                Err(error) => tracing::info!(%error, "optional management listener left out"),
            }
        }
        let amqp = bind_plain("--amqp", "--amqps", &options.amqp_or_default())?;
        let amqps = options
            .amqps
            .iter()
            .map(|address| bind(*address))
            .collect::<Result<Vec<_>, _>>()?;
        let management = bind_plain("--management", "--management-tls", &options.management)?;
        if certificate.is_none() && !(amqps.is_empty() && management_tls.is_empty()) {
            return Err(Error::CertificateMissing);
        }
        let addresses = Addresses {
            amqp: local(&amqp),
            amqps: local(&amqps),
            management: local(&management),
            management_tls: local(&management_tls),
        };
        Ok(Self {
            amqp,
            amqps,
            management,
            management_tls,
            addresses,
            certificate,
            connections_max: options.connections_max,
        })
    }

    /// The bound addresses.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The certificate of the TLS listeners, to reload it.
    #[must_use]
    pub fn certificate(&self) -> Option<Arc<Certificate>> {
        self.certificate.clone()
    }

    /// Accepts on every listener until `shutdown`; `tasks` ends when the last connection has.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn serve(
        self,
        amqp: &Arc<amqp::Server>,
        management: &Router,
        tasks: &TaskTracker,
        shutdown: &CancellationToken,
    ) -> Result<(), Error> {
        let acceptor = self
            .certificate
            .as_ref()
            .map(Certificate::acceptor)
            .transpose()?;
        let endpoint = |places| accept::Endpoint {
            acceptor: None,
            places,
            tasks: tasks.clone(),
            shutdown: shutdown.clone(),
        };
        let plain = endpoint(limits::Places::new(self.connections_max));
        let secure = accept::Endpoint {
            acceptor: acceptor.clone(),
            ..plain.clone()
        };
        for (listeners, endpoint) in [(self.amqp, plain), (self.amqps, secure)] {
            for listener in listeners {
                accept::serve_amqp(listener, endpoint.clone(), Arc::clone(amqp));
            }
        }
        let plain = endpoint(limits::Places::new(MANAGEMENT_CONNECTIONS_MAX));
        let secure = accept::Endpoint {
            acceptor,
            ..plain.clone()
        };
        for (listeners, endpoint) in [(self.management, plain), (self.management_tls, secure)] {
            for listener in listeners {
                accept::serve_http(listener, endpoint.clone(), management.clone());
            }
        }
        Ok(())
    }
}

fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    tcp::bind(address).map_err(|source| Error::Bind { address, source })
}

fn bind_plain(
    flag: &'static str,
    tls_flag: &'static str,
    addresses: &[SocketAddr],
) -> Result<Vec<TcpListener>, Error> {
    let checked = addresses.iter().map(|address| {
        if address.ip().is_loopback() {
            bind(*address)
        } else {
            Err(Error::PlainText {
                flag,
                tls_flag,
                address: *address,
            })
        }
    });
    checked.collect()
}

fn local(listeners: &[TcpListener]) -> Vec<SocketAddr> {
    listeners
        .iter()
        .filter_map(|listener| listener.local_addr().ok())
        .collect()
}
