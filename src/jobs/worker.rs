//! The loop of one worker process.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use super::handler::{Claim, Handlers, Outcome};
use super::table;
use crate::metrics::Metrics;

/// How a worker runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Names the worker in the table, for operators.
    pub worker: String,
    pub concurrency: usize,
    /// A dead worker's job is taken over after this long.
    pub lease: Duration,
    pub heartbeat: Duration,
    /// Notifications make the queue quick; polling makes it certain.
    pub poll: Duration,
    /// Delay after the first failure; it doubles up to `retry_delay_max`.
    pub retry_delay: Duration,
    pub retry_delay_max: Duration,
    /// After so many failures in a row the job is dead.
    pub attempts_max: i32,
    /// How long runs may go on after shutdown began.
    pub drain: Duration,
    pub metrics: Metrics,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            worker: "worker".to_owned(),
            concurrency: 16,
            lease: Duration::from_secs(4),
            heartbeat: Duration::from_secs(1),
            poll: Duration::from_millis(500),
            retry_delay: Duration::from_millis(200),
            retry_delay_max: Duration::from_secs(30),
            attempts_max: 40,
            drain: Duration::from_secs(10),
            metrics: Metrics::default(),
        }
    }
}

/// Works until `shutdown`, then lets the current runs end, and leaves those that do not to other
/// workers. `bell` rings when there may be something to do.
pub async fn run(
    pool: PgPool,
    handlers: Handlers,
    options: Options,
    bell: Arc<Notify>,
    shutdown: CancellationToken,
) {
    let worker = Arc::new(Worker {
        pool,
        handlers,
        options,
    });
    let mut runs = JoinSet::new();
    while !shutdown.is_cancelled() {
        while runs.try_join_next().is_some() {}
        worker.fill(&mut runs, &shutdown).await;
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = bell.notified() => {}
            () = tokio::time::sleep(worker.options.poll) => {}
            Some(_) = runs.join_next() => {}
        }
    }
    let drained = async { while runs.join_next().await.is_some() {} };
    if tokio::time::timeout(worker.options.drain, drained)
        .await
        .is_err()
    {
        tracing::warn!("jobs were still running at shutdown; other workers take them over");
    }
}

struct Worker {
    pool: PgPool,
    handlers: Handlers,
    options: Options,
}

impl Worker {
    /// Claims what is due, as far as there is room.
    async fn fill(self: &Arc<Self>, runs: &mut JoinSet<()>, shutdown: &CancellationToken) {
        while runs.len() < self.options.concurrency {
            match self.claim().await {
                // Claimed while the worker was told to stop: another one begins it.
                Ok(Some(claim)) if shutdown.is_cancelled() => {
                    if let Err(error) = self.write(&claim, &Outcome::Wait(Duration::ZERO)).await {
                        tracing::warn!(job = %claim.id, %error, "the claim was not given back");
                    }
                    return;
                }
                Ok(Some(claim)) => {
                    let worker = Arc::clone(self);
                    let request_id = claim.request_id.clone();
                    let span = tracing::error_span!("job", job = %claim.id, request_id);
                    let run = async move {
                        let traced = traced(&claim);
                        worker.execute(claim).instrument(traced).await;
                    };
                    runs.spawn(run.instrument(span));
                }
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, "no job can be claimed");
                    return;
                }
            }
        }
    }

    async fn claim(&self) -> sqlx::Result<Option<Claim>> {
        let kinds: Vec<&str> = self.handlers.keys().copied().collect();
        let mut conn = self.pool.acquire().await?;
        table::claim(&mut conn, &kinds, &self.options.worker, self.options.lease).await
    }

    async fn execute(&self, claim: Claim) {
        let started = Instant::now();
        let outcome = if claim.attempts > self.options.attempts_max {
            Outcome::Fail(format!(
                "gave up after {} attempts",
                self.options.attempts_max
            ))
        } else {
            let Some(handler) = self.handlers.get(claim.kind.as_str()) else {
                return;
            };
            tokio::select! {
                outcome = handler.run(claim.clone()) => outcome,
                () = self.hold_lease(&claim) => {
                    tracing::warn!(job = %claim.id, kind = claim.kind, "lost the job's lease");
                    return;
                }
            }
        };
        let took = started.elapsed();
        self.options
            .metrics
            .job_ran(&claim.kind, outcome.name(), took);
        self.log(&claim, &outcome, took);
        match self.write(&claim, &outcome).await {
            Ok(true) => {}
            Ok(false) => tracing::warn!(job = %claim.id, "the outcome came after the lease"),
            // The job is taken over when its lease ends, and the run repeated.
            Err(error) => tracing::warn!(job = %claim.id, %error, "the outcome was not written"),
        }
    }

    /// Renews the lease until that fails for as long as the lease lasts.
    async fn hold_lease(&self, claim: &Claim) {
        let mut held_until = Instant::now() + self.options.lease;
        while Instant::now() < held_until {
            tokio::time::sleep(self.options.heartbeat).await;
            let sent = Instant::now();
            let renewal = tokio::time::timeout_at(held_until, self.renew(claim)).await;
            match renewal {
                Ok(Ok(true)) => held_until = sent + self.options.lease,
                Ok(Ok(false)) => return,
                Ok(Err(error)) => {
                    tracing::warn!(job = %claim.id, %error, "the lease was not renewed")
                }
                Err(_) => return,
            }
        }
    }

    async fn renew(&self, claim: &Claim) -> sqlx::Result<bool> {
        let mut conn = self.pool.acquire().await?;
        table::renew(&mut conn, claim, self.options.lease).await
    }

    async fn write(&self, claim: &Claim, outcome: &Outcome) -> sqlx::Result<bool> {
        let mut conn = self.pool.acquire().await?;
        match outcome {
            Outcome::Done => table::finish(&mut conn, claim, None).await,
            Outcome::Fail(error) => table::finish(&mut conn, claim, Some(error)).await,
            Outcome::Wait(delay) => table::put_back(&mut conn, claim, *delay, None).await,
            Outcome::Retry(error) if claim.attempts >= self.options.attempts_max => {
                table::finish(&mut conn, claim, Some(error)).await
            }
            Outcome::Retry(error) => {
                let delay = retry_delay(claim.attempts, &self.options);
                table::put_back(&mut conn, claim, delay, Some(error)).await
            }
            Outcome::Abandoned => Ok(true),
        }
    }

    fn log(&self, claim: &Claim, outcome: &Outcome, took: Duration) {
        let (job, kind, key) = (claim.id, claim.kind.as_str(), claim.serial_key.as_str());
        let took_ms = took.as_millis();
        match outcome {
            Outcome::Done => tracing::info!(%job, kind, key, took_ms, "job done"),
            Outcome::Wait(delay) => {
                tracing::debug!(%job, kind, key, took_ms, ?delay, "job waits");
            }
            Outcome::Retry(error) => {
                let attempts = claim.attempts;
                tracing::warn!(%job, kind, key, took_ms, attempts, error, "job will be retried");
            }
            Outcome::Fail(error) => tracing::error!(%job, kind, key, took_ms, error, "job failed"),
            Outcome::Abandoned => tracing::warn!(%job, kind, key, "job abandoned"),
        }
    }
}

/// One run of a job, as a part of the call that it comes from.
fn traced(claim: &Claim) -> Span {
    let span = tracing::info_span!(
        target: trace::TARGET,
        parent: None,
        "job",
        otel.name = claim.kind,
        otel.kind = "consumer",
        warren.job = %claim.id,
        warren.broker = claim.serial_key,
        warren.attempt = claim.attempts,
        warren.request_id = claim.request_id,
    );
    trace::join(&span, claim.trace);
    span
}

/// Doubles with each attempt (from 1) up to the cap.
fn retry_delay(attempts: i32, options: &Options) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1))
        .unwrap_or(0)
        .min(20);
    options
        .retry_delay
        .saturating_mul(1 << doublings)
        .min(options.retry_delay_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_come_later_and_later_up_to_a_cap() {
        let options = Options::default();
        let delays: Vec<u128> = [0, 1, 2, 3, 8, 9, i32::MAX]
            .map(|n| retry_delay(n, &options).as_millis())
            .to_vec();
        assert_eq!(delays, [200, 200, 400, 800, 25_600, 30_000, 30_000]);
    }

    #[test]
    fn a_dead_workers_job_is_taken_over_within_five_seconds() {
        let options = Options::default();
        assert!(options.lease + options.poll <= Duration::from_secs(5));
        assert!(
            options.heartbeat * 3 <= options.lease,
            "two lost heartbeats cost no lease"
        );
    }
}
