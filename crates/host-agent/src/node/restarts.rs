//! When a node that exited may start again, and when its exits are a loop.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::retry;

const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(30);
const WINDOW: Duration = Duration::from_secs(60);

/// Exits within the window that make a loop: few of a process that never served, more of one that
/// did, because someone may be killing it on purpose.
const UNREADY_EXITS: usize = 5;
const EXITS: usize = 15;

/// The unexpected exits of one generation.
#[derive(Debug, Default)]
pub(super) struct Restarts {
    recent: VecDeque<Exit>,
    unready_in_a_row: u32,
    not_before: Option<Instant>,
}

#[derive(Debug)]
struct Exit {
    at: Instant,
    was_ready: bool,
}

impl Restarts {
    pub(super) fn exited(&mut self, now: Instant, was_ready: bool) {
        self.forget_old(now);
        self.recent.push_back(Exit { at: now, was_ready });
        self.unready_in_a_row = if was_ready {
            0
        } else {
            self.unready_in_a_row + 1
        };
        let delay = if self.looping(now) {
            LONGEST_DELAY
        } else {
            retry::delay(
                self.unready_in_a_row.max(1),
                FIRST_DELAY,
                LONGEST_DELAY,
                0.0,
            )
        };
        self.not_before = Some(now + delay);
    }

    pub(super) fn became_ready(&mut self) {
        self.unready_in_a_row = 0;
    }

    /// What is left of the delay before the next start.
    pub(super) fn pause(&self, now: Instant) -> Option<Duration> {
        let left = self.not_before?.saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    pub(super) fn looping(&self, now: Instant) -> bool {
        let recent = || self.recent.iter().filter(|exit| now - exit.at <= WINDOW);
        let unready = recent().filter(|exit| !exit.was_ready).count();
        // At the longest delay few exits fit into the window: a row of them still is a loop.
        unready >= UNREADY_EXITS
            || recent().count() >= EXITS
            || usize::try_from(self.unready_in_a_row).is_ok_and(|row| row >= UNREADY_EXITS)
    }

    fn forget_old(&mut self, now: Instant) {
        while self
            .recent
            .front()
            .is_some_and(|exit| now - exit.at > WINDOW)
        {
            self.recent.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exits_before_ready_delay_longer_and_longer_and_end_as_a_loop() {
        let mut restarts = Restarts::default();
        let mut now = Instant::now();
        let mut delays = Vec::new();
        for _ in 0..7 {
            restarts.exited(now, false);
            let delay = restarts.pause(now).unwrap();
            delays.push((delay.as_millis(), restarts.looping(now)));
            now += delay;
            assert_eq!(restarts.pause(now), None);
        }
        assert_eq!(
            delays,
            [
                (100, false),
                (200, false),
                (400, false),
                (800, false),
                (30_000, true),
                (30_000, true),
                (30_000, true),
            ]
        );
        restarts.became_ready();
        assert!(!restarts.looping(now + WINDOW));
    }

    #[test]
    fn a_node_that_served_comes_back_at_once() {
        let mut restarts = Restarts::default();
        let mut now = Instant::now();
        for _ in 0..EXITS - 1 {
            restarts.exited(now, true);
            assert_eq!(restarts.pause(now), Some(FIRST_DELAY));
            now += Duration::from_secs(1);
        }
        restarts.exited(now, true);
        assert!(
            restarts.looping(now),
            "{EXITS} exits in a minute are a loop, ready or not"
        );
        assert!(!restarts.looping(now + WINDOW));
    }
}
