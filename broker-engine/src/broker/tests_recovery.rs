//! What a node has again when it starts, and what it refuses when its volume is full.

use std::sync::Arc;

use super::{
    Broker, DEFAULT_VHOST, Error, ExchangeDeclare, Options, Publish, QueueDeclare, Subscription,
    Table,
    definitions::document,
    tests::{
        Inbox, body, consume, durable, message, no_headers, open, options, send, session,
        subscription,
    },
};
use crate::store::{self, MessageId, disk::FaultyDisk};

#[test]
fn what_was_handed_out_is_redelivered_after_a_restart_and_nothing_else() {
    let disk = FaultyDisk::new();
    let broker = open(&disk);
    let session_one = session(&broker);
    let queue = durable(&session_one, "q");
    let mut publisher = session_one.publisher(no_headers);
    for n in 0..4 {
        send(&mut publisher, "", "q", &n.to_string());
    }
    let out: Vec<_> = (0..2)
        .map(|_| queue.get(false).unwrap().unwrap().0)
        .collect();
    queue.ack(&[out[0].id]);
    // Nothing of what follows the delivery was written before the process was killed.
    let killed = disk.kill();
    queue.requeue(&[out[1].id]);
    broker.close().unwrap();

    for (disk, is_clean) in [(disk.kill(), true), (killed, false)] {
        let broker = open(&disk);
        let queue = session(&broker).readable_queue("q").unwrap();
        let got: Vec<_> = std::iter::from_fn(|| queue.get(true).unwrap())
            .map(|(d, _)| (body(&d), d.redelivered))
            .collect();
        let handed_out = got.iter().find(|(body, _)| body == "1").unwrap();
        assert!(handed_out.1, "a second delivery says so");
        if is_clean {
            let expected = [("1", true), ("2", false), ("3", false)]
                .map(|(body, again)| (body.to_owned(), again));
            assert_eq!(got, expected);
        }
    }
}

#[test]
fn what_is_handed_out_of_a_long_backlog_says_so_after_a_power_cut() {
    // More entries than one statement of the log covers.
    const SENT: usize = 4_300;
    const GOT: usize = 4_200;
    let mut options = options();
    (options.store.file_bytes, options.store.roll_bytes) = (4 << 20, 8 << 20);
    let disk = FaultyDisk::new();
    let (broker, _) = Broker::open(Arc::new(disk.clone()), options).unwrap();
    broker
        .put_user_with_password("guest", "guest", &["administrator"])
        .unwrap();
    let session_one = session(&broker);
    let queue = durable(&session_one, "q");
    let mut publisher = session_one.publisher(no_headers);
    let sent = (0..SENT).map(|n| send(&mut publisher, "", "q", &n.to_string()).durable);
    broker.wait(sent.last().flatten().unwrap()).unwrap();
    for _ in 0..GOT {
        queue.get(false).unwrap().unwrap();
    }
    let broker = open(&disk.power_cut(1));
    let queue = session(&broker).readable_queue("q").unwrap();
    let again: Vec<_> = std::iter::from_fn(|| queue.get(true).unwrap())
        .map(|(delivery, _)| delivery.redelivered)
        .collect();
    assert_eq!(again.len(), SENT);
    let silent = again[..GOT].iter().filter(|again| !**again).count();
    assert_eq!(silent, 0, "second deliveries that do not say so");
}

#[test]
fn only_persistent_messages_in_durable_queues_survive() {
    let disk = FaultyDisk::new();
    let broker = open(&disk);
    let first = session(&broker);
    durable(&first, "durable");
    first
        .queue_declare(QueueDeclare {
            name: "transient".to_owned(),
            ..Default::default()
        })
        .unwrap();
    for queue in ["durable", "transient"] {
        first
            .queue_bind(queue, "amq.fanout", "", &Table::default())
            .unwrap();
    }
    let mut publisher = first.publisher(no_headers);
    let outcome = publisher.publish(&[
        message("amq.fanout", "", "kept"),
        Publish {
            persistent: false,
            ..message("amq.fanout", "", "lost")
        },
    ]);
    broker.wait(outcome.durable.unwrap()).unwrap();
    let transient_only = publisher.publish(&[Publish {
        persistent: false,
        ..message("amq.fanout", "", "lost")
    }]);
    assert_eq!(transient_only.durable, None, "nothing to wait for");
    assert_eq!(first.queue_check("transient").unwrap().messages, 3);
    let broker = open(&disk.power_cut(3));
    let second = session(&broker);
    assert_eq!(second.queue_check("durable").unwrap().messages, 1);
    assert!(matches!(
        second.queue_check("transient"),
        Err(Error::NotFound(_))
    ));
    let mut publisher = second.publisher(no_headers);
    send(&mut publisher, "amq.fanout", "", "the binding is there");
    assert_eq!(second.queue_check("durable").unwrap().messages, 2);
}

#[test]
fn contents_beyond_the_cache_come_back_from_the_log() {
    let disk = FaultyDisk::new();
    let small = Options {
        cached_bytes_max: 100,
        ..options()
    };
    let (broker, _) = Broker::open(Arc::new(disk.clone()), small).unwrap();
    broker
        .put_user_with_password("guest", "guest", &[])
        .unwrap();
    let session = session(&broker);
    let queue = durable(&session, "q");
    let mut publisher = session.publisher(no_headers);
    let bodies: Vec<String> = (0..200).map(|n| format!("message number {n}")).collect();
    for body in &bodies {
        send(&mut publisher, "", "q", body);
    }
    let inbox = Arc::new(Inbox::default());
    consume(
        &session,
        "q",
        Subscription {
            no_ack: true,
            ..subscription(&inbox, "t", 0)
        },
    );
    assert_eq!(inbox.bodies(), bodies);
    assert_eq!(queue.stats().delivered_total, 200);
    broker.close().unwrap();
    let broker = open(&disk.kill());
    assert_eq!(
        broker
            .vhost(DEFAULT_VHOST)
            .unwrap()
            .queue("q")
            .unwrap()
            .stats()
            .ready,
        0
    );
}

#[test]
fn a_full_volume_refuses_the_batch_and_says_so() {
    let disk = FaultyDisk::new();
    let broker = open(&disk);
    let session = session(&broker);
    let queue = durable(&session, "q");
    disk.set_capacity_bytes(Some(1));
    let mut publisher = session.publisher(no_headers);
    let (mut accepted, large) = (0, "x".repeat(1000));
    let outcome = loop {
        let outcome = send(&mut publisher, "", "q", &large);
        if outcome.error.is_some() {
            break outcome;
        }
        accepted += 1;
    };
    assert!(matches!(
        outcome.error,
        Some(Error::Store(store::Error::NoSpace))
    ));
    assert_eq!((outcome.accepted, queue.stats().ready), (0, accepted));
}

/// What a broker must bring back.
fn durable_image(broker: &Broker) -> Vec<String> {
    let mut image = Vec::new();
    for vhost in broker.vhosts() {
        for queue in vhost.queues().iter().filter(|queue| queue.is_logged()) {
            let logged: Vec<(MessageId, u8)> = queue.logged();
            image.push(format!(
                "queue {} {:?} {logged:?}",
                queue.name(),
                queue.settings()
            ));
        }
        for (name, settings) in vhost
            .exchanges()
            .iter()
            .filter(|(_, settings)| settings.durable)
        {
            image.push(format!("exchange {name} {settings:?}"));
        }
        image.extend(vhost.durable_bindings());
    }
    image.sort();
    image
}

#[test]
fn what_recovers_is_what_ran() {
    for seed in 0..30 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut disk = FaultyDisk::new();
        for life in 0..3 {
            let broker = open(&disk);
            let session = session(&broker);
            let mut publisher = session.publisher(no_headers);
            for step in 0..80 {
                let name = format!("q{}", random.u8(..4));
                let exchange = format!("e{}", random.u8(..3));
                let key = format!("k{}", random.u8(..3));
                match random.u8(..12) {
                    0 => {
                        durable(&session, &name);
                    }
                    1 => {
                        let kind = ["direct", "topic"][usize::from(random.bool())].to_owned();
                        let (durable, auto_delete) = (random.bool(), random.bool());
                        let name = exchange;
                        // A redeclaration that differs is refused, which is fine here.
                        let declare = ExchangeDeclare {
                            name,
                            kind,
                            durable,
                            auto_delete,
                            ..Default::default()
                        };
                        let _ = session.exchange_declare(declare);
                    }
                    2 => drop(session.queue_bind(&name, &exchange, &key, &Table::default())),
                    3 => drop(session.queue_unbind(&name, &exchange, &key, &Table::default())),
                    4 if random.bool() => drop(session.queue_delete(&name, false, false)),
                    5 if random.bool() => drop(session.exchange_delete(&exchange, false)),
                    6 => drop(session.queue_purge(&name)),
                    7 | 8 => {
                        let Ok(queue) = session.readable_queue(&name) else {
                            continue;
                        };
                        let Some((delivery, _)) = queue.get(false).unwrap() else {
                            continue;
                        };
                        match random.u8(..3) {
                            0 => queue.ack(&[delivery.id]),
                            1 => queue.requeue(&[delivery.id]),
                            _ => queue.discard(&[delivery.id]),
                        }
                    }
                    _ => {
                        let to = if random.bool() {
                            ("", name.as_str())
                        } else {
                            (exchange.as_str(), key.as_str())
                        };
                        send(&mut publisher, to.0, to.1, &step.to_string());
                    }
                }
            }
            let position = broker
                .put_vhost(&document::Vhost {
                    name: format!("v{seed}.{life}"),
                    ..document::Vhost::default()
                })
                .unwrap()
                .1;
            broker.wait(position).unwrap();
            let running = durable_image(&broker);
            disk = disk.power_cut(seed);
            assert_eq!(
                durable_image(&open(&disk.kill())),
                running,
                "seed {seed}, life {life}"
            );
        }
    }
}
