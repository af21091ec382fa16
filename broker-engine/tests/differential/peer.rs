//! Debian's RabbitMQ as a node of the test's own.

use std::time::{Duration, Instant};

use perf::rabbitmq::{self, Node, Settings};

use crate::server::{PASSWORD, Server, USER};

/// A running node.
pub(crate) struct Peer {
    node: Node,
    pub(crate) server: Server,
}

impl Peer {
    /// Starts a node and waits until it answers.
    pub(crate) fn start() -> Self {
        let [amqp, http] = rabbitmq::free_addresses().unwrap();
        let lines = format!(
            "management.tcp.ip = {}\n\
             management.tcp.port = {}\n\
             default_user = {USER}\n\
             default_pass = {PASSWORD}\n\
             disk_free_limit.absolute = 1MB\n",
            http.ip(),
            http.port()
        );
        let settings = Settings {
            plugins: &["rabbitmq_management", "rabbitmq_consistent_hash_exchange"],
            lines: &lines,
        };
        let mut peer = Self {
            node: Node::start(amqp, &settings).unwrap(),
            server: Server { amqp, http },
        };
        peer.await_answer();
        peer
    }

    fn await_answer(&mut self) {
        let deadline = Instant::now() + rabbitmq::START_TIMEOUT;
        while !self.server.is_up() {
            let ended = self.node.ended().unwrap();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "RabbitMQ does not start ({ended:?}): {}",
                self.node.output()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
