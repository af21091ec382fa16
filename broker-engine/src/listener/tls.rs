//! TLS: the server's certificate, read from files and replaced under open listeners, and who is asked for one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoClientAuth, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::Error;
use super::trust::Trust;
use crate::options::Options;

/// The certificate and key that new handshakes use.
#[derive(Debug)]
pub(super) struct Certificate {
    cert_file: PathBuf,
    key_file: PathBuf,
    current: ArcSwap<CertifiedKey>,
}

impl Certificate {
    /// Reads both files.
    ///
    /// # Errors
    /// [`Error::Certificate`] when a file is unreadable, malformed, or the two do not match.
    pub(super) fn open(cert_file: &Path, key_file: &Path) -> Result<Arc<Self>, Error> {
        Ok(Arc::new(Self {
            cert_file: cert_file.to_owned(),
            key_file: key_file.to_owned(),
            current: ArcSwap::from_pointee(read(cert_file, key_file)?),
        }))
    }

    /// Reads both files again; on an error the old certificate stays in use.
    ///
    /// # Errors
    /// As [`Certificate::open`].
    pub(super) fn reload(&self) -> Result<(), Error> {
        self.current
            .store(Arc::new(read(&self.cert_file, &self.key_file)?));
        Ok(())
    }

    fn error(&self, reason: String) -> Error {
        Error::Certificate {
            file: self.cert_file.clone(),
            reason,
        }
    }
}

/// Handshakes that always show the certificate that is current then, and ask clients for theirs as `verifier` says.
pub(super) fn config(
    certificate: &Arc<Certificate>,
    verifier: Arc<dyn ClientCertVerifier>,
) -> Result<ServerConfig, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| certificate.error(error.to_string()))?;
    Ok(builder
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::clone(certificate) as Arc<dyn ResolvesServerCert>))
}

/// TLS as the options describe it: what the server shows, and what it asks of AMQP clients.
#[derive(Debug)]
pub struct Tls {
    certificate: Arc<Certificate>,
    /// For who asks nothing of its clients.
    open: Arc<ServerConfig>,
    trust: Option<Trust>,
}

impl Tls {
    /// Reads the files that the options name; `None` when they name no certificate.
    ///
    /// # Errors
    /// [`Error::Certificate`] when a file cannot be used.
    pub fn open(options: &Options) -> Result<Option<Arc<Self>>, Error> {
        let (Some(cert), Some(key)) = (&options.tls_cert, &options.tls_key) else {
            return Ok(None);
        };
        let certificate = Certificate::open(cert, key)?;
        let open = config(&certificate, Arc::new(NoClientAuth))?;
        let trust = options.tls_client_ca.as_deref();
        let trust = trust.map(|file| Trust::open(file, options.tls_client_required, &certificate));
        Ok(Some(Arc::new(Self {
            open: Arc::new(open),
            trust: trust.transpose()?,
            certificate,
        })))
    }

    /// Reads all files again; on an error what could not be read stays as it was.
    ///
    /// # Errors
    /// As [`Tls::open`].
    pub fn reload(&self) -> Result<(), Error> {
        self.certificate.reload()?;
        match &self.trust {
            Some(trust) => trust.reload(&self.certificate),
            None => Ok(()),
        }
    }

    /// The next handshake of a client; `is_amqp` clients may be asked for a certificate.
    pub(super) fn acceptor(&self, is_amqp: bool) -> TlsAcceptor {
        match &self.trust {
            Some(trust) if is_amqp => TlsAcceptor::from(trust.config()),
            _ => TlsAcceptor::from(Arc::clone(&self.open)),
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

fn read(cert_file: &Path, key_file: &Path) -> Result<CertifiedKey, Error> {
    let error = |file: &Path, reason: String| Error::Certificate {
        file: file.to_owned(),
        reason,
    };
    let chain = CertificateDer::pem_file_iter(cert_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|cause| error(cert_file, cause.to_string()))?;
    if chain.is_empty() {
        return Err(error(cert_file, "it holds no certificate".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(key_file)
        .map_err(|cause| error(key_file, cause.to_string()))?;
    CertifiedKey::from_der(chain, key, &rustls::crypto::aws_lc_rs::default_provider())
        .map_err(|cause| error(cert_file, cause.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_pair(directory: &Path) -> (PathBuf, PathBuf) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let files = (directory.join("cert.pem"), directory.join("key.pem"));
        std::fs::write(&files.0, made.cert.pem()).unwrap();
        std::fs::write(&files.1, made.signing_key.serialize_pem()).unwrap();
        files
    }

    #[test]
    fn a_reload_takes_the_new_pair_and_a_bad_file_keeps_the_old_one() {
        let directory = tempfile::tempdir().unwrap();
        let (cert_file, key_file) = write_pair(directory.path());
        let certificate = Certificate::open(&cert_file, &key_file).unwrap();
        let first = certificate.current.load_full();

        write_pair(directory.path());
        certificate.reload().unwrap();
        let second = certificate.current.load_full();
        assert_ne!(first.cert, second.cert);

        std::fs::write(&cert_file, "nothing").unwrap();
        assert!(certificate.reload().is_err());
        assert_eq!(certificate.current.load_full().cert, second.cert);
    }
}
