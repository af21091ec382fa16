//! A blocking connection, with or without TLS, as one type.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};

use crate::{Error, Target};

/// A read without a byte returns after this long, so that threads see that the run is over.
const READ_TIMEOUT: Duration = Duration::from_millis(100);

/// A write that cannot go on for this long fails: the broker does not listen.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// The authorities that servers' certificates may come from.
#[derive(Debug, Clone)]
pub struct Trust(Arc<ClientConfig>);

impl Trust {
    /// Reads the authorities from a PEM file.
    ///
    /// # Errors
    /// When the file is unreadable or holds no certificate.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let error = |reason: String| Error::File {
            path: path.to_owned(),
            reason,
        };
        let mut roots = RootCertStore::empty();
        let certificates =
            CertificateDer::pem_file_iter(path).map_err(|cause| error(cause.to_string()))?;
        for certificate in certificates {
            let certificate = certificate.map_err(|cause| error(cause.to_string()))?;
            roots
                .add(certificate)
                .map_err(|cause| error(cause.to_string()))?;
        }
        if roots.is_empty() {
            return Err(error("it holds no certificate".to_owned()));
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|cause| Error::Tls(cause.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }
}

pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    pub(crate) fn connect(target: &Target, trust: Option<&Trust>) -> Result<Self, Error> {
        let address = target.address();
        let socket = connect(&address).map_err(|source| Error::Connect { address, source })?;
        if !target.is_tls {
            return Ok(Self::Plain(socket));
        }
        let trust = trust.ok_or_else(|| Error::Usage("amqps needs --ca".to_owned()))?;
        let name = ServerName::try_from(target.server_name().to_owned())
            .map_err(|error| Error::Tls(error.to_string()))?;
        let session = ClientConnection::new(Arc::clone(&trust.0), name)
            .map_err(|error| Error::Tls(error.to_string()))?;
        Ok(Self::Tls(Box::new(StreamOwned::new(session, socket))))
    }

    /// Whether a read would find something now.
    pub(crate) fn is_readable(&self) -> io::Result<bool> {
        let socket = match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &stream.sock,
        };
        let mut waiting = [PollFd::new(socket, PollFlags::IN)];
        let none = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        Ok(poll(&mut waiting, Some(&none))? > 0)
    }
}

fn connect(address: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, Duration::from_secs(10)) {
            Ok(socket) => {
                socket.set_nodelay(true)?;
                socket.set_read_timeout(Some(READ_TIMEOUT))?;
                socket.set_write_timeout(Some(WRITE_TIMEOUT))?;
                return Ok(socket);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(buffer),
            Self::Tls(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
