//! Another broker on the same loads: one that runs, or RabbitMQ as its package installs it.
//!
//! A RabbitMQ that is started here listens on loopback only, keeps everything in a directory of its own, and ends with
//! this process, however that ends: node and port mapper read a pipe of ours.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::Options;
use crate::connection::{Connection, Purpose};
use crate::{Error, Target};

/// The script that becomes the node; the one in `/usr/sbin` would change the user.
const PROGRAM: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

const START_TIMEOUT: Duration = Duration::from_secs(180);
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// A broker to compare with.
pub(super) struct Peer {
    pub(super) target: Target,
    pub(super) pid: u32,
    _node: Option<Node>,
}

impl Peer {
    /// The one that the options ask for.
    pub(super) fn new(options: &Options) -> Result<Option<Self>, Error> {
        if options.rabbitmq {
            return Node::start().map(Some);
        }
        let given = options.peer.clone().zip(options.peer_pid);
        Ok(given.map(|(target, pid)| Self {
            target,
            pid,
            _node: None,
        }))
    }
}

/// A node of RabbitMQ and the port mapper it insists on.
struct Node {
    server: Child,
    mapper: Child,
    _directory: TempDir,
}

impl Node {
    fn start() -> Result<Peer, Error> {
        let directory = tempfile::Builder::new().prefix("warren-perf-").tempdir()?;
        let path = |name: &str| directory.path().join(name);
        let [amqp, mapper_port, distribution] = free_ports()?;
        fs::write(path("enabled_plugins"), "[].\n")?;
        let settings = format!(
            "listeners.tcp.1 = {amqp}\ndisk_free_limit.absolute = 50MB\nlog.console = false\n"
        );
        fs::write(path("rabbitmq.conf"), settings)?;
        let mapper = Command::new("sh")
            .arg("-c")
            .arg("epmd -address 127.0.0.1 -port \"$0\" & cat >/dev/null; kill $!")
            .arg(mapper_port.port().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        let output = File::create(path("output"))?;
        let server = Command::new(PROGRAM)
            .env("HOME", directory.path())
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env("RABBITMQ_NODENAME", "warren-perf@localhost")
            .env("RABBITMQ_MNESIA_BASE", path("data"))
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
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn();
        let mut node = Self {
            server: server.map_err(|error| Error::Start {
                program: PROGRAM.to_owned(),
                reason: error.to_string(),
            })?,
            mapper,
            _directory: directory,
        };
        let target: Target = format!("amqp://guest:guest@{amqp}").parse()?;
        node.await_answer(&target)?;
        Ok(Peer {
            target,
            pid: node.server.id(),
            _node: Some(node),
        })
    }

    fn await_answer(&mut self, target: &Target) -> Result<(), Error> {
        let started = Instant::now();
        loop {
            let reason = match Connection::open(target, None, Purpose::Control) {
                Ok(connection) => return connection.close(),
                Err(error) => error.to_string(),
            };
            if self.server.try_wait()?.is_some() || started.elapsed() > START_TIMEOUT {
                let program = PROGRAM.to_owned();
                return Err(Error::Start { program, reason });
            }
            thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        for child in [&mut self.server, &mut self.mapper] {
            drop(child.stdin.take());
            let asked = Instant::now();
            while matches!(child.try_wait(), Ok(None)) {
                if asked.elapsed() > STOP_TIMEOUT {
                    // It may have ended in between.
                    let _ = child.kill();
                    let _ = child.wait();
                }
                thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

fn free_ports() -> Result<[SocketAddr; 3], Error> {
    let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    // All bound before any is let go, so that no two are the same.
    let listeners = [bind()?, bind()?, bind()?];
    let [first, second, third] = listeners.each_ref().map(TcpListener::local_addr);
    Ok([first?, second?, third?])
}
