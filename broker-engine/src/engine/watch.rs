//! Looks at memory, disk and the log once a second, and raises the alarm or ends the engine; has counters sampled.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::broker::{Alarm, Broker};
use crate::timers::Timers;

const PERIOD: Duration = Duration::from_secs(1);

/// Bounds of what the node uses. None: not looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Memory use above which publishers are blocked.
    pub(super) memory_bytes: Option<u64>,
    /// Free disk space below which publishers are blocked.
    pub(super) disk_free_bytes: Option<u64>,
    /// Free disk space below which the log warns, once each time.
    pub(super) disk_free_warn_bytes: Option<u64>,
}

/// Watches until `shutdown`, which it cancels when the log failed: nothing is durable any more.
pub(super) fn start(
    broker: Arc<Broker>,
    limits: Limits,
    data_dir: PathBuf,
    timers: Timers,
    tasks: &TaskTracker,
    shutdown: CancellationToken,
) {
    tasks.spawn(async move {
        let mut is_warned = false;
        let mut ticks = timers.interval(Duration::ZERO, PERIOD);
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
            if let Some(limit) = limits.memory_bytes {
                watch(
                    &broker,
                    Alarm::Memory,
                    memory_used().map(|used| used > limit),
                );
            }
            let free = disk_free(&data_dir);
            if let Some(limit) = limits.disk_free_bytes {
                watch(&broker, Alarm::Disk, free.map(|free| free < limit));
                if broker.alarms().is_on(Alarm::Disk) {
                    // Consumers make room that only the log can give back, and it would take its time.
                    broker.make_room();
                }
            }
            if let Some((free, limit)) = free.zip(limits.disk_free_warn_bytes) {
                let is_low = free < limit;
                if is_low && !is_warned {
                    tracing::warn!(free, limit, "the volume is running full");
                }
                is_warned = is_low;
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
