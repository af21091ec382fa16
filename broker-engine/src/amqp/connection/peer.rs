//! Who is at the other end, as far as the listener knows.

use std::net::SocketAddr;

/// The other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    pub address: SocketAddr,
    /// Where it connected to.
    pub local: SocketAddr,
    /// Whether TLS protects the connection.
    pub is_secure: bool,
    /// What its certificate says, if it showed one and that was verified.
    pub certificate: Option<Certified>,
}

/// Whom a verified certificate names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certified {
    /// A user of this name, if there is one.
    As(String),
    /// Nobody: it lacks the part that names users.
    Nameless,
}
