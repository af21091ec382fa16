//! One client connection: its socket, its clocks and its session.
//!
//! The session is synchronous and knows no socket; `io` drives it. Whatever happens, the session
//! is released at the end: its messages go back, its exclusive queues go away.

mod close;
#[cfg(any(test, feature = "fuzzing"))]
mod dry;
mod gathered;
mod handshake;
mod heartbeat;
mod io;
mod link;
mod peer;
mod report;
mod session;

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use self::io::{End, Io};
use super::server::Server;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use self::dry::DryConnection;
pub(crate) use self::link::Link;
pub use self::peer::{Certified, Peer};
use self::session::Session;

/// Time a client has to take the last bytes.
const LINGER: Duration = Duration::from_secs(1);

/// Serves one client until either side ends it.
///
/// The future is all that an idle connection keeps of its task: nothing that only its end needs is part of it.
pub fn serve<S>(stream: S, peer: Peer, server: Arc<Server>) -> impl Future<Output = ()> + Send
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let address = peer.address;
    let session = Session::new(server, peer);
    let mut io = Io::new(stream, session);
    tracing::debug!(peer = %address, "connection accepted");
    async move {
        let end = poll_fn(|context| io.poll_end(context)).await;
        io.session.release();
        report(&end, address);
        // The peer may be gone already; there is nobody left to tell.
        let _ = Box::pin(timeout(LINGER, linger(&mut io.stream))).await;
    }
}

fn report(end: &End, peer: SocketAddr) {
    match end {
        End::Closed => tracing::debug!(%peer, "connection closed"),
        End::Disconnected => tracing::debug!(%peer, "client disconnected without closing"),
        End::Socket(error) => tracing::debug!(%peer, %error, "connection broke"),
        End::HeartbeatMissed => tracing::info!(%peer, "client missed its heartbeats"),
        End::TimedOut => tracing::info!(%peer, "client took too long to open or close"),
    }
}

/// Reads what the client still sends: a socket closed over unread bytes is reset, and the client
/// would lose the last frames that were sent to it.
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> std::io::Result<()> {
    stream.shutdown().await?;
    let mut discarded = [0; 512];
    while stream.read(&mut discarded).await? > 0 {}
    Ok(())
}
