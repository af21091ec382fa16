//! A broker in memory for one input: a clock that only the input moves, no threads, files so small that the log rolls.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    amqp::{Identification, Peer, Server, Terms, WireProperties},
    broker::{Broker, Clock, Damage, Error, Options},
    store::{self, Drive, disk::FaultyDisk},
};

/// A clock that stands still until it is told.
#[derive(Debug)]
struct Standing(AtomicU64);

impl Clock for Standing {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A broker and what it stands on.
pub(super) struct Node {
    pub(super) disk: FaultyDisk,
    pub(super) broker: Arc<Broker>,
    pub(super) damage: Vec<Damage>,
    clock: Arc<Standing>,
}

/// How logs are opened here.
pub(super) fn store_options() -> store::Options {
    store::Options {
        drive: Drive::Manual,
        file_bytes: 4096,
        roll_bytes: 8192,
        ..store::Options::default()
    }
}

impl Node {
    /// Opens the broker that lies on a disk.
    pub(super) fn open(disk: FaultyDisk) -> Result<Self, Error> {
        let clock = Arc::new(Standing(AtomicU64::new(1_000_000)));
        let options = Options {
            store: store_options(),
            cached_bytes_max: 1024,
            random: fastrand::Rng::with_seed(1),
            clock: Arc::<Standing>::clone(&clock),
            envelope: Arc::new(WireProperties),
            ..Options::default()
        };
        let (broker, opened) = Broker::open(Arc::new(disk.clone()), options)?;
        Ok(Self {
            disk,
            broker,
            damage: opened.damage,
            clock,
        })
    }

    /// A new one, with the user guest.
    pub(super) fn new() -> Self {
        let node = Self::open(FaultyDisk::new()).expect("an empty disk can be opened");
        let made = node
            .broker
            .put_user_with_password("guest", "guest", &["administrator"]);
        made.expect("a new broker takes users");
        node
    }

    /// Lets time pass, and what is due expire.
    pub(super) fn pass(&self, ms: u64) {
        let now_ms = self.clock.0.fetch_add(ms, Ordering::Relaxed) + ms;
        self.broker.tick(now_ms);
    }

    /// What serves AMQP.
    pub(super) fn server(&self) -> Arc<Server> {
        let identification = Identification {
            product: "RabbitMQ",
            version: "4.2.1",
            node_name: "rabbit@localhost".to_owned(),
        };
        let terms = Terms {
            channels_max: 100,
            ..Terms::default()
        };
        Server::new(Arc::clone(&self.broker), &identification, &terms)
    }
}

/// A client on this machine.
pub(super) fn peer() -> Peer {
    Peer {
        address: SocketAddr::from(([127, 0, 0, 1], 40_000)),
        local: SocketAddr::from(([127, 0, 0, 1], 5672)),
        is_secure: false,
        certificate: None,
    }
}
