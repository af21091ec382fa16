//! The authorities whose client certificates are believed, read from a file and replaced under open listeners.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::Error;
use super::tls::{Certificate, config};

/// Handshakes that ask the client for a certificate.
#[derive(Debug)]
pub(super) struct Trust {
    file: PathBuf,
    /// Whether a client without a certificate is turned away.
    is_required: bool,
    current: ArcSwap<ServerConfig>,
}

impl Trust {
    /// Reads the authorities.
    ///
    /// # Errors
    /// [`Error::Certificate`] when the file is unreadable, malformed or empty.
    pub(super) fn open(
        file: &Path,
        is_required: bool,
        certificate: &Arc<Certificate>,
    ) -> Result<Self, Error> {
        let current = trusting(file, is_required, certificate)?;
        Ok(Self {
            file: file.to_owned(),
            is_required,
            current: ArcSwap::from_pointee(current),
        })
    }

    /// Reads the authorities again; on an error the old ones stay in use. Sessions from before cannot be resumed.
    pub(super) fn reload(&self, certificate: &Arc<Certificate>) -> Result<(), Error> {
        let current = trusting(&self.file, self.is_required, certificate)?;
        self.current.store(Arc::new(current));
        Ok(())
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }
}

fn trusting(
    file: &Path,
    is_required: bool,
    certificate: &Arc<Certificate>,
) -> Result<ServerConfig, Error> {
    let verifier = verifier(file, is_required).map_err(|reason| Error::Certificate {
        file: file.to_owned(),
        reason,
    })?;
    config(certificate, verifier)
}

fn verifier(file: &Path, is_required: bool) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let authorities = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|cause| cause.to_string())?;
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority).map_err(|cause| cause.to_string())?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = if is_required {
        builder
    } else {
        builder.allow_unauthenticated()
    };
    builder.build().map_err(|cause| cause.to_string())
}
