//! Has connections look, now and then, whether consumers keep deliveries for too long.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::amqp::Server;
use crate::broker::Broker;
use crate::timers::Timers;

/// The limits themselves may change: nothing is slept through for longer.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// Each connection with a consumer is woken that often at most, however short the limit.
const PERIOD_MIN: Duration = Duration::from_millis(100);

/// How late a long limit may be noticed is bounded by this.
const PERIOD_MAX: Duration = Duration::from_mins(1);

/// Looks per limit.
const LOOKS: u32 = 20;

/// Runs until `shutdown`.
pub(super) fn start(
    broker: Arc<Broker>,
    server: Arc<Server>,
    timers: Timers,
    tasks: &TaskTracker,
    shutdown: CancellationToken,
) {
    tasks.spawn(async move {
        let start = Instant::now();
        let mut last = start;
        loop {
            let limit = broker.consumer_timeout_min_ms().map(Duration::from_millis);
            let period = limit.map(|limit| (limit / LOOKS).clamp(PERIOD_MIN, PERIOD_MAX));
            let pause = period.map_or(SLEEP_MAX, |period| {
                period.saturating_sub(last.elapsed()).min(SLEEP_MAX)
            });
            if shutdown
                .run_until_cancelled(timers.sleep(pause))
                .await
                .is_none()
            {
                return;
            }
            if period.is_some_and(|period| last.elapsed() >= period) {
                last = Instant::now();
                let now_ms = last.duration_since(start).as_millis();
                server.check_patience(u64::try_from(now_ms).unwrap_or(u64::MAX));
            }
        }
    });
}
