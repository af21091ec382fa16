//! The time of day, injected: what expires when is decided by whoever holds the clock.

use std::time::{Duration, SystemTime};

/// Tells the time.
pub trait Clock: std::fmt::Debug + Send + Sync {
    /// Milliseconds since 1970.
    fn now_ms(&self) -> u64;
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that is injected elsewhere"
    )]
    fn now_ms(&self) -> u64 {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since_1970.map_or(0, |duration: Duration| {
            u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
        })
    }
}
