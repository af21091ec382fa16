//! A broker whose volume fills up under load, again and again, killed now and then: what was confirmed is there, what
//! has no room is refused or made to wait, and it goes on when there is room again.

use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use lapin::{Channel, Connection, Event};
use tokio::time::timeout;

use crate::books::{Books, declare_queues, rounds, seed, send};
use crate::support::{PATIENCE, Process, confirm_mode, connect};
use crate::volume::Volume;

/// Four log files and a bit.
const VOLUME_BYTES: u64 = 68 << 20;
/// What others take of it at most: three log files must fit.
const BALLAST_BYTES_MAX: u64 = 16 << 20;
/// Room below which publishers wait, in rounds that have such a limit.
const FREE_LIMIT: &str = "--disk-free-limit=12582912";

/// Nothing is left to consume, and still there is no room.
const NO_ROOM: &str = "there is no room, although messages are gone";

/// A broker on the volume, with a client that publishes and one that consumes.
struct Round {
    process: Process,
    publishing: Connection,
    publisher: Channel,
    _consuming: Connection,
    consumer: Channel,
}

impl Round {
    async fn start(volume: &Volume, has_limit: bool) -> Self {
        let flags = if has_limit { &[FREE_LIMIT][..] } else { &[] };
        let process = Process::start_with(&volume.path("data"), flags);
        let publishing = connect(process.address).await;
        let publisher = publishing.create_channel().await.unwrap();
        confirm_mode(&publisher).await;
        let consuming = connect(process.address).await;
        let consumer = consuming.create_channel().await.unwrap();
        Self {
            process,
            publishing,
            publisher,
            _consuming: consuming,
            consumer,
        }
    }

    /// Publishes until messages are refused for want of room.
    async fn fill(&self, books: &mut Books) {
        loop {
            let answers = books.publish(&self.publisher, 64).await;
            assert!(answers.is_there, "a full volume is no reason to go");
            if !answers.refused.is_empty() {
                return;
            }
        }
    }

    /// Publishes until publishers are told to wait, consumes until they may go on, and hears about every message.
    async fn wait_for_room(&self, books: &mut Books, random: &mut fastrand::Rng) {
        let mut events = pin!(self.publishing.events_listener());
        let (answers, leaving) = loop {
            let leaving = books.take_leaving();
            // Of its own, because a client that has to wait waits while it sends.
            let drafts = books.draft(64);
            let mut answers = tokio::spawn(send(self.publisher.clone(), drafts, |_| {}));
            tokio::select! {
                answers = &mut answers => books.note(&answers.unwrap(), leaving),
                event = events.next() => {
                    assert!(matches!(event, Some(Event::ConnectionBlocked(_))), "{event:?}");
                    break (answers, leaving);
                }
            }
        };
        let mut idle = Instant::now();
        loop {
            // Three at least, of every queue one.
            let taken = books.take(&self.consumer, random.u64(3..200)).await;
            let taken = taken.expect("consumers are served whatever happens");
            if taken > 0 {
                idle = Instant::now();
            }
            // Not beside the taking: what is taken is noted when it is acknowledged.
            let pause = Duration::from_millis(if taken > 0 { 1 } else { 100 });
            if let Ok(event) = timeout(pause, events.next()).await {
                assert!(
                    matches!(event, Some(Event::ConnectionUnblocked)),
                    "{event:?}"
                );
                break;
            }
            assert!(idle.elapsed() < PATIENCE, "{NO_ROOM}");
        }
        let answers = timeout(PATIENCE, answers)
            .await
            .expect("those who waited are answered");
        let answers = answers.unwrap();
        assert!(answers.is_there);
        books.note(&answers, leaving);
    }

    /// Consumes until a publisher's message is taken again.
    async fn drain(&self, books: &mut Books, random: &mut fastrand::Rng) {
        let mut idle = Instant::now();
        loop {
            let taken = books.take(&self.consumer, random.u64(3..600)).await;
            if taken.expect("consumers are served whatever happens") > 0 {
                idle = Instant::now();
            }
            let answers = books.publish(&self.publisher, 1).await;
            assert!(answers.is_there);
            if answers.refused.is_empty() {
                return;
            }
            assert!(idle.elapsed() < PATIENCE, "{NO_ROOM}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_fills_up_under_load_loses_nothing_that_was_confirmed() {
    let volume = Volume::mount(VOLUME_BYTES);
    let mut books = Books::new(6000);
    let mut random = fastrand::Rng::with_seed(seed(5));
    let (mut refusals, mut waits) = (0, 0);
    for round in 0..rounds(6) {
        volume.set_ballast(random.u64(0..=BALLAST_BYTES_MAX));
        // The first two show both, whatever the seed.
        let has_limit = if round < 2 { round == 1 } else { random.bool() };
        let now = Round::start(&volume, has_limit).await;
        declare_queues(&now.consumer).await;
        books.verify(&now.consumer).await;
        if has_limit {
            now.wait_for_room(&mut books, &mut random).await;
            waits += 1;
        } else {
            now.fill(&mut books).await;
            refusals += 1;
            if random.u8(..) < 100 {
                // Killed when it is full, and started so.
                let blow = random.usize(..100);
                kill_under_load(now, &mut books, blow).await;
                continue;
            }
            now.drain(&mut books, &mut random).await;
        }
        for _ in 0..random.u64(..4) {
            let answers = books.publish(&now.publisher, random.usize(1..100)).await;
            assert!(answers.is_there);
            assert!(
                books
                    .take(&now.consumer, random.u64(1..300))
                    .await
                    .is_some()
            );
        }
        let blow = random.usize(..400);
        kill_under_load(now, &mut books, blow).await;
        if round % 10 == 9 {
            println!("round {}: {} messages held", round + 1, books.held());
        }
    }
    volume.set_ballast(0);
    let last = Round::start(&volume, false).await;
    books.verify(&last.consumer).await;
    println!(
        "{} messages, {refusals} times full, {waits} times blocked",
        books.sent()
    );
    assert!(refusals > 0 && waits > 0);
}

/// Publishes 400 messages, under which the process is killed.
async fn kill_under_load(round: Round, books: &mut Books, blow: usize) {
    let mut process = Some(round.process);
    let answers = books.publish_under(&round.publisher, 400, |sent| {
        if sent == blow {
            process = None;
        }
    });
    assert!(!answers.await.is_there, "the process was killed");
}
