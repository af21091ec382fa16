//! Another broker on the same loads: one that runs, or RabbitMQ as its package installs it.

use std::thread;
use std::time::{Duration, Instant};

use super::Options;
use crate::connection::{Connection, Purpose};
use crate::rabbitmq::{self, Node, Settings};
use crate::{Error, Target};

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
            return Self::start().map(Some);
        }
        let given = options.peer.clone().zip(options.peer_pid);
        Ok(given.map(|(target, pid)| Self {
            target,
            pid,
            _node: None,
        }))
    }

    fn start() -> Result<Self, Error> {
        let [amqp] = rabbitmq::free_addresses()?;
        let settings = Settings {
            plugins: &[],
            lines: "disk_free_limit.absolute = 50MB\n",
        };
        let mut node =
            Node::start(amqp, &settings).map_err(|error| not_ready(error.to_string()))?;
        let target: Target = format!("amqp://guest:guest@{amqp}").parse()?;
        await_answer(&mut node, &target)?;
        Ok(Self {
            target,
            pid: node.pid(),
            _node: Some(node),
        })
    }
}

fn await_answer(node: &mut Node, target: &Target) -> Result<(), Error> {
    let started = Instant::now();
    loop {
        let reason = match Connection::open(target, None, Purpose::Control) {
            Ok(connection) => return connection.close(),
            Err(error) => error.to_string(),
        };
        if node.ended()?.is_some() || started.elapsed() > rabbitmq::START_TIMEOUT {
            return Err(not_ready(reason));
        }
        thread::sleep(Duration::from_millis(100));
    }
}

fn not_ready(reason: String) -> Error {
    let program = rabbitmq::PROGRAM.to_owned();
    Error::Start { program, reason }
}
