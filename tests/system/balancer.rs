//! What stands before several APIs in production: passes the agents' connections to one that lives.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;

/// Runs until the test process ends.
pub(crate) struct Balancer {
    pub(crate) port: u16,
    backends: Arc<Mutex<Vec<u16>>>,
}

impl Balancer {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has free ports");
        let port = listener
            .local_addr()
            .expect("a bound listener has an address")
            .port();
        let backends = Arc::new(Mutex::new(Vec::new()));
        let known = Arc::clone(&backends);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let ports: Vec<u16> = known.lock().clone();
                let reach =
                    |port: u16| TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).ok();
                if let Some(server) = ports.into_iter().find_map(reach) {
                    join(client, server);
                }
            }
        });
        Self { port, backends }
    }

    pub(crate) fn add(&self, port: u16) {
        self.backends.lock().push(port);
    }
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
