//! Starts engines on ports of their own and connects lapin to them.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use broker_engine::Engine;
use broker_engine::options::Options;
use clap::Parser;
use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use tempfile::TempDir;

/// Nothing here takes longer, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    options: Options,
}

/// An engine on loopback, with the user `test` and password `secret`.
pub(crate) struct TestBroker {
    pub(crate) engine: Engine,
    pub(crate) directory: TempDir,
}

impl TestBroker {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub(crate) async fn start_with(more: &[&str]) -> Self {
        Self::open(tempfile::tempdir().unwrap(), more).await
    }

    pub(crate) async fn open(directory: TempDir, more: &[&str]) -> Self {
        let data_dir = directory.path().join("data");
        let arguments = [
            "brokerd",
            "--data-dir",
            data_dir.to_str().unwrap(),
            "--amqp=127.0.0.1:0",
            "--management=127.0.0.1:0",
            "--user=test:secret",
        ];
        let options = Command::parse_from([&arguments, more].concat()).options;
        Self {
            engine: Engine::start(options).await.unwrap(),
            directory,
        }
    }

    /// Stops cleanly and starts again on the same directory.
    pub(crate) async fn restart(self) -> Self {
        self.engine.stop().await.unwrap();
        Self::open(self.directory, &[]).await
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.engine.addresses().amqp[0]
    }

    pub(crate) async fn connect(&self) -> Connection {
        connect(self.address()).await
    }

    pub(crate) async fn channel(&self) -> (Connection, Channel) {
        let connection = self.connect().await;
        let channel = connection.create_channel().await.unwrap();
        (connection, channel)
    }
}

/// `brokerd` as a process of its own; killed when dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) management: Option<SocketAddr>,
}

impl Process {
    pub(crate) fn start(data_dir: &Path) -> Self {
        Self::start_with(data_dir, &[])
    }

    /// With the management API.
    pub(crate) fn start_managed(data_dir: &Path) -> Self {
        Self::start_with(data_dir, &["--management=127.0.0.1:0"])
    }

    /// Its number in the system.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// With more flags.
    pub(crate) fn start_with(data_dir: &Path, more: &[&str]) -> Self {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_brokerd"))
            .arg("--data-dir")
            .arg(data_dir)
            .args(["--amqp=127.0.0.1:0", "--user=test:secret", "--log=warn"])
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let served = |name: &str| {
            let mut words = line.split_whitespace();
            words.find_map(|word| word.strip_prefix(name)?.parse().ok())
        };
        Self {
            child,
            address: served("amqp=").unwrap(),
            management: served("management="),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGKILL; the process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) async fn connect(address: SocketAddr) -> Connection {
    let uri = format!("amqp://test:secret@{address}/%2f");
    Connection::connect(&uri, ConnectionProperties::default())
        .await
        .unwrap()
}

/// Declares an empty durable queue.
pub(crate) async fn declare(channel: &Channel, name: &str) {
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(name.into(), options, FieldTable::default())
        .await
        .unwrap();
}

pub(crate) async fn confirm_mode(channel: &Channel) {
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .unwrap();
}

/// Publishes a persistent, mandatory message and waits for its confirm.
pub(crate) async fn publish(
    channel: &Channel,
    exchange: &str,
    key: &str,
    body: &[u8],
) -> Confirmation {
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let properties = BasicProperties::default().with_delivery_mode(2);
    let sent = channel.basic_publish(exchange.into(), key.into(), options, body, properties);
    sent.await.unwrap().await.unwrap()
}

/// Takes one message for good: its body and redelivered flag.
pub(crate) async fn get(channel: &Channel, queue: &str) -> Option<(Vec<u8>, bool)> {
    let options = BasicGetOptions { no_ack: true };
    let message = channel.basic_get(queue.into(), options).await.unwrap()?;
    Some((message.delivery.data.to_vec(), message.delivery.redelivered))
}
