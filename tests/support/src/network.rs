//! Addresses for servers under test. Loopback only.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const PORT_MIN: u16 = 10_240;
const PORTS: u32 = 20_000;

/// A port of 127.0.0.1 that was free a moment ago, and that nobody is given by chance: it lies
/// below the ports of outgoing connections, so that a server can be started on it again.
pub fn free_port() -> u16 {
    static TRIED: AtomicU32 = AtomicU32::new(0);
    loop {
        // Test binaries that run at the same time begin at different places.
        let start = std::process::id().wrapping_mul(131);
        let offset = start.wrapping_add(TRIED.fetch_add(1, Ordering::Relaxed)) % PORTS;
        let port = PORT_MIN + u16::try_from(offset).expect("the range is one of ports");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Status code and body of a plain `GET`, or `None` when nobody answers in HTTP.
pub fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    let body = answer.split_once("\r\n\r\n")?.1.to_owned();
    Some((status, body))
}

/// Asks `probe` until it answers, for state of other processes that announces itself no other
/// way. Panics with `what` after `patience`.
pub fn eventually<T>(what: &str, patience: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {patience:?}: {what}");
        std::thread::sleep(Duration::from_millis(25));
    }
}
