//! In which order consumers are given messages, how many, and what becomes of those that come back.

use std::sync::{Arc, atomic::Ordering};

use super::{
    Credit, Subscription,
    tests::{
        Inbox, body, consume, durable, message, no_headers, open, send, session, subscription,
    },
};
use crate::store::disk::FaultyDisk;

#[test]
fn consumers_take_turns_message_by_message() {
    let broker = open(&FaultyDisk::new());
    let session = session(&broker);
    durable(&session, "q");
    let inbox = Arc::new(Inbox::default());
    for tag in ["a", "b", "c"] {
        consume(&session, "q", subscription(&inbox, tag, 0));
    }
    let mut publisher = session.publisher(no_headers);
    let bodies: Vec<String> = (0..9).map(|n| n.to_string()).collect();
    let messages: Vec<_> = bodies.iter().map(|body| message("", "q", body)).collect();
    publisher.publish(&messages);
    let mut by_tag: Vec<_> = inbox
        .take()
        .iter()
        .map(|(tag, delivery)| (tag.to_string(), body(delivery)))
        .collect();
    by_tag.sort();
    let expected: Vec<_> = ["a", "b", "c"]
        .iter()
        .enumerate()
        .flat_map(|(at, tag)| [at, at + 3, at + 6].map(|n| ((*tag).to_owned(), n.to_string())))
        .collect();
    assert_eq!(by_tag, expected);
}

#[test]
fn a_higher_priority_is_served_first_while_it_can_take_more() {
    let broker = open(&FaultyDisk::new());
    let session = session(&broker);
    durable(&session, "q");
    let inbox = Arc::new(Inbox::default());
    consume(&session, "q", subscription(&inbox, "low", 0));
    consume(
        &session,
        "q",
        Subscription {
            priority: 5,
            ..subscription(&inbox, "high", 2)
        },
    );
    let mut publisher = session.publisher(no_headers);
    for n in 0..3 {
        send(&mut publisher, "", "q", &n.to_string());
    }
    let tags: Vec<_> = inbox
        .take()
        .iter()
        .map(|(tag, _)| tag.to_string())
        .collect();
    assert_eq!(tags, ["high", "high", "low"]);
}

#[test]
fn prefetch_is_exact_per_consumer_and_per_channel() {
    let broker = open(&FaultyDisk::new());
    let session = session(&broker);
    let inbox = Arc::new(Inbox::default());
    let channel = Arc::new(Credit::new(5));
    let mut publisher = session.publisher(no_headers);
    let mut queues = Vec::new();
    for name in ["one", "two"] {
        durable(&session, name);
        for n in 0..10 {
            send(&mut publisher, "", name, &n.to_string());
        }
        let subscription = Subscription {
            channel_credit: Arc::clone(&channel),
            ..subscription(&inbox, name, 3)
        };
        queues.push(consume(&session, name, subscription));
    }
    let tags = |inbox: &Inbox| {
        inbox
            .got
            .lock()
            .iter()
            .map(|(tag, _)| tag.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        tags(&inbox),
        ["one", "one", "one", "two", "two"],
        "3 each, 5 together"
    );
    let first = inbox.ids();
    queues[0].0.ack(&first[..1]);
    assert_eq!(tags(&inbox).len(), 6, "one settled, one more");
    assert_eq!(channel.in_flight(), 5);
    channel.set_limit(6);
    queues[1].0.pump();
    assert_eq!(tags(&inbox).last().unwrap(), "two");
    queues[0].1.credit().set_limit(1);
    queues[0].0.ack(&first[1..3]);
    assert_eq!(queues[0].1.credit().in_flight(), 1, "a lowered bound holds");
    queues[0].0.ack(&first[..3]);
    assert_eq!(
        queues[0].1.credit().in_flight(),
        1,
        "settling twice counts once"
    );
}

#[test]
fn a_consumer_that_cannot_take_more_leaves_messages_to_others() {
    let broker = open(&FaultyDisk::new());
    let session = session(&broker);
    durable(&session, "q");
    let (slow, fast) = (Arc::new(Inbox::default()), Arc::new(Inbox::default()));
    slow.is_blocked.store(true, Ordering::Relaxed);
    let (queue, _) = consume(&session, "q", subscription(&slow, "slow", 0));
    let mut publisher = session.publisher(no_headers);
    send(&mut publisher, "", "q", "waits");
    assert_eq!(queue.stats().ready, 1);
    consume(&session, "q", subscription(&fast, "fast", 0));
    assert_eq!(fast.bodies(), ["waits"]);
    slow.is_blocked.store(false, Ordering::Relaxed);
    queue.pump();
    send(&mut publisher, "", "q", "a");
    send(&mut publisher, "", "q", "b");
    assert_eq!((slow.bodies().len(), fast.bodies().len()), (1, 1));
}

#[test]
fn requeued_messages_go_back_to_where_they_were() {
    let broker = open(&FaultyDisk::new());
    let session = session(&broker);
    let queue = durable(&session, "q");
    let mut publisher = session.publisher(no_headers);
    for n in 0..5 {
        send(&mut publisher, "", "q", &n.to_string());
    }
    let ids: Vec<_> = (0..3)
        .map(|_| queue.get(false).unwrap().unwrap().0.id)
        .collect();
    queue.ack(&ids[1..2]);
    queue.requeue(&[ids[2], ids[0]]);
    let rest: Vec<_> = std::iter::from_fn(|| queue.get(true).unwrap())
        .map(|(d, _)| (body(&d), d.redelivered))
        .collect();
    let expected = [("0", true), ("2", true), ("3", false), ("4", false)]
        .map(|(body, again)| (body.to_owned(), again));
    assert_eq!(rest, expected);
    let stats = queue.stats();
    assert_eq!((stats.ready, stats.unacked, stats.acked_total), (0, 0, 1));
}
