//! Clients that come, do a little of everything, and go: some politely, some not. What they make they take away again,
//! or the broker does in time.
//!
//! Owns who they are and that each of their rounds ends; what the rounds are is `rounds`, and why one does not end
//! `stall`.

mod rounds;
mod sockets;
mod stall;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use lapin::options::QueuePurgeOptions;
use lapin::{Channel, Connection, ConnectionProperties};
use parking_lot::Mutex;
use tokio::task::JoinSet;

use self::rounds::{DEAD, SHARED, STEADY};
use self::stall::End;

/// Time between two rounds of one actor: enough of them, and other tests get their turn.
const PAUSE: Duration = Duration::from_millis(15);

/// The shortest time after which the broker gives a client up that says nothing, with a margin: while it logs in, and
/// between requests of HTTP.
const IMPATIENCE: Duration = Duration::from_secs(8);

/// Where everybody goes.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) amqp: SocketAddr,
    pub(crate) management: SocketAddr,
    /// The broker's number in the system.
    pub(crate) process: u32,
}

/// Somebody who repeats one kind of round, and says what it is at.
pub(crate) struct Actor {
    place: Place,
    /// Its connections have it too, so that the broker can tell whose they are.
    name: &'static str,
    at: Mutex<(&'static str, Instant)>,
    /// The longest time that one step of this round took, and the pause before it.
    slowest: Mutex<Duration>,
    steps: AtomicU64,
    /// The steps of all actors together.
    all_steps: Arc<AtomicU64>,
}

impl Actor {
    fn new(place: Place, name: &'static str, all_steps: Arc<AtomicU64>) -> Self {
        Self {
            place,
            name,
            at: Mutex::new(("nothing", Instant::now())),
            slowest: Mutex::default(),
            steps: AtomicU64::new(0),
            all_steps,
        }
    }

    /// Waits for one operation, and says so meanwhile.
    async fn step<F: Future>(&self, name: &'static str, operation: F) -> F::Output {
        let before = std::mem::replace(&mut *self.at.lock(), (name, Instant::now()));
        let output = operation.await;
        let mut slowest = self.slowest.lock();
        *slowest = (*slowest).max(before.1.elapsed());
        drop(slowest);
        self.steps.fetch_add(1, Ordering::Relaxed);
        self.all_steps.fetch_add(1, Ordering::Relaxed);
        output
    }

    /// Begins a round.
    fn start(&self) {
        *self.at.lock() = ("nothing", Instant::now());
        *self.slowest.lock() = Duration::ZERO;
    }

    async fn connect(&self, vhost: &str) -> Result<Connection> {
        let uri = format!("amqp://test:secret@{}/{vhost}", self.place.amqp);
        let properties = ConnectionProperties::default().with_connection_name(self.name.into());
        let connected = self.step("connect", Connection::connect(&uri, properties));
        Ok(connected.await?)
    }

    async fn channel(&self) -> Result<(Connection, Channel)> {
        let connection = self.connect("%2f").await?;
        let channel = self.open_channel(&connection).await?;
        Ok((connection, channel))
    }

    async fn open_channel(&self, connection: &Connection) -> Result<Channel> {
        let opened = self.step("channel.open", connection.create_channel());
        Ok(opened.await?)
    }

    async fn close(&self, connection: &Connection) -> Result<()> {
        let closed = self.step("connection.close", connection.close(0, "".into()));
        Ok(closed.await?)
    }
}

/// Declares what stays.
pub(crate) async fn prepare(place: Place) -> Result<()> {
    once(place, "prepare", |actor| {
        Box::pin(async move {
            let (connection, channel) = actor.channel().await?;
            for queue in [STEADY, DEAD, SHARED] {
                rounds::declare(&actor, &channel, queue, &[], true).await?;
            }
            actor.close(&connection).await
        })
    })
    .await
}

/// Empties what stays.
pub(crate) async fn purge(place: Place) -> Result<()> {
    once(place, "purge", |actor| {
        Box::pin(async move {
            let (connection, channel) = actor.channel().await?;
            for queue in [STEADY, DEAD, SHARED] {
                let purged = channel.queue_purge(queue.into(), QueuePurgeOptions::default());
                actor.step("queue.purge", purged).await?;
            }
            actor.close(&connection).await
        })
    })
    .await
}

/// Does what may be repeated until its client gets through it.
async fn once(place: Place, name: &'static str, doing: fn(Arc<Actor>) -> Doing) -> Result<()> {
    let actor = Arc::new(Actor::new(place, name, Arc::default()));
    loop {
        match stall::outlast(&actor, doing(Arc::clone(&actor))).await {
            End::Done(outcome) => return outcome,
            End::Hangs(why) => bail!("{name} {why} at {}", actor.at.lock().0),
            End::Deaf | End::Gone => println!("{name} once more"),
        }
    }
}

/// How often something was done.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Made {
    pub(crate) rounds: u64,
    /// Rounds that the client's library did not get through, because it left in the kernel what the broker had sent.
    pub(crate) deaf: u64,
    /// Rounds that failed, or were not told of it, after they had been given no processor for so long that the broker
    /// lost its patience.
    pub(crate) late: u64,
}

type Doing = Pin<Box<dyn Future<Output = Result<()>> + Send>>;
type Round = fn(Arc<Actor>, fastrand::Rng) -> Doing;

/// Everybody at once, for a while.
pub(crate) async fn churn(place: Place, time: Duration, seed: u64) -> Result<Made> {
    let until = Instant::now() + time;
    let all_steps = Arc::<AtomicU64>::default();
    let rounds: [(&str, Round); 7] = [
        ("visit", |actor, random| {
            Box::pin(rounds::visit(actor, random))
        }),
        ("govern", |actor, random| {
            Box::pin(rounds::govern(actor, random))
        }),
        ("stream", |actor, random| {
            Box::pin(rounds::stream(actor, random))
        }),
        ("subscribe", |actor, random| {
            Box::pin(rounds::subscribe(actor, random))
        }),
        ("expire", |actor, random| {
            Box::pin(rounds::expire(actor, random))
        }),
        ("wire", |actor, random| {
            Box::pin(rounds::wire(actor, random))
        }),
        ("found", |actor, random| {
            Box::pin(rounds::found(actor, random))
        }),
    ];
    let mut actors = JoinSet::new();
    for (number, (name, round)) in (1..).zip(rounds) {
        let actor = Arc::new(Actor::new(place, name, Arc::clone(&all_steps)));
        let random = fastrand::Rng::with_seed(seed ^ number);
        actors.spawn(act(actor, until, random, round));
    }
    let mut total = Made::default();
    while let Some(done) = actors.join_next().await {
        let made = done??;
        total.rounds += made.rounds;
        total.deaf += made.deaf;
        total.late += made.late;
    }
    Ok(total)
}

/// Repeats a round until the time is over.
async fn act(
    actor: Arc<Actor>,
    until: Instant,
    mut random: fastrand::Rng,
    round: Round,
) -> Result<Made> {
    let mut made = Made::default();
    while Instant::now() < until {
        let doing = round(Arc::clone(&actor), random.fork());
        actor.start();
        match stall::outlast(&actor, doing).await {
            End::Done(Ok(())) => {}
            End::Done(Err(error)) if *actor.slowest.lock() >= IMPATIENCE => {
                println!(
                    "{} came too late at {}: {error:#}",
                    actor.name,
                    actor.at.lock().0
                );
                made.late += 1;
            }
            End::Done(Err(error)) => {
                return Err(error.context(format!("{} at {}", actor.name, actor.at.lock().0)));
            }
            End::Hangs(why) => bail!("{} {why} at {}", actor.name, actor.at.lock().0),
            End::Deaf => made.deaf += 1,
            End::Gone => made.late += 1,
        }
        made.rounds += 1;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(made)
}
