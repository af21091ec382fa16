//! Listening and accepted TCP sockets with the options that AMQP wants.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Connections the kernel holds for us between two accepts.
const BACKLOG: u32 = 1024;

/// An address that is taken. Until it listens, clients are refused as if nobody were there.
#[derive(Debug)]
pub(super) enum Socket {
    Taken(TcpSocket),
    Listening(TcpListener),
}

impl Socket {
    /// Takes `address`; a restart may take the port over while old connections linger.
    pub(super) fn bind(address: SocketAddr) -> io::Result<Self> {
        bind(address).map(Self::Taken)
    }

    /// Lets clients connect. The kernel holds them until they are accepted.
    pub(super) fn listen(self) -> io::Result<TcpListener> {
        match self {
            Self::Taken(socket) => socket.listen(BACKLOG),
            Self::Listening(listener) => Ok(listener),
        }
    }

    pub(super) fn local_address(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Taken(socket) => socket.local_addr(),
            Self::Listening(listener) => listener.local_addr(),
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Sends small frames at once: batching is the engine's own, not Nagle's.
pub(super) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)
}
