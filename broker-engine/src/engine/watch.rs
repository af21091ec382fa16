//! Looks at memory, disk and the log once a second, and raises the alarm or ends the engine; has counters sampled.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::broker::{Alarm, Broker};
use crate::options::Options;

const PERIOD: Duration = Duration::from_secs(1);

/// Watches until `shutdown`, which it cancels when the log failed: nothing is durable any more.
pub(super) fn start(
    broker: Arc<Broker>,
    options: &Options,
    tasks: &TaskTracker,
    shutdown: CancellationToken,
) {
    let memory_limit = options.memory_limit;
    let disk_free_limit = options.disk_free_limit;
    let data_dir = options.data_dir.clone();
    tasks.spawn(async move {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            let sampled = Arc::clone(&broker);
            // Whoever is busy is many: it takes its time.
            let sampling = tokio::task::spawn_blocking(move || sampled.sample(sampled.now_ms()));
            if let Err(error) = sampling.await {
                tracing::error!(%error, "counters are not sampled");
            }
            if let Some(error) = broker.failed() {
                tracing::error!(%error, "the message log failed; the engine ends");
                shutdown.cancel();
            }
            if let Some(limit) = memory_limit {
                watch(
                    &broker,
                    Alarm::Memory,
                    memory_used().map(|used| used > limit),
                );
            }
            if let Some(limit) = disk_free_limit {
                watch(
                    &broker,
                    Alarm::Disk,
                    disk_free(&data_dir).map(|free| free < limit),
                );
            }
        }
    });
}

/// What cannot be measured changes nothing.
fn watch(broker: &Broker, alarm: Alarm, is_on: Option<bool>) {
    if let Some(is_on) = is_on
        && is_on != broker.alarms().is_on(alarm)
    {
        tracing::warn!(?alarm, is_on, "resource alarm changed");
        broker.alarms().set(alarm, is_on);
    }
}

/// Bytes of memory this process holds.
fn memory_used() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

/// Bytes free for this process on the volume of the data directory.
fn disk_free(data_dir: &PathBuf) -> Option<u64> {
    let volume = rustix::fs::statvfs(data_dir).ok()?;
    Some(volume.f_bavail * volume.f_frsize)
}
