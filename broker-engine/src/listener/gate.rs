//! The gate of an engine whose clients have to wait: who watches it may look first.
//!
//! Owns the way from closed to open. Invariant: no client listener accepts before [`Gate::open`], and a gate that was
//! opened stays open. Who may log in meanwhile is the broker's business.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::client_name::NameRule;
use super::limits::Places;
use super::{Error, Listeners, accept, bind};
use crate::amqp;
use crate::options::{SanType, TlsLogin};
use crate::settings::SocketSettings;

/// Connections through the gate that are open at a time.
const PLACES: usize = 16;

/// Client listeners, and what serves them once they may be served.
pub struct Gate {
    closed: Mutex<Option<Closed>>,
    /// Cancelled when clients are served.
    opened: CancellationToken,
}

struct Closed {
    listeners: Listeners,
    server: Arc<amqp::Server>,
    management: Router,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    /// Where who watches it looks, and what ends that.
    passage: Option<(SocketAddr, CancellationToken)>,
}

impl Gate {
    /// Serves AMQP with TLS at `address`, and keeps `listeners` closed. Without an address it is opened at once.
    ///
    /// # Errors
    /// When an address cannot be listened on, or there is no certificate.
    pub fn start(
        address: Option<SocketAddr>,
        listeners: Listeners,
        server: Arc<amqp::Server>,
        management: Router,
        tasks: &TaskTracker,
        shutdown: &CancellationToken,
    ) -> Result<Self, Error> {
        let mut closed = Closed {
            listeners,
            server,
            management,
            tasks: tasks.clone(),
            shutdown: shutdown.clone(),
            passage: None,
        };
        let gate = Self {
            closed: Mutex::new(None),
            opened: CancellationToken::new(),
        };
        if let Some(address) = address {
            closed.passage = Some(closed.admit(address)?);
            *gate.closed.lock() = Some(closed);
        } else {
            *gate.closed.lock() = Some(closed);
            gate.open()?;
        }
        Ok(gate)
    }

    /// Where the closed gate is passed.
    pub fn address(&self) -> Option<SocketAddr> {
        let closed = self.closed.lock();
        let passage = closed.as_ref()?.passage.as_ref();
        passage.map(|(address, _)| *address)
    }

    /// Serves clients. Opening an open gate changes nothing.
    ///
    /// # Errors
    /// When an address cannot be listened on; clients are not, or not all, served then.
    pub fn open(&self) -> Result<(), Error> {
        let Some(closed) = self.closed.lock().take() else {
            return Ok(());
        };
        let Closed {
            listeners,
            server,
            management,
            tasks,
            shutdown,
            passage,
        } = closed;
        listeners.serve(&server, &management, &tasks, &shutdown)?;
        if let Some((_, end)) = passage {
            end.cancel();
        }
        self.opened.cancel();
        Ok(())
    }

    /// Returns when clients are served.
    pub async fn opened(&self) {
        self.opened.cancelled().await;
    }
}

impl Closed {
    fn admit(&self, address: SocketAddr) -> Result<(SocketAddr, CancellationToken), Error> {
        let tls = self.listeners.tls().ok_or(Error::CertificateMissing)?;
        let wrong = |source| Error::Bind { address, source };
        let listener = bind(address, true)?.listen().map_err(wrong)?;
        let bound = listener.local_addr().map_err(wrong)?;
        let end = self.shutdown.child_token();
        let endpoint = accept::Endpoint {
            acceptor: Some(accept::Acceptor {
                tls,
                // Nobody is asked for a certificate: passwords alone count here.
                is_amqp: false,
            }),
            socket: SocketSettings::default(),
            proxy: None,
            places: Places::new(PLACES),
            tasks: self.tasks.clone(),
            shutdown: end.clone(),
        };
        let nobody = NameRule {
            from: TlsLogin::DistinguishedName,
            san_type: SanType::Dns,
            san_index: 0,
        };
        accept::serve_amqp(listener, endpoint, nobody, Arc::clone(&self.server));
        Ok((bound, end))
    }
}
