//! Where a broker under comparison is reached, and its management API in the few words that scripts need.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::client::PATIENCE;

/// The administrator of either broker.
pub(crate) const USER: &str = "test";
pub(crate) const PASSWORD: &str = "secret";

/// A broker.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Server {
    pub(crate) amqp: SocketAddr,
    pub(crate) http: SocketAddr,
}

impl Server {
    /// Whether it takes connections and logins.
    pub(crate) fn is_up(&self) -> bool {
        TcpStream::connect(self.amqp).is_ok()
            && self
                .http("GET", "/api/overview", "")
                .is_ok_and(|status| status == 200)
    }

    /// The status of the answer.
    pub(crate) fn http(&self, method: &str, path: &str, body: &str) -> std::io::Result<u16> {
        let mut stream = TcpStream::connect(self.http)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let login = STANDARD.encode(format!("{USER}:{PASSWORD}"));
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Basic {login}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            self.http,
            body.len()
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let status = answer
            .get(9..12)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        status
            .and_then(|status| status.parse().ok())
            .ok_or_else(|| std::io::ErrorKind::InvalidData.into())
    }
}
