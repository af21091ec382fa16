//! What stands before several APIs in production: passes connections on to one that lives.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use test_support::network;

/// Between two looks at who is ready.
const LOOK: Duration = Duration::from_millis(100);

/// Runs until the test process ends.
pub(crate) struct Balancer {
    pub(crate) port: u16,
    backends: Arc<Mutex<Vec<Backend>>>,
}

#[derive(Clone, Copy)]
struct Backend {
    port: u16,
    is_ready: bool,
}

impl Balancer {
    /// Believes in whoever accepts connections, the first of them first.
    pub(crate) fn start() -> Self {
        Self::choosing(|backends| backends.to_vec())
    }

    /// Asks every backend at this path, and passes connections on to those in turn that say that they
    /// are ready. It looks into no connection, and repeats nothing.
    pub(crate) fn asking(path: &'static str) -> Self {
        let mut turn: usize = 0;
        let balancer = Self::choosing(move |backends| {
            let mut ready: Vec<Backend> = backends.iter().filter(|b| b.is_ready).copied().collect();
            turn = turn.wrapping_add(1);
            let count = ready.len();
            ready.rotate_left(turn.checked_rem(count).unwrap_or(0));
            ready
        });
        let known = Arc::clone(&balancer.backends);
        thread::spawn(move || {
            loop {
                let ports: Vec<u16> = known.lock().iter().map(|backend| backend.port).collect();
                for port in ports {
                    let answer = network::get(address(port), path);
                    let is_ready = answer.is_some_and(|(status, _)| status == 200);
                    let mut backends = known.lock();
                    let backend = backends.iter_mut().find(|backend| backend.port == port);
                    if let Some(backend) = backend {
                        backend.is_ready = is_ready;
                    }
                }
                thread::sleep(LOOK);
            }
        });
        balancer
    }

    fn choosing(mut choose: impl FnMut(&[Backend]) -> Vec<Backend> + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has free ports");
        let port = listener
            .local_addr()
            .expect("a bound listener has an address")
            .port();
        let backends = Arc::new(Mutex::new(Vec::new()));
        let known = Arc::clone(&backends);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let chosen = choose(&known.lock());
                let reach = |backend: Backend| TcpStream::connect(address(backend.port)).ok();
                if let Some(server) = chosen.into_iter().find_map(reach) {
                    join(client, server);
                }
            }
        });
        Self { port, backends }
    }

    pub(crate) fn add(&self, port: u16) {
        self.backends.lock().push(Backend {
            port,
            is_ready: true,
        });
    }
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn join(client: TcpStream, server: TcpStream) {
    let both = || Ok::<_, io::Error>((client.try_clone()?, server.try_clone()?));
    let Ok((client_again, server_again)) = both() else {
        return;
    };
    for (mut from, mut to) in [(client, server), (server_again, client_again)] {
        thread::spawn(move || {
            // Either side may vanish at any time: that is what is tested.
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
        });
    }
}
