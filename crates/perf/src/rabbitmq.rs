//! RabbitMQ as Debian's package installs it, as a node of one's own to compare with.
//!
//! It listens on loopback only, keeps everything in a directory of its own, and ends with this process, however that
//! ends: node and port mapper read a pipe of ours.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The script that becomes the node; the one in `/usr/sbin` would change the user.
pub const PROGRAM: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// How long a node needs at most to answer.
pub const START_TIMEOUT: Duration = Duration::from_secs(300);

const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// What a node is to be.
#[derive(Debug, Default)]
pub struct Settings<'a> {
    /// The plugins that are enabled.
    pub plugins: &'a [&'a str],
    /// Further lines of `rabbitmq.conf`.
    pub lines: &'a str,
}

/// A node and the port mapper it insists on.
#[derive(Debug)]
pub struct Node {
    server: Child,
    mapper: Child,
    directory: TempDir,
}

impl Node {
    /// Whether there is a program to start.
    pub fn is_installed() -> bool {
        Path::new(PROGRAM).exists()
    }

    /// Starts a node that will listen for AMQP at this address. It does not answer yet.
    ///
    /// # Errors
    /// When a file cannot be written, or a program cannot be started.
    pub fn start(amqp: SocketAddr, settings: &Settings<'_>) -> io::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("warren-rabbitmq-")
            .tempdir()?;
        let path = |name: &str| directory.path().join(name);
        let [mapper_port, distribution] = free_addresses()?.map(|address| address.port());
        fs::write(
            path("enabled_plugins"),
            format!("[{}].\n", settings.plugins.join(",")),
        )?;
        let lines = format!(
            "listeners.tcp.1 = {amqp}\nlog.console = false\n{}",
            settings.lines
        );
        fs::write(path("rabbitmq.conf"), lines)?;
        let mut mapper = Command::new("sh")
            .arg("-c")
            .arg("epmd -address 127.0.0.1 -port \"$0\" & cat >/dev/null; kill $!")
            .arg(mapper_port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        let output = File::create(path("output"))?;
        let server = Command::new(PROGRAM)
            .env("HOME", directory.path())
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env("RABBITMQ_NODENAME", "warren-peer@localhost")
            .env("RABBITMQ_MNESIA_BASE", path("data"))
            .env("RABBITMQ_LOG_BASE", path("log"))
            .env("RABBITMQ_PID_FILE", path("pid"))
            .env("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", path("enabled_plugins"))
            .env("RABBITMQ_DIST_PORT", distribution.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_PORT", mapper_port.to_string())
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
        match server {
            Ok(server) => Ok(Self {
                server,
                mapper,
                directory,
            }),
            Err(error) => {
                end(&mut mapper);
                Err(error)
            }
        }
    }

    /// The node's process.
    pub fn pid(&self) -> u32 {
        self.server.id()
    }

    /// How the node ended, if it did.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.server.try_wait()
    }

    /// What the node printed so far; nothing where that cannot be read.
    pub fn output(&self) -> String {
        let output = fs::read(self.directory.path().join("output")).unwrap_or_default();
        String::from_utf8_lossy(&output).into_owned()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        end(&mut self.server);
        end(&mut self.mapper);
    }
}

/// Closes what a process reads, at which it ends; one that does not is killed.
fn end(child: &mut Child) {
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

/// Different addresses on loopback that nobody listens on.
///
/// # Errors
/// When there are no more ports.
pub fn free_addresses<const COUNT: usize>() -> io::Result<[SocketAddr; COUNT]> {
    let mut listeners = Vec::with_capacity(COUNT);
    let mut addresses = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); COUNT];
    for address in &mut addresses {
        let listener = TcpListener::bind(*address)?;
        *address = listener.local_addr()?;
        // Let go when all are bound, so that no two are the same.
        listeners.push(listener);
    }
    Ok(addresses)
}
