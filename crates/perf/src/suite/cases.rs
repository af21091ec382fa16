//! The cases and their targets, for a Linux machine with two cores.

use crate::load::{Ack, Options as LoadOptions};

/// Flag of brokers that let their operator choose when a persistent message counts as safe.
const DURABILITY: &str = "--durability";

/// One line of the table.
pub(super) struct Case {
    pub(super) name: &'static str,
    title: &'static str,
    quick_title: Option<&'static str>,
    pub(super) must: f64,
    pub(super) stretch: f64,
    pub(super) unit: &'static str,
    /// Without this flag, the broker does not serve the case.
    pub(super) needs: Option<&'static str>,
    pub(super) kind: Kind,
}

pub(super) enum Kind {
    /// CPU of the broker for each message.
    Cpu(Load),
    /// CPU of the broker divided by that of the relay.
    AgainstRelay(Load),
    /// CPU with two worker threads divided by that with one.
    Workers(Load),
    Idle {
        is_tls: bool,
    },
    Backlog,
    /// Time for each of so many declarations.
    Declares(usize),
    /// Of each of so many queues.
    QueueMemory(usize),
    QueueDisk(usize),
    RestartBacklog,
    RestartQueues(usize),
}

/// A load, and the broker that it is put on.
pub(super) struct Load {
    pub(super) options: fn() -> LoadOptions,
    pub(super) arguments: &'static [&'static str],
    pub(super) is_tls: bool,
}

impl Case {
    pub(super) fn title(&self, is_quick: bool) -> &'static str {
        self.quick_title.filter(|_| is_quick).unwrap_or(self.title)
    }
}

const fn load(options: fn() -> LoadOptions) -> Load {
    Load {
        options,
        arguments: &[],
        is_tls: false,
    }
}

const fn case(
    name: &'static str,
    title: &'static str,
    (must, stretch, unit): (f64, f64, &'static str),
    kind: Kind,
) -> Case {
    Case {
        name,
        title,
        quick_title: None,
        must,
        stretch,
        unit,
        needs: None,
        kind,
    }
}

const fn counted(
    name: &'static str,
    (title, quick_title): (&'static str, &'static str),
    targets: (f64, f64, &'static str),
    kind: Kind,
) -> Case {
    let mut case = case(name, title, targets, kind);
    case.quick_title = Some(quick_title);
    case
}

fn auto() -> LoadOptions {
    LoadOptions::default()
}

fn manual() -> LoadOptions {
    LoadOptions {
        ack: Ack::Multiple(100),
        confirm: Some(1000),
        ..auto()
    }
}

fn single() -> LoadOptions {
    LoadOptions {
        ack: Ack::Each,
        ..auto()
    }
}

fn kibibyte() -> LoadOptions {
    LoadOptions {
        size: 1024,
        ..auto()
    }
}

fn durable() -> LoadOptions {
    LoadOptions {
        size: 1024,
        persistent: true,
        ack: Ack::Each,
        confirm: Some(1000),
        ..auto()
    }
}

fn durable_64() -> LoadOptions {
    LoadOptions {
        publishers: 4,
        consumers: 4,
        queues: 64,
        ..durable()
    }
}

fn topic() -> LoadOptions {
    LoadOptions {
        topic: Some(1000),
        ..auto()
    }
}

fn fanout() -> LoadOptions {
    LoadOptions {
        fanout: true,
        queues: 4,
        consumers: 4,
        ..auto()
    }
}

fn paced() -> LoadOptions {
    LoadOptions {
        rate: Some(10_000.0),
        ..auto()
    }
}

fn four() -> LoadOptions {
    LoadOptions {
        publishers: 4,
        consumers: 4,
        queues: 4,
        ..auto()
    }
}

/// In the order of the table.
pub(super) const CASES: &[Case] = &[
    case(
        "auto",
        "16 B, auto-ack, transient",
        (0.12, 0.085, "µs"),
        Kind::Cpu(load(auto)),
    ),
    case(
        "manual",
        "16 B, manual ack each 100, confirms (window 1000)",
        (0.18, 0.12, "µs"),
        Kind::Cpu(load(manual)),
    ),
    case(
        "single",
        "16 B, single acks",
        (0.22, 0.15, "µs"),
        Kind::Cpu(load(single)),
    ),
    case(
        "kibibyte",
        "1 KiB auto-ack",
        (0.80, 0.65, "µs"),
        Kind::Cpu(load(kibibyte)),
    ),
    Case {
        needs: Some(DURABILITY),
        ..case(
            "write",
            "1 KiB persistent, single acks, confirm after write",
            (1.3, 1.1, "µs"),
            Kind::Cpu(Load {
                arguments: &[DURABILITY, "write"],
                ..load(durable)
            }),
        )
    },
    case(
        "sync",
        "1 KiB persistent, single acks, confirm after fdatasync",
        (1.8, 1.4, "µs"),
        Kind::Cpu(load(durable)),
    ),
    case(
        "sync-64",
        "the same on 64 queues at once",
        (2.2, 1.6, "µs"),
        Kind::Cpu(load(durable_64)),
    ),
    case(
        "topic",
        "topic exchange, 1,000 bindings",
        (0.30, 0.20, "µs"),
        Kind::Cpu(load(topic)),
    ),
    case(
        "fanout",
        "fan-out, per delivery, 16 B",
        (0.08, 0.05, "µs"),
        Kind::Cpu(load(fanout)),
    ),
    case(
        "tls",
        "16 B over TLS 1.3, auto-ack",
        (0.5, 0.35, "µs"),
        Kind::Cpu(Load {
            is_tls: true,
            ..load(auto)
        }),
    ),
    case(
        "paced",
        "10,000 msg/s one by one: CPU against the relay",
        (1.25, 1.1, "×"),
        Kind::AgainstRelay(load(paced)),
    ),
    case(
        "workers",
        "two workers against one, 4 publishers, 4 consumers, 4 queues",
        (1.15, 1.05, "×"),
        Kind::Workers(load(four)),
    ),
    counted(
        "idle",
        (
            "idle connection with a channel (4,000)",
            "idle connection with a channel (500)",
        ),
        (6.0, 3.0, "KiB"),
        Kind::Idle { is_tls: false },
    ),
    counted(
        "idle-tls",
        (
            "idle connection with a channel, TLS (2,000)",
            "idle connection with a channel, TLS (250)",
        ),
        (30.0, 20.0, "KiB"),
        Kind::Idle { is_tls: true },
    ),
    counted(
        "backlog",
        (
            "10 million ready messages: heap per message",
            "500,000 ready messages: heap per message",
        ),
        (2.0, 0.0, "B"),
        Kind::Backlog,
    ),
    counted(
        "declares",
        (
            "durable declares over 64 connections (10,000): time for each",
            "durable declares over 64 connections (1,000): time for each",
        ),
        (200.0, 100.0, "µs"),
        Kind::Declares(10_000),
    ),
    counted(
        "queue-memory",
        (
            "empty durable queue: memory (10,000)",
            "empty durable queue: memory (1,000)",
        ),
        (4096.0, 2048.0, "B"),
        Kind::QueueMemory(10_000),
    ),
    counted(
        "queue-disk",
        (
            "empty durable queue: disk (10,000)",
            "empty durable queue: disk (1,000)",
        ),
        (512.0, 256.0, "B"),
        Kind::QueueDisk(10_000),
    ),
    counted(
        "restart-backlog",
        (
            "restart with 10 million ready messages in one queue",
            "restart with 500,000 ready messages in one queue",
        ),
        (1.0, 0.5, "s"),
        Kind::RestartBacklog,
    ),
    counted(
        "restart-queues",
        ("restart with 10,000 queues", "restart with 1,000 queues"),
        (3.0, 1.5, "s"),
        Kind::RestartQueues(10_000),
    ),
    counted(
        "queue-memory-100k",
        (
            "empty durable queue: memory (100,000)",
            "empty durable queue: memory (10,000)",
        ),
        (4096.0, 2048.0, "B"),
        Kind::QueueMemory(100_000),
    ),
    counted(
        "queue-disk-100k",
        (
            "empty durable queue: disk (100,000)",
            "empty durable queue: disk (10,000)",
        ),
        (512.0, 256.0, "B"),
        Kind::QueueDisk(100_000),
    ),
    counted(
        "restart-queues-100k",
        ("restart with 100,000 queues", "restart with 10,000 queues"),
        (10.0, 3.0, "s"),
        Kind::RestartQueues(100_000),
    ),
];
