//! A broker that is killed again and again under load, and one whose volume fills up: what was confirmed is there.

use std::collections::BTreeSet;

use lapin::options::{BasicAckOptions, BasicGetOptions, BasicPublishOptions};
use lapin::{BasicProperties, Channel, Confirmation};

use crate::support::{Process, confirm_mode, connect, declare};

const QUEUES: [&str; 3] = ["a", "b", "c"];

/// Rounds of a test, more of them where there is time.
fn rounds(usual: u32) -> u32 {
    let long: Option<u32> = std::env::var("WARREN_LONG")
        .ok()
        .and_then(|times| times.parse().ok());
    usual * long.unwrap_or(1).max(1)
}

/// A body that names its message, of one size or another.
fn body(number: u64) -> Vec<u8> {
    let len = 8 + usize::try_from(number % 7).unwrap() * 400;
    number.to_be_bytes().into_iter().cycle().take(len).collect()
}

fn number_of(found: &[u8]) -> u64 {
    let number = u64::from_be_bytes(*found.first_chunk().expect("a number"));
    assert!(body(number) == found, "the body of {number} is another");
    number
}

fn queue_of(number: u64) -> &'static str {
    QUEUES[usize::try_from(number).unwrap() % QUEUES.len()]
}

/// What must be in the queues, and what may be.
#[derive(Default)]
struct Books {
    next: u64,
    confirmed: BTreeSet<u64>,
    /// Sent, and nothing was heard of it.
    open: BTreeSet<u64>,
    /// Acknowledged, and nothing that was confirmed later says that the log knows it.
    leaving: BTreeSet<u64>,
    gone: BTreeSet<u64>,
}

impl Books {
    /// Publishes a burst and notes what is confirmed. False when the broker is gone.
    async fn publish(&mut self, channel: &Channel, count: u64) -> bool {
        self.publish_under(channel, count, None).await
    }

    /// As [`Books::publish`]; the blow falls when a part of the burst is sent.
    async fn publish_under(
        &mut self,
        channel: &Channel,
        count: u64,
        mut blow: Option<(u64, Process)>,
    ) -> bool {
        let mut confirms = Vec::new();
        for sent in 0..count {
            if let Some((_, process)) = blow.take_if(|(at, _)| *at == sent) {
                drop(process);
            }
            self.next += 1;
            let number = self.next;
            self.open.insert(number);
            let properties = BasicProperties::default().with_delivery_mode(2);
            let options = BasicPublishOptions::default();
            let body = body(number);
            let sent = channel.basic_publish(
                "".into(),
                queue_of(number).into(),
                options,
                &body,
                properties,
            );
            match sent.await {
                Ok(confirm) => confirms.push((number, confirm)),
                Err(_) => return false,
            }
        }
        // What was acknowledged before the burst is in the log before it.
        let leaving = std::mem::take(&mut self.leaving);
        let mut is_there = true;
        for (number, confirm) in confirms {
            match confirm.await {
                Ok(Confirmation::Ack(_)) => {
                    self.open.remove(&number);
                    self.confirmed.insert(number);
                }
                Ok(Confirmation::Nack(_) | Confirmation::NotRequested) => {}
                Err(_) => is_there = false,
            }
        }
        if is_there {
            self.gone.extend(leaving);
        } else {
            self.leaving.extend(leaving);
        }
        is_there
    }

    /// Takes some messages and acknowledges them. False when the broker is gone.
    async fn take(&mut self, channel: &Channel, count: u64) -> bool {
        for turn in 0..count {
            let options = BasicGetOptions { no_ack: false };
            let queue = queue_of(turn);
            let Ok(got) = channel.basic_get(queue.into(), options).await else {
                return false;
            };
            let Some(got) = got else { continue };
            let number = number_of(&got.delivery.data);
            assert!(!self.gone.contains(&number), "{number} is back");
            if got
                .delivery
                .acker
                .ack(BasicAckOptions::default())
                .await
                .is_err()
            {
                return false;
            }
            self.confirmed.remove(&number);
            self.open.remove(&number);
            self.leaving.insert(number);
        }
        true
    }

    /// Compares what a restarted broker has with what it must have, and puts it back.
    async fn verify(&mut self, channel: &Channel) {
        let mut found = BTreeSet::new();
        for queue in QUEUES {
            let mut last = 0;
            let mut held = None;
            loop {
                let options = BasicGetOptions { no_ack: false };
                let got = channel.basic_get(queue.into(), options).await.unwrap();
                let Some(got) = got else { break };
                let number = number_of(&got.delivery.data);
                assert!(last < number, "{last} before {number} in {queue}");
                assert!(found.insert(number), "{number} is there twice");
                last = number;
                held = Some(got);
            }
            if let Some(held) = held {
                let all = lapin::options::BasicNackOptions {
                    multiple: true,
                    requeue: true,
                };
                held.delivery.acker.nack(all).await.unwrap();
            }
        }
        let lost: Vec<_> = self.confirmed.difference(&found).collect();
        assert!(
            lost.is_empty(),
            "{} confirmed are lost: {lost:?}",
            lost.len()
        );
        let back: Vec<_> = found.intersection(&self.gone).collect();
        assert!(back.is_empty(), "acknowledged and back: {back:?}");
        for number in &found {
            let is_known = self.confirmed.contains(number)
                || self.open.contains(number)
                || self.leaving.contains(number);
            assert!(is_known, "nobody sent {number}");
        }
        self.gone.append(&mut self.leaving);
        self.gone.append(&mut self.open);
        self.gone.retain(|number| !found.contains(number));
        self.confirmed = found;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_kill_under_load_loses_what_was_confirmed_or_brings_back_what_was_done_with() {
    let directory = tempfile::tempdir().unwrap();
    let mut books = Books::default();
    let mut random = fastrand::Rng::with_seed(11);
    for round in 0..rounds(6) {
        let process = Process::start(directory.path());
        let connection = connect(process.address).await;
        let channel = connection.create_channel().await.unwrap();
        for queue in QUEUES {
            declare(&channel, queue).await;
        }
        books.verify(&channel).await;
        confirm_mode(&channel).await;
        let bursts = random.u64(3..12);
        for _ in 0..bursts {
            assert!(books.publish(&channel, random.u64(50..300)).await);
            assert!(books.take(&channel, random.u64(0..60)).await);
        }
        let blow = Some((random.u64(1..400), process));
        let is_there = books.publish_under(&channel, 400, blow).await;
        assert!(!is_there, "the process was killed");
        if round % 10 == 9 {
            println!(
                "round {}: {} messages held",
                round + 1,
                books.confirmed.len()
            );
        }
    }
    let process = Process::start(directory.path());
    let connection = connect(process.address).await;
    let channel = connection.create_channel().await.unwrap();
    books.verify(&channel).await;
    assert!(books.next > 1000, "there was no load");
}
