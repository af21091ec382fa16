//! TLS: the handshakes, each in its own task under a deadline, and whom they let in.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::{Certificates, Error, HANDSHAKE_TIMEOUT, HANDSHAKES_MAX, Peer, Stream, accept_tcp};

/// How a TLS listener presents itself and what it asks of clients.
#[derive(Debug, Clone)]
pub struct Tls {
    pub certificates: Arc<Certificates>,
    pub clients: Clients,
}

/// Client certificates, verified against an authority.
#[derive(Debug, Clone)]
pub enum Clients {
    /// None is asked for.
    Anonymous,
    /// Verified when one is sent; a client without one gets in and the handler decides.
    Optional { ca_pem: String },
    /// No handshake without one.
    Required { ca_pem: String },
}

impl Tls {
    pub(super) fn server_config(&self) -> Result<Arc<ServerConfig>, Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let builder = match self.verifier()? {
            None => builder.with_no_client_auth(),
            Some(verifier) => builder.with_client_cert_verifier(verifier),
        };
        let mut config = builder.with_cert_resolver(self.certificates.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    fn verifier(&self) -> Result<Option<Arc<dyn ClientCertVerifier>>, Error> {
        let (ca_pem, required) = match &self.clients {
            Clients::Anonymous => return Ok(None),
            Clients::Optional { ca_pem } => (ca_pem, false),
            Clients::Required { ca_pem } => (ca_pem, true),
        };
        let refuse = |cause: &dyn std::fmt::Display| Error::ClientAuthority(cause.to_string());
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
            roots
                .add(certificate.map_err(|e| refuse(&e))?)
                .map_err(|e| refuse(&e))?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let builder = if required {
            builder
        } else {
            builder.allow_unauthenticated()
        };
        Ok(Some(builder.build().map_err(|e| refuse(&e))?))
    }
}

/// Accepts until it is dropped; its handshakes end with it.
pub(super) async fn accept_all(
    socket: TcpListener,
    config: Arc<ServerConfig>,
    ready: mpsc::Sender<(Stream, Peer)>,
) {
    let acceptor = TlsAcceptor::from(config);
    let permits = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    let mut handshakes = JoinSet::new();
    loop {
        let permit = permits
            .clone()
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        let (stream, addr) = tokio::select! {
            accepted = accept_tcp(&socket) => accepted,
            () = ready.closed() => return,
        };
        while handshakes.try_join_next().is_some() {}
        let (acceptor, ready) = (acceptor.clone(), ready.clone());
        handshakes.spawn(async move {
            if let Some(connection) = handshake(&acceptor, stream, addr).await {
                // The only error is a listener that is gone, and with it everyone to tell.
                ready.send(connection).await.ok();
            }
            drop(permit);
        });
    }
}

async fn handshake(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
    addr: SocketAddr,
) -> Option<(Stream, Peer)> {
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => {
            let certificate = stream
                .get_ref()
                .1
                .peer_certificates()
                .and_then(|chain| chain.first())
                .map(|leaf| Arc::from(leaf.as_ref()));
            let peer = Peer {
                addr,
                is_secure: true,
                certificate,
            };
            Some((Stream::Tls(Box::new(stream)), peer))
        }
        // Port scanners and clients that do not trust us: theirs to report, not ours to warn of.
        Ok(Err(error)) => {
            tracing::debug!(%addr, %error, "TLS handshake failed");
            None
        }
        Err(_) => {
            tracing::debug!(%addr, "TLS handshake took too long");
            None
        }
    }
}
