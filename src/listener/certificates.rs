//! The certificate that a listener shows, replaceable while it serves.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_util::sync::CancellationToken;

const POLL_INTERVAL: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum CertificatesError {
    #[error("cannot read {path}: {source}")]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("the certificate chain is not valid PEM: {0}")]
    Chain(rustls_pki_types::pem::Error),
    #[error("there is no certificate in the chain")]
    Empty,
    #[error("the private key is not valid PEM: {0}")]
    Key(rustls_pki_types::pem::Error),
    #[error("the certificate and the private key do not fit: {0}")]
    Mismatch(rustls::Error),
}

/// A chain and its key. New handshakes take what the last successful replacement set;
/// established connections keep theirs.
#[derive(Debug)]
pub struct Certificates {
    current: ArcSwap<CertifiedKey>,
}

impl Certificates {
    /// `chain_pem` is the leaf, then its intermediates.
    pub fn from_pem(chain_pem: &[u8], key_pem: &[u8]) -> Result<Certificates, CertificatesError> {
        Ok(Certificates {
            current: ArcSwap::from_pointee(parse(chain_pem, key_pem)?),
        })
    }

    pub fn from_files(chain: &Path, key: &Path) -> Result<Certificates, CertificatesError> {
        Certificates::from_pem(&read(chain)?, &read(key)?)
    }

    /// On an error the certificate in use stays.
    pub fn replace(&self, chain_pem: &[u8], key_pem: &[u8]) -> Result<(), CertificatesError> {
        self.current.store(Arc::new(parse(chain_pem, key_pem)?));
        Ok(())
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

/// Replaces the certificate whenever one of its files changes, until `shutdown`.
pub async fn watch(
    certificates: Arc<Certificates>,
    chain: PathBuf,
    key: PathBuf,
    shutdown: CancellationToken,
) {
    let mut files = Files {
        chain,
        key,
        tried: None,
    };
    loop {
        files.look(&certificates);
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(POLL_INTERVAL) => {}
        }
    }
}

/// The watched pair.
struct Files {
    chain: PathBuf,
    key: PathBuf,
    /// Modification times of the pair that was loaded, or refused, last.
    tried: Option<(SystemTime, SystemTime)>,
}

impl Files {
    /// Loads the pair if it changed. A renewal writes two files one after the other, so a pair
    /// that does not fit is an expected moment: the old one stays until the files change again.
    fn look(&mut self, certificates: &Certificates) {
        let now = modified(&self.chain).zip(modified(&self.key));
        if now.is_none() || now == self.tried {
            return;
        }
        let replaced = read(&self.chain)
            .and_then(|chain| Ok((chain, read(&self.key)?)))
            .and_then(|(chain, key)| certificates.replace(&chain, &key));
        let chain = self.chain.display();
        match replaced {
            Ok(()) => tracing::debug!(%chain, "certificate loaded"),
            Err(error) => tracing::warn!(%chain, %error, "keeping the certificate in use"),
        }
        self.tried = now;
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path)
        .and_then(|meta| meta.modified())
        .ok()
}

fn read(path: &Path) -> Result<Vec<u8>, CertificatesError> {
    std::fs::read(path).map_err(|source| CertificatesError::Read {
        path: path.to_owned(),
        source,
    })
}

fn parse(chain_pem: &[u8], key_pem: &[u8]) -> Result<CertifiedKey, CertificatesError> {
    let chain = CertificateDer::pem_slice_iter(chain_pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(CertificatesError::Chain)?;
    if chain.is_empty() {
        return Err(CertificatesError::Empty);
    }
    let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(CertificatesError::Key)?;
    let key = any_supported_type(&key).map_err(CertificatesError::Mismatch)?;
    let certified = CertifiedKey::new(chain, key);
    certified
        .keys_match()
        .map_err(CertificatesError::Mismatch)?;
    Ok(certified)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str) -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn leaf(certificates: &Certificates) -> Vec<u8> {
        certificates.current.load().cert[0].to_vec()
    }

    #[test]
    fn a_key_of_another_certificate_is_refused_and_changes_nothing() {
        let (first, second) = (pair("a.test"), pair("b.test"));
        let certificates = Certificates::from_pem(first.0.as_bytes(), first.1.as_bytes()).unwrap();
        let before = leaf(&certificates);
        let error = certificates
            .replace(second.0.as_bytes(), first.1.as_bytes())
            .unwrap_err();
        assert!(matches!(error, CertificatesError::Mismatch(_)), "{error}");
        assert_eq!(leaf(&certificates), before);
    }

    #[test]
    fn a_renewed_pair_is_served_without_a_restart_and_half_a_renewal_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let (chain, key) = (dir.path().join("c.pem"), dir.path().join("k.pem"));
        let (first, second) = (pair("a.test"), pair("b.test"));
        let write = |path: &Path, text: &str, at_s: u64| {
            std::fs::write(path, text).unwrap();
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(at_s);
            std::fs::File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_modified(at)
                .unwrap();
        };
        write(&chain, &first.0, 1);
        write(&key, &first.1, 1);
        let certificates = Certificates::from_files(&chain, &key).unwrap();
        let before = leaf(&certificates);
        let mut files = Files {
            chain: chain.clone(),
            key: key.clone(),
            tried: None,
        };
        files.look(&certificates);
        write(&chain, &second.0, 2);
        files.look(&certificates);
        assert_eq!(leaf(&certificates), before);
        write(&key, &second.1, 3);
        files.look(&certificates);
        assert_ne!(leaf(&certificates), before);
    }
}
