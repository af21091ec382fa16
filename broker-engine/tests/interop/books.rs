//! What a client was told and what it did, and what a broker must therefore hold after whatever happened to it.
//!
//! Every message has a number of its own; queues are served in the order of numbers. A message that was seen once says
//! so when it comes again.

use std::collections::BTreeSet;

use lapin::options::{
    BasicAckOptions, BasicGetOptions, BasicNackOptions, BasicPublishOptions, BasicQosOptions,
};
use lapin::{BasicProperties, Channel, Confirmation};

use crate::support::declare;

const QUEUES: [&str; 3] = ["a", "b", "c"];

/// Rounds of a test, more of them where there is time.
pub(crate) fn rounds(usual: u32) -> u32 {
    let long: Option<u32> = std::env::var("WARREN_LONG")
        .ok()
        .and_then(|times| times.parse().ok());
    usual * long.unwrap_or(1).max(1)
}

/// The seed of a test's choices: the usual one, or another where one is asked for.
pub(crate) fn seed(usual: u64) -> u64 {
    let asked = std::env::var("WARREN_SEED");
    asked
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(usual)
}

/// Declares the queues that the books are of.
pub(crate) async fn declare_queues(channel: &Channel) {
    for queue in QUEUES {
        declare(channel, queue).await;
    }
}

fn queue_of(number: u64) -> &'static str {
    QUEUES[usize::try_from(number).expect("numbers are small") % QUEUES.len()]
}

/// A message to be sent.
pub(crate) struct Draft {
    number: u64,
    body: Vec<u8>,
}

/// Sends messages and waits for every answer; `between` is called before each one with how many were sent.
pub(crate) async fn send(
    channel: Channel,
    drafts: Vec<Draft>,
    mut between: impl FnMut(usize),
) -> Answers {
    let mut answers = Answers {
        is_there: true,
        ..Answers::default()
    };
    let mut confirms = Vec::new();
    for (sent, Draft { number, body }) in drafts.into_iter().enumerate() {
        between(sent);
        let properties = BasicProperties::default().with_delivery_mode(2);
        let options = BasicPublishOptions::default();
        let queue = queue_of(number);
        let sent = channel.basic_publish("".into(), queue.into(), options, &body, properties);
        match sent.await {
            Ok(confirm) => confirms.push((number, confirm)),
            Err(_) => {
                answers.is_there = false;
                break;
            }
        }
    }
    for (number, confirm) in confirms {
        match confirm.await {
            Ok(Confirmation::Ack(_)) => answers.confirmed.push(number),
            Ok(Confirmation::Nack(_) | Confirmation::NotRequested) => answers.refused.push(number),
            Err(_) => answers.is_there = false,
        }
    }
    answers
}

/// What the broker said about messages.
#[derive(Default)]
pub(crate) struct Answers {
    confirmed: Vec<u64>,
    pub(crate) refused: Vec<u64>,
    /// The broker was there until the last answer.
    pub(crate) is_there: bool,
}

/// What must be in the queues, and what may be.
pub(crate) struct Books {
    /// By how much the bodies differ, in bytes.
    body_step: usize,
    next: u64,
    confirmed: BTreeSet<u64>,
    /// Sent, and nothing was heard of it, or that it was refused.
    open: BTreeSet<u64>,
    /// Acknowledged, and nothing that was confirmed later says that the log knows it.
    leaving: BTreeSet<u64>,
    gone: BTreeSet<u64>,
    /// Came to a client once.
    seen: BTreeSet<u64>,
}

impl Books {
    /// Of messages of seven sizes, this many bytes apart.
    pub(crate) fn new(body_step: usize) -> Self {
        Self {
            body_step,
            next: 0,
            confirmed: BTreeSet::new(),
            open: BTreeSet::new(),
            leaving: BTreeSet::new(),
            gone: BTreeSet::new(),
            seen: BTreeSet::new(),
        }
    }

    /// How many messages were sent.
    pub(crate) fn sent(&self) -> u64 {
        self.next
    }

    /// How many messages must be there.
    pub(crate) fn held(&self) -> usize {
        self.confirmed.len()
    }

    /// A body that names its message, of one size or another.
    fn body(&self, number: u64) -> Vec<u8> {
        let step = usize::try_from(number % 7).expect("a remainder is small");
        let len = 8 + step * self.body_step;
        number.to_be_bytes().into_iter().cycle().take(len).collect()
    }

    fn number_of(&self, found: &[u8]) -> u64 {
        let number = u64::from_be_bytes(*found.first_chunk().expect("a number"));
        assert!(
            self.body(number) == found,
            "the body of {number} is another"
        );
        number
    }

    /// Notes that a client has it.
    fn see(&mut self, number: u64, redelivered: bool) {
        assert!(!self.gone.contains(&number), "{number} is back");
        let is_first = self.seen.insert(number);
        assert!(
            is_first || redelivered,
            "{number} comes again and does not say so"
        );
    }

    /// Messages that are going to be sent.
    pub(crate) fn draft(&mut self, count: usize) -> Vec<Draft> {
        let number = |books: &mut Self| {
            books.next += 1;
            books.open.insert(books.next);
            Draft {
                number: books.next,
                body: books.body(books.next),
            }
        };
        (0..count).map(|_| number(self)).collect()
    }

    /// Notes what was answered to messages that were sent after `leaving` was taken.
    pub(crate) fn note(&mut self, answers: &Answers, leaving: BTreeSet<u64>) {
        for number in &answers.confirmed {
            // Another client may have taken it meanwhile.
            if self.open.remove(number) {
                self.confirmed.insert(*number);
            }
        }
        // The log is one sequence: what was acknowledged before something that it confirmed is in it.
        if answers.is_there && !answers.confirmed.is_empty() {
            self.gone.extend(leaving);
        } else {
            self.leaving.extend(leaving);
        }
    }

    /// What was acknowledged so far and may still come back.
    pub(crate) fn take_leaving(&mut self) -> BTreeSet<u64> {
        std::mem::take(&mut self.leaving)
    }

    /// Publishes a burst and notes what is confirmed.
    pub(crate) async fn publish(&mut self, channel: &Channel, count: usize) -> Answers {
        self.publish_under(channel, count, |_| {}).await
    }

    /// As [`Books::publish`]; `between` is called before each message with how many were sent.
    pub(crate) async fn publish_under(
        &mut self,
        channel: &Channel,
        count: usize,
        between: impl FnMut(usize),
    ) -> Answers {
        let leaving = self.take_leaving();
        let answers = send(channel.clone(), self.draft(count), between).await;
        self.note(&answers, leaving);
        answers
    }

    /// Takes some messages of all queues and acknowledges them: how many, unless the broker is gone.
    pub(crate) async fn take(&mut self, channel: &Channel, count: u64) -> Option<u64> {
        let mut taken = 0;
        for turn in 0..count {
            let options = BasicGetOptions { no_ack: false };
            let got = channel
                .basic_get(queue_of(turn).into(), options)
                .await
                .ok()?;
            let Some(got) = got else { continue };
            let number = self.number_of(&got.delivery.data);
            self.see(number, got.delivery.redelivered);
            let acked = got.delivery.acker.ack(BasicAckOptions::default()).await;
            acked.ok()?;
            self.confirmed.remove(&number);
            self.open.remove(&number);
            self.leaving.insert(number);
            taken += 1;
        }
        // Answered when every acknowledgement before it was acted on, also as other connections see it.
        channel
            .basic_qos(0, BasicQosOptions::default())
            .await
            .ok()?;
        Some(taken)
    }

    /// Compares what a restarted broker has with what it must have, and puts it back.
    pub(crate) async fn verify(&mut self, channel: &Channel) {
        let mut found = BTreeSet::new();
        for queue in QUEUES {
            let mut last = 0;
            let mut held = None;
            loop {
                let options = BasicGetOptions { no_ack: false };
                let got = channel.basic_get(queue.into(), options).await;
                let Some(got) = got.expect("the broker answers") else {
                    break;
                };
                let number = self.number_of(&got.delivery.data);
                assert!(last < number, "{last} before {number} in {queue}");
                assert!(found.insert(number), "{number} is there twice");
                self.see(number, got.delivery.redelivered);
                last = number;
                held = Some(got);
            }
            if let Some(held) = held {
                let all = BasicNackOptions {
                    multiple: true,
                    requeue: true,
                };
                let back = held.delivery.acker.nack(all).await;
                back.expect("the broker takes them back");
            }
        }
        let lost: Vec<_> = self.confirmed.difference(&found).collect();
        assert!(
            lost.is_empty(),
            "{} confirmed are lost: {lost:?}",
            lost.len()
        );
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
