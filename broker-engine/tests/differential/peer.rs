//! Debian's RabbitMQ as a node of the test's own: on loopback, in a directory of its own, gone with the test.
//!
//! Owns how it is started and stopped. Both its processes end when their standard input does, so that not even a
//! killed test leaves one behind.

use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::server::{PASSWORD, Server, USER};

/// The script that becomes the node; the one in `/usr/sbin` would change the user.
const PROGRAM: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

const START_MAX: Duration = Duration::from_secs(300);
const STOP_MAX: Duration = Duration::from_secs(10);

/// A running node.
pub(crate) struct Peer {
    node: Child,
    /// A shell that holds the port mapper.
    mapper: Child,
    directory: TempDir,
    pub(crate) server: Server,
}

impl Peer {
    /// Whether there is a program to start.
    pub(crate) fn is_installed() -> bool {
        Path::new(PROGRAM).exists()
    }

    /// Starts a node and waits until it answers.
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let [amqp, http, mapper_port, distribution] = free_ports();
        let path = |name: &str| directory.path().join(name);
        fs::write(
            path("enabled_plugins"),
            "[rabbitmq_management,rabbitmq_consistent_hash_exchange].\n",
        )
        .unwrap();
        let settings = format!(
            "listeners.tcp.1 = {amqp}\n\
             management.tcp.ip = {}\n\
             management.tcp.port = {}\n\
             default_user = {USER}\n\
             default_pass = {PASSWORD}\n\
             disk_free_limit.absolute = 1MB\n\
             log.console = false\n",
            http.ip(),
            http.port()
        );
        fs::write(path("rabbitmq.conf"), settings).unwrap();
        let mapper = Command::new("sh")
            .arg("-c")
            .arg("epmd -address 127.0.0.1 -port \"$0\" & cat >/dev/null; kill $!")
            .arg(mapper_port.port().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let output = fs::File::create(path("output")).unwrap();
        let node = Command::new(PROGRAM)
            .env("HOME", directory.path())
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env("RABBITMQ_NODENAME", "warren-peer@localhost")
            .env("RABBITMQ_MNESIA_BASE", path("mnesia"))
            .env("RABBITMQ_LOG_BASE", path("log"))
            .env("RABBITMQ_PID_FILE", path("pid"))
            .env("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", path("enabled_plugins"))
            .env("RABBITMQ_DIST_PORT", distribution.port().to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_PORT", mapper_port.port().to_string())
            .env("ERL_CRASH_DUMP_SECONDS", "0")
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "-kernel inet_dist_use_interface {127,0,0,1}",
            )
            // The script becomes the node, and the node reads its standard input.
            .env("RABBITMQ_ALLOW_INPUT", "1")
            .current_dir(directory.path())
            .stdin(Stdio::piped())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        let mut peer = Self {
            node,
            mapper,
            directory,
            server: Server { amqp, http },
        };
        peer.await_answer();
        peer
    }

    fn await_answer(&mut self) {
        let deadline = Instant::now() + START_MAX;
        while !self.server.is_up() {
            let ended = self.node.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "RabbitMQ does not start ({ended:?}): {}",
                self.output()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn output(&self) -> String {
        let mut output = Vec::new();
        let file = fs::File::open(self.directory.path().join("output"));
        // What cannot be read is not told.
        let _ = file.and_then(|mut file| file.read_to_end(&mut output));
        String::from_utf8_lossy(&output).into_owned()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        for child in [&mut self.node, &mut self.mapper] {
            drop(child.stdin.take());
            let deadline = Instant::now() + STOP_MAX;
            while matches!(child.try_wait(), Ok(None)) {
                if Instant::now() > deadline {
                    // It may have ended in between.
                    let _ = child.kill();
                    let _ = child.wait();
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

fn free_ports() -> [SocketAddr; 4] {
    let listeners = [(); 4].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap())
}
