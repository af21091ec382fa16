//! How long to wait, and how often to repeat.

use std::time::Duration;

/// For what takes a second on an idle machine: tests run beside each other on few cores.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// `WARREN_LONG` repeats what a test repeats so many times more, and turns samples into all.
pub(crate) fn long() -> Option<usize> {
    std::env::var("WARREN_LONG")
        .ok()?
        .parse()
        .ok()
        .filter(|&times| times > 1)
}

pub(crate) fn repeated(times: usize) -> usize {
    times * long().unwrap_or(1)
}
