//! The durable queue with a real database.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::PgPool;
use test_support::postgres;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use warren::db;
use warren::jobs::{self, Claim, Handler, Handlers, Options, Outcome};
use warren::model::clock::{Clock, SystemClock};
use warren::model::entropy::{Entropy, SystemEntropy};
use warren::model::job::Job;
use warren::model::{BrokerId, JobId};

/// Hands each run to the test, which says how it ends.
struct Puppet(mpsc::UnboundedSender<Run>);

struct Run {
    claim: Claim,
    end: tokio::sync::oneshot::Sender<Outcome>,
}

impl Handler for Puppet {
    fn run(&self, claim: Claim) -> BoxFuture<'_, Outcome> {
        Box::pin(async move {
            let (end, ended) = tokio::sync::oneshot::channel();
            self.0.send(Run { claim, end }).expect("the test listens");
            ended.await.unwrap_or(Outcome::Abandoned)
        })
    }
}

struct Queue {
    pool: PgPool,
    runs: mpsc::UnboundedReceiver<Run>,
    handlers: Handlers,
}

impl Queue {
    async fn start() -> Self {
        let (sender, runs) = mpsc::unbounded_channel();
        let puppet: Arc<dyn Handler> = Arc::new(Puppet(sender));
        let handlers = [("broker_delete", puppet)].into();
        Self {
            pool: postgres::database().await.pool,
            runs,
            handlers,
        }
    }

    fn work(&self, options: Options) -> (JoinHandle<()>, CancellationToken) {
        let shutdown = CancellationToken::new();
        let bell = Arc::new(Notify::new());
        let (pool, handlers) = (self.pool.clone(), self.handlers.clone());
        let worker = jobs::run(pool, handlers, options, bell, shutdown.clone());
        (tokio::spawn(worker), shutdown)
    }

    async fn insert(&self, key: u128) -> JobId {
        let (id, now) = (
            JobId(SystemEntropy.uuid_at(SystemClock.now())),
            SystemClock.now(),
        );
        let job = Job::BrokerDelete {
            broker_id: broker(key),
        };
        let mut conn = self.pool.acquire().await.unwrap();
        db::job_insert(&mut conn, id, &job, now).await.unwrap();
        id
    }

    async fn run(&mut self) -> Run {
        let run = tokio::time::timeout(Duration::from_secs(30), self.runs.recv()).await;
        run.expect("no job was run").expect("a worker lives")
    }

    async fn no_run_for(&mut self, time: Duration) {
        let run = tokio::time::timeout(time, self.runs.recv()).await;
        assert!(run.is_err(), "a job was run that had to wait");
    }

    async fn state(&self, id: JobId) -> String {
        let query = sqlx::query_scalar("select state from jobs where id = $1").bind(id.0);
        query.fetch_one(&self.pool).await.unwrap()
    }

    async fn ends_as(&self, id: JobId, state: &str) {
        let search = async {
            while self.state(id).await != state {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let found = tokio::time::timeout(Duration::from_secs(30), search).await;
        assert!(found.is_ok(), "{id} is {}", self.state(id).await);
    }
}

fn broker(key: u128) -> BrokerId {
    BrokerId::from_uuid(Uuid::from_u128(key))
}

fn quick() -> Options {
    Options {
        lease: Duration::from_millis(400),
        heartbeat: Duration::from_millis(100),
        poll: Duration::from_millis(20),
        retry_delay: Duration::from_millis(10),
        ..Options::default()
    }
}

#[tokio::test]
async fn jobs_of_one_key_run_one_at_a_time_in_order_and_others_beside_them() {
    let mut queue = Queue::start().await;
    let (first, second) = (queue.insert(1).await, queue.insert(1).await);
    let other = queue.insert(2).await;
    queue.work(quick());
    queue.work(quick());

    let (one, two) = (queue.run().await, queue.run().await);
    let mut running = [one.claim.id, two.claim.id];
    running.sort();
    let mut expected = [first, other];
    expected.sort();
    assert_eq!(running, expected);
    queue.no_run_for(Duration::from_millis(300)).await;

    let (head, _beside) = if one.claim.id == first {
        (one, two)
    } else {
        (two, one)
    };
    head.end.send(Outcome::Done).unwrap();
    assert_eq!(queue.run().await.claim.id, second);
    assert_eq!(queue.state(first).await, "done");
}

#[tokio::test]
async fn a_job_of_a_dead_worker_is_taken_over_and_a_living_one_keeps_its_own() {
    let mut queue = Queue::start().await;
    let id = queue.insert(1).await;
    let (dying, _) = queue.work(quick());
    let _first = queue.run().await;
    queue.work(quick());
    queue.no_run_for(quick().lease * 2).await;

    dying.abort();

    let taken_over = queue.run().await;
    assert_eq!((taken_over.claim.id, taken_over.claim.attempts), (id, 2));
    taken_over.end.send(Outcome::Done).unwrap();
    queue.ends_as(id, "done").await;
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_cannot_write_the_outcome() {
    let mut queue = Queue::start().await;
    let id = queue.insert(1).await;
    let (_, shutdown) = queue.work(quick());
    let stale = queue.run().await;
    // As if another worker had claimed it: the fence moves on.
    sqlx::query("update jobs set fence = fence + 1, lease_until = now() + interval '1 hour'")
        .execute(&queue.pool)
        .await
        .unwrap();
    shutdown.cancel();
    // The worker may have noticed, and dropped the run.
    drop(stale.end.send(Outcome::Done));
    queue.no_run_for(Duration::from_millis(300)).await;
    assert_eq!(queue.state(id).await, "running");
}

#[tokio::test]
async fn a_job_that_is_woken_while_it_runs_does_not_sleep() {
    let mut queue = Queue::start().await;
    queue.insert(1).await;
    queue.work(quick());
    let run = queue.run().await;
    let mut conn = queue.pool.acquire().await.unwrap();
    db::job_wake(&mut conn, broker(1).as_str(), SystemClock.now())
        .await
        .unwrap();
    run.end
        .send(Outcome::Wait(Duration::from_secs(3600)))
        .unwrap();

    let again = queue.run().await;
    assert_eq!(again.claim.attempts, 1, "waiting is no failed attempt");
    again
        .end
        .send(Outcome::Wait(Duration::from_secs(3600)))
        .unwrap();
    queue.no_run_for(Duration::from_millis(300)).await;

    db::job_wake(&mut conn, broker(1).as_str(), SystemClock.now())
        .await
        .unwrap();
    queue.run().await;
}

#[tokio::test]
async fn a_job_that_always_fails_ends_as_failed_and_frees_its_key() {
    let mut queue = Queue::start().await;
    let doomed = queue.insert(1).await;
    queue.work(Options {
        attempts_max: 3,
        ..quick()
    });
    for attempt in 1..=3 {
        let run = queue.run().await;
        assert_eq!(run.claim.attempts, attempt);
        run.end.send(Outcome::Retry("no luck".to_owned())).unwrap();
    }
    queue.ends_as(doomed, "failed").await;
    let next = queue.insert(1).await;
    assert_eq!(queue.run().await.claim.id, next);
}

#[tokio::test]
async fn shutdown_lets_the_current_run_end_and_claims_nothing_more() {
    let mut queue = Queue::start().await;
    let first = queue.insert(1).await;
    let (worker, shutdown) = queue.work(quick());
    let run = queue.run().await;
    shutdown.cancel();
    let second = queue.insert(2).await;
    run.end.send(Outcome::Done).unwrap();
    worker.await.unwrap();
    assert_eq!(queue.state(first).await, "done");
    assert_eq!(queue.state(second).await, "ready");
}
