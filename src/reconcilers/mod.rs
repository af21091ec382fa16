//! Periodic loops that compare what was asked for with what is, and enqueue what is missing.
//!
//! A reconciler takes no input and keeps no promise of its own: it may run late, twice, or on
//! several workers at once, and running it again changes nothing. It is how the installation
//! survives what nobody foresaw: a lost job, a bug that ended one too early, a silent host.

mod audit_pruner;
mod generation_watcher;
mod host_watcher;
mod job_pruner;
mod job_watcher;
mod maintenance_opener;
mod upgrade_planner;

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;

use crate::db::{self, Pool};
use crate::metrics::Metrics;
use crate::model::clock::Clock;
use crate::model::entropy::Entropy;

pub use audit_pruner::prune_audit;
pub use generation_watcher::catch_up;
pub use host_watcher::silent_hosts;
pub use job_pruner::prune_jobs;
pub use job_watcher::enqueue_missing;
pub use maintenance_opener::{Opened, open_windows};
pub use upgrade_planner::plan_upgrades;

/// How often the reconcilers look, and when they act.
#[derive(Debug, Clone)]
pub struct Options {
    pub period: Duration,
    /// A job that just ended is not replaced before this.
    pub quiet: Duration,
    pub host_silent_after: Duration,
    /// How long audit events are kept.
    pub audit_keep: TimeDelta,
    /// How long jobs are kept that are done.
    pub jobs_keep: TimeDelta,
    /// How many brokers may be in the middle of their maintenance at once.
    pub maintenance_running_max: u32,
    pub metrics: Metrics,
}

/// Few enough that a mistake in a release is seen before the whole fleet has it.
pub const MAINTENANCE_RUNNING_MAX: u32 = 50;

/// Upgrades wait for windows anyway: this many periods are soon enough to look for them.
const UPGRADES_EVERY: u64 = 12;

/// CloudTrail's event history reaches back as far.
pub const AUDIT_DAYS: u32 = 90;

impl Default for Options {
    fn default() -> Self {
        Self {
            period: Duration::from_secs(5),
            quiet: Duration::from_secs(5),
            host_silent_after: Duration::from_secs(30),
            audit_keep: TimeDelta::days(AUDIT_DAYS.into()),
            jobs_keep: TimeDelta::days(7),
            maintenance_running_max: MAINTENANCE_RUNNING_MAX,
            metrics: Metrics::default(),
        }
    }
}

/// Runs all reconcilers until `shutdown`.
pub async fn run(
    pool: Pool,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    options: Options,
    shutdown: CancellationToken,
) {
    let mut silent = Vec::new();
    let mut runs = 0_u64;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(options.period) => {}
        }
        let metrics = &options.metrics;
        let sweep = catch_up(&pool, &*clock);
        if let Err(error) = measured(metrics, "generation_watcher", sweep).await {
            tracing::warn!(%error, "generations cannot be compared");
        }
        let sweep = enqueue_missing(&pool, &*clock, &*entropy, options.quiet);
        match measured(metrics, "job_watcher", sweep).await {
            Ok(0) => {}
            Ok(jobs) => tracing::warn!(jobs, "enqueued jobs that were missing"),
            Err(error) => tracing::warn!(%error, "missing jobs cannot be looked for"),
        }
        if runs.is_multiple_of(UPGRADES_EVERY) {
            let sweep = plan_upgrades(&pool, &*clock, &*entropy);
            match measured(metrics, "upgrade_planner", sweep).await {
                Ok(0) => {}
                Ok(brokers) => tracing::info!(brokers, "staged upgrades"),
                Err(error) => tracing::warn!(%error, "upgrades cannot be planned"),
            }
        }
        runs = runs.wrapping_add(1);
        let running_max = options.maintenance_running_max.into();
        let sweep = open_windows(&pool, &*clock, &*entropy, running_max);
        match measured(metrics, "maintenance_opener", sweep).await {
            Ok(Opened { missed: 0, .. }) => {}
            Ok(Opened { missed, .. }) => tracing::warn!(missed, "maintenance windows were missed"),
            Err(error) => tracing::warn!(%error, "maintenance windows cannot be opened"),
        }
        let sweep = prune_audit(&pool, &*clock, options.audit_keep);
        match measured(metrics, "audit_pruner", sweep).await {
            Ok(0) => {}
            Ok(events) => tracing::info!(events, "forgot old audit events"),
            Err(error) => tracing::warn!(%error, "old audit events cannot be forgotten"),
        }
        let sweep = prune_jobs(&pool, &*clock, options.jobs_keep);
        match measured(metrics, "job_pruner", sweep).await {
            Ok(0) => {}
            Ok(jobs) => tracing::info!(jobs, "forgot jobs that were done"),
            Err(error) => tracing::warn!(%error, "old jobs cannot be forgotten"),
        }
        let sweep = silent_hosts(&pool, &*clock, options.host_silent_after);
        match measured(metrics, "host_watcher", sweep).await {
            Ok(hosts) => {
                host_watcher::tell(&silent, &hosts);
                silent = hosts;
            }
            Err(error) => tracing::warn!(%error, "silent hosts cannot be looked for"),
        }
    }
}

async fn measured<T>(
    metrics: &Metrics,
    reconciler: &'static str,
    sweep: impl Future<Output = db::Result<T>>,
) -> db::Result<T> {
    let started = Instant::now();
    let swept = sweep.await;
    metrics.swept(reconciler, started.elapsed(), swept.is_ok());
    swept
}
