//! What a start tells the one who watches: a line for each step.

use std::time::Instant;

/// Lines go to stderr; stdout carries the summary alone.
#[derive(Debug)]
pub(super) struct Progress {
    started: Instant,
}

impl Progress {
    pub(super) fn start() -> Progress {
        Progress {
            started: Instant::now(),
        }
    }

    pub(super) fn step(&self, text: &str) {
        eprintln!("{:>6.2}s  {text}", self.started.elapsed().as_secs_f64());
    }
}
