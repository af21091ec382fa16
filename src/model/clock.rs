//! The one place that reads the wall clock. Everything else is given a [`Clock`] or an instant.

use chrono::{DateTime, SubsecRound, Utc};

pub trait Clock: Send + Sync {
    /// The present in whole microseconds, which is what the database keeps.
    fn now(&self) -> DateTime<Utc>;
}

#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        #[expect(
            clippy::disallowed_methods,
            reason = "the clock that everyone else is given"
        )]
        Utc::now().trunc_subsecs(6)
    }
}
