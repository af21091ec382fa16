//! A node, its clients and its crashes.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    super::node::{Setup, connect, text},
    hostile::{self, Hostile},
    ledger::{End, LEVELS, Ledger, QUEUES},
    roles::{Batch, Consumer, Publisher, id_of},
};
use crate::{
    amqp::{Identification, Server, Terms},
    broker::{
        Broker, DEFAULT_VHOST, ExchangeDeclare, Queue, QueueDeclare, Table, definitions::document,
    },
    store::{
        Durability,
        disk::{Disk, Fault, FaultyDisk},
    },
};

/// Files that stay when no message does: the log being written, the next one, a few to use again, the manifests.
const FILES_MAX: usize = 12;

/// What goes bad at once, in bytes: small, as everything here is.
const PAGE: usize = 128;
/// How many pages go bad together.
const PAGES_DAMAGED: usize = 4;

pub(super) struct World {
    pub(super) random: fastrand::Rng,
    setup: Setup,
    disk: FaultyDisk,
    broker: Arc<Broker>,
    server: Arc<Server>,
    publishers: Vec<Publisher>,
    consumers: Vec<Consumer>,
    hostile: Vec<Hostile>,
    ledger: Ledger,
    next: u64,
    /// The disk was told to fail: nothing more is promised until the crash.
    is_dying: bool,
}

fn serve(broker: &Arc<Broker>) -> Arc<Server> {
    let identification = Identification {
        product: "RabbitMQ",
        version: "4.2.1",
        node_name: "rabbit@localhost".to_owned(),
    };
    Server::new(
        Arc::clone(broker),
        &identification,
        &Terms {
            channels_max: 100,
            ..Terms::default()
        },
    )
}

fn declare(broker: &Broker) -> Result<(), String> {
    let session = connect(broker);
    let wrong = |error: crate::broker::Error| error.to_string();
    let exchange = |name: &str| ExchangeDeclare {
        name: name.to_owned(),
        kind: "fanout".to_owned(),
        durable: true,
        ..ExchangeDeclare::default()
    };
    session.exchange_declare(exchange("all")).map_err(wrong)?;
    session.exchange_declare(exchange("dlx")).map_err(wrong)?;
    for (number, name) in QUEUES.iter().enumerate() {
        let burying = [("x-dead-letter-exchange".to_owned(), text("dlx"))];
        let level =
            LEVELS[number].map(|level| ("x-warren-durability".to_owned(), text(level.name())));
        let arguments: Table = burying
            .into_iter()
            .filter(|_| number == 2)
            .chain(level)
            .collect();
        let declare = QueueDeclare {
            name: (*name).to_owned(),
            durable: true,
            arguments,
            ..QueueDeclare::default()
        };
        session.queue_declare(declare).map_err(wrong)?;
        let from = if number == 3 { "dlx" } else { "all" };
        session
            .queue_bind(name, from, "", &Table::default())
            .map_err(wrong)?;
    }
    broker
        .put_user_with_password(hostile::USER, hostile::USER, &[])
        .map_err(wrong)?;
    let own = || "^h.*".to_owned();
    let permission = document::Permission {
        user: hostile::USER.to_owned(),
        vhost: DEFAULT_VHOST.to_owned(),
        configure: own(),
        write: own(),
        read: own(),
    };
    let position = broker.put_permission(&permission).map_err(wrong)?;
    // What is declared outlives all that follows, whatever the node's level.
    broker.wait(position.at(Durability::Sync)).map_err(wrong)
}

impl World {
    pub(super) fn new(seed: u64) -> Result<Self, String> {
        let mut random = fastrand::Rng::with_seed(seed);
        // Often too little memory for the messages, so that contents come back from the log.
        let mut setup = Setup::new([0, 500, 1 << 20][random.usize(..3)]);
        if random.u8(..) < 80 {
            setup.store.durability = Durability::Write;
        }
        let disk = FaultyDisk::new();
        let broker = setup.open(&disk)?;
        declare(&broker)?;
        Ok(Self {
            server: serve(&broker),
            random,
            ledger: Ledger::new(setup.store.durability),
            setup,
            disk,
            broker,
            publishers: Vec::new(),
            consumers: Vec::new(),
            hostile: Vec::new(),
            next: 0,
            is_dying: false,
        })
    }

    /// The next thing that happens, and what everybody notices of it.
    pub(super) fn step(&mut self) -> Result<(), String> {
        match self.random.u8(0..100) {
            0..30 => self.publish(),
            30..55 => {
                if let Some(at) = self.any(self.consumers.len()) {
                    let group = self.number();
                    self.consumers[at].settle(&mut self.ledger, group, &mut self.random);
                }
            }
            55..62 => {
                if let Some(at) = self.any(self.consumers.len()) {
                    self.consumers[at].get(&mut self.random);
                }
            }
            62..68 => self.come(),
            68..72 => self.leave(),
            72..82 => self.broker.store().write(),
            82..88 => self.broker.store().keep(),
            88..94 => self.provoke()?,
            94..96 => {
                let ms = self.random.u64(..100);
                self.setup.pass(&self.broker, ms);
            }
            96 if !self.is_dying => {
                self.is_dying = true;
                self.disk.inject(Fault::DiesAt(self.random.u64(..20)));
            }
            97.. => self.crash()?,
            _ => {}
        }
        self.hear()?;
        if self.broker.failed().is_some() {
            if !self.is_dying {
                return Err(format!("the log failed: {:?}", self.broker.failed()));
            }
            self.crash()?;
        }
        Ok(())
    }

    fn any(&mut self, len: usize) -> Option<usize> {
        (len > 0).then(|| self.random.usize(..len))
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn publish(&mut self) {
        let Some(at) = self.any(self.publishers.len()) else {
            return self.come();
        };
        let count = self.random.usize(1..8);
        let ids = (0..count)
            .map(|_| {
                let everywhere = self.random.u8(..) < 60;
                let queues = if everywhere {
                    vec![0, 1, 2]
                } else {
                    vec![self.random.usize(..QUEUES.len())]
                };
                (self.number(), queues)
            })
            .collect();
        let persistent = self.random.u8(..) < 220;
        let group = self.number();
        let batch = Batch { ids, persistent };
        self.publishers[at].publish(&batch, &mut self.ledger, group, &mut self.random);
    }

    fn come(&mut self) {
        let is_tx = self.random.u8(..) < 80;
        if self.is_dying {
            return;
        }
        if self.random.bool() && self.publishers.len() < 4 {
            let source = self.number();
            self.publishers
                .push(Publisher::new(&self.server, source, is_tx));
        } else if self.consumers.len() < 6 {
            let queue = self.random.usize(..QUEUES.len());
            let prefetch = self.random.u16(..5) * 3;
            self.consumers
                .push(Consumer::new(&self.server, queue, prefetch, is_tx));
        }
    }

    fn leave(&mut self) {
        if self.random.bool() {
            if let Some(at) = self.any(self.publishers.len()) {
                self.publishers.swap_remove(at);
            }
        } else if let Some(at) = self.any(self.consumers.len()) {
            self.consumers.swap_remove(at);
        }
    }

    fn provoke(&mut self) -> Result<(), String> {
        if self.hostile.len() < 2 {
            self.hostile
                .push(Hostile::new(&self.server, &mut self.random));
        }
        let at = self.random.usize(..self.hostile.len());
        if !self.hostile[at].step(&mut self.random)? {
            self.hostile.swap_remove(at);
        }
        Ok(())
    }

    /// Lets most clients read what there is for them.
    fn hear(&mut self) -> Result<(), String> {
        let mut at = 0;
        while at < self.publishers.len() {
            if self.publishers[at].hear(&mut self.ledger)? {
                at += 1;
            } else {
                self.publishers.swap_remove(at);
            }
        }
        let mut at = 0;
        while at < self.consumers.len() {
            if self.random.u8(..) < 50 || self.consumers[at].hear(&mut self.ledger)? {
                at += 1;
            } else {
                self.consumers.swap_remove(at);
            }
        }
        Ok(())
    }

    /// The process or the machine ends, and a new one looks at what is there.
    fn crash(&mut self) -> Result<(), String> {
        if self.random.u8(..) < 200 && !self.is_dying {
            // Mostly between a write and its sync: what was written may survive in pieces.
            self.publish();
            self.disk
                .inject(Fault::DiesAt([0, 1, 1, 1, 1, 2][self.random.usize(..6)]));
            self.broker.store().write();
        }
        let cut = self.random.u64(..);
        let (disk, end) = if self.random.u8(..) < 80 {
            (self.disk.kill(), End::Kill)
        } else {
            (self.disk.power_cut(cut), End::PowerCut)
        };
        self.publishers.clear();
        self.consumers.clear();
        self.hostile.clear();
        let found = self.look(&disk.kill())?;
        self.ledger.crashed(&found, end)?;
        if self.random.bool() {
            self.look_at_damage(&disk.kill())?;
        }
        // What was not synced may survive in pieces; that is no damage.
        self.broker = self.setup.open(&disk)?;
        self.server = serve(&self.broker);
        self.disk = disk;
        self.is_dying = false;
        Ok(())
    }

    /// Everything that a disk holds, without changing it.
    fn look(&self, disk: &FaultyDisk) -> Result<Vec<Vec<(u64, bool)>>, String> {
        let broker = self.setup.open(disk)?;
        drain(&broker)
    }

    /// What a disk with bad pages serves: less than before, what was done with may be back, but nothing that nobody
    /// sent.
    fn look_at_damage(&mut self, disk: &FaultyDisk) -> Result<(), String> {
        for _ in 0..PAGES_DAMAGED {
            self.damage_page(disk);
        }
        let (broker, damage) = self.setup.open_as_it_is(disk)?;
        // The user, the virtual host and the queues may be what was on the bad pages.
        let guest = broker.authenticate("guest", b"guest", true);
        let session = guest.and_then(|guest| broker.session(&guest, DEFAULT_VHOST).ok());
        let Some(session) = session else {
            return Ok(());
        };
        let queues = QUEUES.iter().map(|name| session.readable_queue(name).ok());
        let found = queues.map(|queue| queue.map_or(Ok(Vec::new()), |queue| take_all(&queue)));
        let found: Result<Vec<_>, String> = found.collect();
        let found = found.map_err(|broken| format!("with {damage:?}: {broken}"))?;
        self.ledger.damaged(&found)
    }

    /// Overwrites a page of the log or of a segment, where anything was ever written.
    fn damage_page(&mut self, disk: &FaultyDisk) {
        let mut names = disk.list().unwrap_or_default();
        names.retain(|name| name.starts_with("wal-") || name.starts_with("seg-"));
        names.sort_unstable();
        let Some(at) = self.any(names.len()) else {
            return;
        };
        let bytes = disk.bytes(&names[at]).unwrap_or_default();
        let Some(last) = bytes.iter().rposition(|byte| *byte != 0) else {
            return;
        };
        let start = self.random.usize(..=last) / PAGE * PAGE;
        let random = &mut self.random;
        disk.damage(&names[at], start as u64, |rest| {
            let len = rest.len().min(PAGE);
            rest[..len].fill_with(|| random.u8(..));
        });
    }

    /// Everybody goes; what is left is what must be left, and once that is taken nothing is.
    pub(super) fn finish(mut self) -> Result<(), String> {
        if self.is_dying {
            self.crash()?;
        }
        self.consumers.clear();
        self.hostile.clear();
        self.broker.store().write();
        self.hear()?;
        if !self.publishers.iter().all(Publisher::is_settled) {
            return Err("something durable is not confirmed".to_owned());
        }
        self.publishers.clear();
        if self.server.connections_len() > 0 {
            return Err("a connection is left".to_owned());
        }
        for (queue, found) in drain(&self.broker)?.into_iter().enumerate() {
            let mut ids = BTreeSet::new();
            for (id, redelivered) in found {
                self.ledger.delivered(id, queue, redelivered)?;
                ids.insert(id);
            }
            let expected = self.ledger.contents(queue);
            if ids != expected {
                let lost: Vec<_> = expected.difference(&ids).collect();
                return Err(format!("{} lost {lost:?}", QUEUES[queue]));
            }
        }
        for _ in 0..4 {
            // The log goes on, so that what is behind it can be let go.
            connect(&self.broker)
                .publisher(|_| Table::default())
                .publish(&[large()]);
            self.broker.store().write();
            self.broker.store().keep();
            drain(&self.broker)?;
        }
        let names = self.disk.list().map_err(|error| error.to_string())?;
        if names.len() > FILES_MAX {
            return Err(format!(
                "no message is left, and these files are: {names:?}"
            ));
        }
        self.broker.close().map_err(|error| error.to_string())
    }
}

/// Takes everything out of every queue, in order.
fn drain(broker: &Broker) -> Result<Vec<Vec<(u64, bool)>>, String> {
    let session = connect(broker);
    let mut found = Vec::new();
    for name in QUEUES {
        let queue = session
            .readable_queue(name)
            .map_err(|error| error.to_string())?;
        found.push(take_all(&queue)?);
    }
    Ok(found)
}

/// Takes everything out of a queue, in order.
fn take_all(queue: &Queue) -> Result<Vec<(u64, bool)>, String> {
    let mut messages = Vec::new();
    while let Some((delivery, _)) = queue.get(true).map_err(|error| error.to_string())? {
        if delivery.message.body().len() < LARGE {
            messages.push((id_of(delivery.message.body())?, delivery.redelivered));
        }
    }
    let stats = queue.stats();
    if (stats.ready, stats.unacked, stats.ready_bytes) != (0, 0, 0) {
        return Err(format!("{} is not empty: {stats:?}", queue.name()));
    }
    Ok(messages)
}

/// The size of a message that takes most of a log file, in bytes.
const LARGE: usize = 6000;

fn large() -> crate::broker::Publish<'static> {
    crate::broker::Publish {
        exchange: "",
        routing_key: QUEUES[0],
        properties: &[0, 0],
        body: &[0; LARGE],
        persistent: true,
        mandatory: false,
        expires: false,
        copies: &[],
    }
}
