//! Sockets: listens, accepts, secures, counts, and hands each connection to its protocol.
//!
//! Knows neither frames nor routes. No connection reaches a protocol in the clear unless the
//! listener is on a loopback address.

mod accept;
mod client_name;
mod control;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod gate;
mod limits;
mod proxy;
mod stream;
mod tcp;
mod tls;
mod trust;

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
use crate::settings::{Settings, SocketSettings, TrustedSources};

pub use control::{Commands, Control, Status};
pub use gate::Gate;
pub use tls::Tls;

use self::client_name::NameRule;
use self::tcp::Socket;

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

/// Sockets beyond the connections there may be, of clients that log in, or are told that they cannot.
const SPARE_PLACES: usize = 256;

/// Where clients reach the engine; ports are the real ones even if 0 was asked for.
#[derive(Debug, Clone, Default)]
pub struct Addresses {
    pub amqp: Vec<SocketAddr>,
    pub amqps: Vec<SocketAddr>,
    /// Management without TLS.
    pub management: Vec<SocketAddr>,
    pub management_tls: Vec<SocketAddr>,
}

/// Listeners that are bound and do not accept yet. Behind a gate they do not even listen: clients are refused until
/// [`Listeners::serve`].
#[derive(Debug)]
pub struct Listeners {
    amqp: Vec<Socket>,
    amqps: Vec<Socket>,
    management: Vec<Socket>,
    management_tls: Vec<Socket>,
    addresses: Addresses,
    tls: Option<Arc<Tls>>,
    name_rule: NameRule,
    connections_max: usize,
    socket: SocketSettings,
    proxy: Option<Arc<TrustedSources>>,
}

impl Listeners {
    /// Binds everything `options` names; nothing is accepted before [`Listeners::serve`].
    ///
    /// # Errors
    /// When an address cannot be bound, would be served in the clear to other machines, or the
    /// certificate is unusable.
    pub fn bind(options: &Options, settings: &Settings) -> Result<Self, Error> {
        let tls = Tls::open(options)?;
        let bind = |address| bind(address, options.gate.is_none());
        let management_tls = options.management_tls.iter().map(|address| bind(*address));
        let mut management_tls = management_tls.collect::<Result<Vec<_>, _>>()?;
        for address in &options.management_tls_try {
            match bind(*address) {
                Ok(listener) => management_tls.push(listener),
                Err(error) => tracing::info!(%error, "optional management listener left out"),
            }
        }
        let amqp = bind_plain("--amqp", "--amqps", &options.amqp_or_default(), bind)?;
        let amqps = options
            .amqps
            .iter()
            .map(|address| bind(*address))
            .collect::<Result<Vec<_>, _>>()?;
        let management = bind_plain(
            "--management",
            "--management-tls",
            &options.management,
            bind,
        )?;
        if tls.is_none() && !(amqps.is_empty() && management_tls.is_empty()) {
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
            tls,
            name_rule: NameRule {
                from: options.tls_login_from,
                san_type: options.tls_login_san_type,
                san_index: options.tls_login_san_index,
            },
            connections_max: options.connections_max,
            socket: settings.socket,
            proxy: settings.proxy.clone().map(Arc::new),
        })
    }

    /// The bound addresses.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// What the TLS listeners read from files, to reload it.
    #[must_use]
    pub fn tls(&self) -> Option<Arc<Tls>> {
        self.tls.clone()
    }

    /// Accepts on every listener until `shutdown`; `tasks` ends when the last connection has.
    ///
    /// # Errors
    /// [`Error::Bind`] when another process listens on an address that a gate kept closed.
    pub fn serve(
        self,
        amqp: &Arc<amqp::Server>,
        management: &Router,
        tasks: &TaskTracker,
        shutdown: &CancellationToken,
    ) -> Result<(), Error> {
        let acceptor = |is_amqp| {
            let tls = self.tls.clone();
            tls.map(|tls| accept::Acceptor { tls, is_amqp })
        };
        if self
            .proxy
            .as_ref()
            .is_some_and(|proxy| proxy.is_everybody())
        {
            tracing::warn!(
                "PROXY headers are believed from everybody: no trusted sources are named"
            );
        }
        let endpoint = |places| accept::Endpoint {
            acceptor: None,
            socket: SocketSettings::default(),
            proxy: None,
            places,
            tasks: tasks.clone(),
            shutdown: shutdown.clone(),
        };
        // A client too many is told so, which takes a place; the end of all places is the end of patience.
        let places = self.connections_max.saturating_add(SPARE_PLACES);
        let plain = accept::Endpoint {
            socket: self.socket,
            proxy: self.proxy,
            ..endpoint(limits::Places::new(places))
        };
        let secure = accept::Endpoint {
            acceptor: acceptor(true),
            ..plain.clone()
        };
        for (listeners, endpoint) in [(self.amqp, plain), (self.amqps, secure)] {
            for listener in listen(listeners)? {
                let endpoint = endpoint.clone();
                accept::serve_amqp(listener, endpoint, self.name_rule, Arc::clone(amqp));
            }
        }
        let plain = endpoint(limits::Places::new(MANAGEMENT_CONNECTIONS_MAX));
        let secure = accept::Endpoint {
            acceptor: acceptor(false),
            ..plain.clone()
        };
        for (listeners, endpoint) in [(self.management, plain), (self.management_tls, secure)] {
            for listener in listen(listeners)? {
                accept::serve_http(listener, endpoint.clone(), management.clone());
            }
        }
        Ok(())
    }
}

fn bind(address: SocketAddr, listens: bool) -> Result<Socket, Error> {
    let bound = Socket::bind(address).and_then(|socket| {
        if listens {
            socket.listen().map(Socket::Listening)
        } else {
            Ok(socket)
        }
    });
    bound.map_err(|source| Error::Bind { address, source })
}

fn listen(sockets: Vec<Socket>) -> Result<Vec<TcpListener>, Error> {
    let listening = sockets.into_iter().map(|socket| {
        let address = socket.local_address();
        let bind = |source| Error::Bind {
            address: address.unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0))),
            source,
        };
        socket.listen().map_err(bind)
    });
    listening.collect()
}

fn bind_plain(
    flag: &'static str,
    tls_flag: &'static str,
    addresses: &[SocketAddr],
    bind: impl Fn(SocketAddr) -> Result<Socket, Error>,
) -> Result<Vec<Socket>, Error> {
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

fn local(listeners: &[Socket]) -> Vec<SocketAddr> {
    listeners
        .iter()
        .filter_map(|listener| listener.local_address().ok())
        .collect()
}
