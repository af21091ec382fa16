//! Timers that are set for long, on a thread of their own.
//!
//! A worker that waits for its sockets while it has a timer waits with a timeout, for which the kernel sets a clock anew
//! each time. In a virtual machine that costs more than 2 µs: a tenth of what a message costs that comes alone. So
//! whatever is always waiting, the heartbeats of connections and the node's own rounds, waits here, and the workers
//! wait without a timeout.

use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io, thread};

use tokio::runtime::{Builder, EnterGuard, Handle};
use tokio::time::{Instant, Interval, Sleep, interval_at, sleep};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Makes timers. Whoever holds one of them holds this as well: they end with it. The default makes those of the runtime
/// that it is used in.
#[derive(Clone, Default)]
pub struct Timers(Option<Arc<Thread>>);

struct Thread {
    runtime: Handle,
    _end: DropGuard,
}

impl Timers {
    /// Starts the thread, which ends with the last clone.
    pub(crate) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_time().build()?;
        let handle = runtime.handle().clone();
        let end = CancellationToken::new();
        let ended = end.clone();
        thread::Builder::new()
            .name("timers".to_owned())
            .spawn(move || runtime.block_on(ended.cancelled()))?;
        Ok(Self(Some(Arc::new(Thread {
            runtime: handle,
            _end: end.drop_guard(),
        }))))
    }

    /// Ends after `duration`.
    pub(crate) fn sleep(&self, duration: Duration) -> Sleep {
        let _entered = self.enter();
        sleep(duration)
    }

    /// Ticks after `first`, and then once a period.
    pub(crate) fn interval(&self, first: Duration, period: Duration) -> Interval {
        let _entered = self.enter();
        interval_at(Instant::now() + first, period)
    }

    fn enter(&self) -> Option<EnterGuard<'_>> {
        self.0.as_ref().map(|thread| thread.runtime.enter())
    }
}

impl fmt::Debug for Timers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timers").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_without_timers_can_wait_for_them() {
        let timers = Timers::start().unwrap();
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            timers.sleep(Duration::from_millis(1)).await;
            let mut interval = timers.interval(Duration::ZERO, Duration::from_millis(1));
            interval.tick().await;
            interval.tick().await;
        });
    }
}
