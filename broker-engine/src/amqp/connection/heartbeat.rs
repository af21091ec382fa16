//! The clocks of one connection: heartbeats both ways, and patience with hello and goodbye.

use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, Sleep};

use crate::timers::Timers;

/// Time a client has from its first byte to `connection.open`, and from close to close-ok.
const PATIENCE: Duration = Duration::from_secs(10);

/// Half intervals of silence after which a client counts as gone (specification 4.2.7: two beats).
const SILENT_TICKS_MAX: u32 = 4;

/// What a connection is in, as far as its clocks care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Opening,
    /// Open, with the negotiated heartbeat interval; 0 for none.
    Open {
        heartbeat_s: u16,
    },
    Closing,
}

/// What became due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Elapsed {
    SendHeartbeat,
    Silence,
    Phase,
}

/// Timers of one connection.
pub(super) struct Deadlines {
    phase: Phase,
    patience: Option<Pin<Box<Sleep>>>,
    beat: Option<Interval>,
    has_sent: bool,
    has_received: bool,
    silent_ticks: u32,
    timers: Timers,
}

impl Deadlines {
    pub(super) fn new(timers: Timers) -> Self {
        Self {
            phase: Phase::Opening,
            patience: Some(Box::pin(timers.sleep(PATIENCE))),
            beat: None,
            has_sent: false,
            has_received: false,
            silent_ticks: 0,
            timers,
        }
    }

    /// Arms the timers of a new phase. Returns whether it is one: the timers are to be polled then.
    #[inline]
    pub(super) fn follow(&mut self, phase: Phase) -> bool {
        let is_new = self.phase != phase;
        if is_new {
            self.enter(phase);
        }
        is_new
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.beat = None;
        self.patience = None;
        match phase {
            Phase::Opening | Phase::Closing => {
                self.patience = Some(Box::pin(self.timers.sleep(PATIENCE)))
            }
            Phase::Open { heartbeat_s: 0 } => {}
            Phase::Open { heartbeat_s } => {
                let half = Duration::from_millis(u64::from(heartbeat_s) * 500);
                let mut beat = self.timers.interval(half, half);
                beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
                self.beat = Some(beat);
            }
        }
    }

    /// Bytes went to the client.
    pub(super) fn sent(&mut self) {
        self.has_sent = true;
    }

    /// Bytes came from the client.
    pub(super) fn received(&mut self) {
        self.has_received = true;
    }

    /// What is due now. A client that is not read from cannot be blamed for silence.
    pub(super) fn poll(&mut self, context: &mut Context<'_>, is_blocked: bool) -> Option<Elapsed> {
        if let Some(patience) = &mut self.patience
            && patience.as_mut().poll(context).is_ready()
        {
            self.patience = None;
            return Some(Elapsed::Phase);
        }
        while let Some(beat) = &mut self.beat
            && beat.poll_tick(context).is_ready()
        {
            let is_alive = std::mem::take(&mut self.has_received) || is_blocked;
            self.silent_ticks = if is_alive { 0 } else { self.silent_ticks + 1 };
            if self.silent_ticks >= SILENT_TICKS_MAX {
                return Some(Elapsed::Silence);
            }
            if !std::mem::take(&mut self.has_sent) {
                return Some(Elapsed::SendHeartbeat);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::task::Poll;

    async fn next(deadlines: &mut Deadlines, is_blocked: bool) -> Elapsed {
        poll_fn(|context| {
            deadlines
                .poll(context, is_blocked)
                .map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_silent_client_is_given_two_beats_and_a_blocked_one_is_not_blamed() {
        tokio::time::pause();
        let mut deadlines = Deadlines::new(Timers::default());
        assert!(deadlines.follow(Phase::Open { heartbeat_s: 10 }));
        assert!(!deadlines.follow(Phase::Open { heartbeat_s: 10 }));
        let start = tokio::time::Instant::now();
        for _ in 0..6 {
            assert_eq!(next(&mut deadlines, true).await, Elapsed::SendHeartbeat);
        }
        assert_eq!(start.elapsed().as_secs(), 30);
        while next(&mut deadlines, false).await != Elapsed::Silence {}
        assert_eq!(start.elapsed().as_secs(), 50);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn an_unopened_connection_is_not_waited_for_forever() {
        tokio::time::pause();
        assert_eq!(
            next(&mut Deadlines::new(Timers::default()), false).await,
            Elapsed::Phase
        );
    }
}
