//! What is due while a process is watched: its health checks, and its certificate.

use std::time::Duration;

use agent_api::Phase;
use tokio::time::Instant;

use super::certificate;
use super::health::Unwell;
use super::state::Files;
use crate::identity::sleep_until;
use crate::retry::Backoff;
use crate::{Timing, files};

/// A ready node is called starting again after this many failed round trips in a row.
const FAILED_CHECKS_MAX: u32 = 3;

/// How often a node that is coming up is asked: quickly at first, for start-up is mostly short.
const FIRST_CHECK: Duration = Duration::from_millis(20);
const STARTING_CHECK_MAX: Duration = Duration::from_millis(500);

/// When the certificate of the process that is watched is to be renewed.
pub(super) struct Renewal {
    backoff: Backoff,
    retry_at: Option<Instant>,
}

impl Default for Renewal {
    fn default() -> Self {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        Self {
            backoff,
            retry_at: None,
        }
    }
}

impl Renewal {
    pub(super) async fn due(&self, node: &Files) {
        if let Some(retry_at) = self.retry_at {
            tokio::time::sleep_until(retry_at).await;
        }
        // An adopted node whose facts are lost gets a fresh certificate, and with it fresh facts.
        if let Ok(Some(facts)) = files::read_json::<certificate::Facts>(&node.tls_facts()) {
            sleep_until(facts.renew_at).await;
        }
    }

    pub(super) fn done(&mut self, renewed: bool) {
        if renewed {
            self.backoff.succeeded();
            self.retry_at = None;
        } else {
            self.retry_at = Some(Instant::now() + self.backoff.failed());
        }
    }
}

/// The series of round trips through one process.
#[derive(Default)]
pub(super) struct Checks {
    ready: bool,
    failed_in_a_row: u32,
}

impl Checks {
    pub(super) fn delay(&self, timing: &Timing) -> Duration {
        if self.ready && self.failed_in_a_row == 0 {
            return timing.health_period;
        }
        let grown = FIRST_CHECK.saturating_mul(1 << (self.failed_in_a_row / 8).min(8));
        grown.min(STARTING_CHECK_MAX)
    }

    /// The phase to report, when this outcome decides one.
    pub(super) fn judge(&mut self, outcome: Result<(), Unwell>) -> Option<(Phase, Option<String>)> {
        match outcome {
            Ok(()) => {
                *self = Self {
                    ready: true,
                    failed_in_a_row: 0,
                };
                Some((Phase::Ready, None))
            }
            Err(unwell) => {
                self.failed_in_a_row = self.failed_in_a_row.saturating_add(1);
                if self.ready && self.failed_in_a_row < FAILED_CHECKS_MAX {
                    tracing::warn!(%unwell, "a health check failed");
                    return None;
                }
                self.ready = false;
                Some((Phase::Starting, Some(unwell.to_string())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ready_node_is_doubted_only_after_several_failures() {
        let mut checks = Checks::default();
        assert_eq!(checks.judge(Err(Unwell::Slow)).unwrap().0, Phase::Starting);
        assert_eq!(checks.judge(Ok(())), Some((Phase::Ready, None)));
        assert_eq!(checks.judge(Err(Unwell::Slow)), None);
        assert_eq!(checks.judge(Err(Unwell::Slow)), None);
        let (phase, detail) = checks.judge(Err(Unwell::Slow)).unwrap();
        assert_eq!(phase, Phase::Starting);
        assert!(detail.unwrap().contains("did not end"));
        assert_eq!(checks.judge(Ok(())), Some((Phase::Ready, None)));
    }

    #[test]
    fn checks_are_quick_at_first_and_rare_once_ready() {
        let timing = Timing::default();
        let mut checks = Checks::default();
        assert_eq!(checks.delay(&timing), FIRST_CHECK);
        for _ in 0..1000 {
            checks.judge(Err(Unwell::Starting));
        }
        assert_eq!(checks.delay(&timing), STARTING_CHECK_MAX);
        checks.judge(Ok(()));
        assert_eq!(checks.delay(&timing), timing.health_period);
    }
}
