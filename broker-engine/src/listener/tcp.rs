//! Listening and accepted TCP sockets with the options that AMQP, and the broker's owner, want.

use std::io;
use std::net::SocketAddr;

use rustix::net::sockopt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::settings::{Keepalive, SocketSettings};

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

/// Sends small frames at once, unless the owner has it otherwise: batching is the engine's own, not Nagle's.
pub(super) fn prepare(stream: &TcpStream, socket: &SocketSettings) -> io::Result<()> {
    stream.set_nodelay(socket.nodelay.unwrap_or(true))?;
    match socket.keepalive {
        None => {}
        Some(Keepalive::Off) => sockopt::set_socket_keepalive(stream, false)?,
        Some(Keepalive::On {
            idle,
            interval,
            probes,
        }) => {
            sockopt::set_socket_keepalive(stream, true)?;
            sockopt::set_tcp_keepidle(stream, idle)?;
            sockopt::set_tcp_keepintvl(stream, interval)?;
            sockopt::set_tcp_keepcnt(stream, probes)?;
        }
    }
    if let Some(bytes) = socket.receive_buffer_bytes {
        sockopt::set_socket_recv_buffer_size(stream, bytes)?;
    }
    if let Some(bytes) = socket.send_buffer_bytes {
        sockopt::set_socket_send_buffer_size(stream, bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn an_accepted_socket_is_as_the_owner_wants_it() {
        let socket = Socket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen().unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let socket = SocketSettings {
            nodelay: Some(false),
            keepalive: Some(Keepalive::On {
                idle: Duration::from_secs(61),
                interval: Duration::from_secs(11),
                probes: 4,
            }),
            receive_buffer_bytes: None,
            send_buffer_bytes: Some(8192),
        };
        prepare(&stream, &socket).unwrap();
        assert!(!stream.nodelay().unwrap());
        assert!(sockopt::socket_keepalive(&stream).unwrap());
        let idle = sockopt::tcp_keepidle(&stream).unwrap();
        assert_eq!(idle, Duration::from_secs(61));
        assert_eq!(sockopt::tcp_keepcnt(&stream).unwrap(), 4);
        // The kernel keeps twice as much, for itself.
        assert!((8192..=16_384).contains(&sockopt::socket_send_buffer_size(&stream).unwrap()));

        prepare(&stream, &SocketSettings::default()).unwrap();
        assert!(stream.nodelay().unwrap());
    }
}
