//! Drives what expires: sleeps until the next deadline of the broker, or until a nearer one comes up.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::broker::{Broker, DeadlineListener};
use crate::timers::Timers;

/// The clock may be set: nothing is slept through for longer.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// Expiring reads the volume and runs queues: not more often than clients could tell.
const SLEEP_MIN: Duration = Duration::from_millis(1);

#[derive(Default)]
struct Alarm(Notify);

impl DeadlineListener for Alarm {
    fn nearer(&self) {
        self.0.notify_one();
    }
}

/// Runs until `shutdown`.
pub(super) fn start(
    broker: Arc<Broker>,
    timers: Timers,
    tasks: &TaskTracker,
    shutdown: CancellationToken,
) {
    let alarm = Arc::new(Alarm::default());
    let listener: std::sync::Weak<Alarm> = Arc::downgrade(&alarm);
    broker.on_nearer_deadline(listener);
    tasks.spawn(async move {
        while !shutdown.is_cancelled() {
            let ticked = Arc::clone(&broker);
            let next = tokio::task::spawn_blocking(move || {
                let now_ms = ticked.now_ms();
                let next_ms = ticked.tick(now_ms);
                next_ms.map(|at_ms| Duration::from_millis(at_ms.saturating_sub(now_ms)))
            });
            let Ok(next) = next.await else { return };
            let is_due = async {
                match next {
                    Some(next) => timers.sleep(next.clamp(SLEEP_MIN, SLEEP_MAX)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = is_due => {}
                () = alarm.0.notified() => {}
            }
        }
    });
}
