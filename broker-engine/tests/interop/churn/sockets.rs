//! Sockets and threads as the kernel has them: who has not read what it was sent, who sleeps, who waits for a processor.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;

/// One end of a connection on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) port: u16,
    pub(super) peer_port: u16,
    /// Taken by the kernel and not yet acknowledged by the other end, in bytes.
    unsent: u64,
    /// In the kernel for the process to read, in bytes.
    pub(super) unread: u64,
}

impl Socket {
    /// From a line of `/proc/net/tcp`: number, addresses, state, queues, and more.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace().skip(1);
        let mut port = || u16::from_str_radix(words.next()?.split_once(':')?.1, 16).ok();
        let (port, peer_port) = (port()?, port()?);
        let (unsent, unread) = words.nth(1)?.split_once(':')?;
        Some(Self {
            port,
            peer_port,
            unsent: u64::from_str_radix(unsent, 16).ok()?,
            unread: u64::from_str_radix(unread, 16).ok()?,
        })
    }
}

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            port,
            peer_port,
            unsent,
            unread,
        } = self;
        write!(f, "{port}->{peer_port}: {unsent} unsent, {unread} unread")
    }
}

/// Both ends of all connections to a port of this machine; clients' ends first.
pub(super) fn to_port(port: u16) -> (Vec<Socket>, Vec<Socket>) {
    let table = fs::read_to_string("/proc/net/tcp").expect("the kernel tells its sockets");
    let all: Vec<_> = table.lines().filter_map(Socket::parse).collect();
    let ends = |is_meant: fn(&Socket, u16) -> bool| {
        let meant = all.iter().filter(|socket| is_meant(socket, port));
        meant.copied().collect()
    };
    (
        ends(|socket, port| socket.peer_port == port),
        ends(|socket, port| socket.port == port && socket.peer_port != 0),
    )
}

/// The threads of a process, counted by name, state and what they wait for in the kernel.
pub(super) fn threads(process: u32) -> BTreeMap<String, usize> {
    let mut counted = BTreeMap::new();
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("it runs");
    for task in tasks.flatten() {
        let read = |name: &str| fs::read_to_string(task.path().join(name)).unwrap_or_default();
        let stat = read("stat");
        // The name is in parentheses and may hold anything.
        let Some((name, rest)) = stat.rsplit_once(") ") else {
            continue;
        };
        let name = name.split_once('(').map_or("", |(_, name)| name);
        let state = rest.split_whitespace().next().unwrap_or("?");
        *counted
            .entry(format!("{name} {state} {}", read("wchan")))
            .or_default() += 1;
    }
    counted
}

/// Whether a thread of this process with such a name runs or waits for a processor.
pub(super) fn is_any_running(name: &str) -> bool {
    let threads = threads(std::process::id());
    let running = format!("{name} R");
    threads.keys().any(|thread| thread.starts_with(&running))
}

#[test]
fn a_socket_that_was_sent_something_has_it_unread() {
    use std::io::{Read as _, Write as _};

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut client = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let (mut served, _) = listener.accept().unwrap();
    served.write_all(b"seven b").unwrap();
    // Nothing is there to peek at before it has arrived.
    client.peek(&mut [0; 7]).unwrap();
    let unread = || to_port(port).0.iter().map(|end| end.unread).sum::<u64>();
    assert_eq!(unread(), 7);
    client.read_exact(&mut [0; 7]).unwrap();
    assert_eq!(unread(), 0);
    let (clients, servers) = to_port(port);
    assert_eq!(clients[0].port, servers[0].peer_port);
}
