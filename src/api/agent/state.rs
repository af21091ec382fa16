//! What the agents' endpoints share.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::intent_bell::IntentBell;
use super::strangers::Strangers;
use crate::db::Pool;
use crate::metrics::Metrics;
use crate::model::clock::Clock;
use crate::model::entropy::Entropy;
use crate::pki::Authority;

/// How long certificates are valid.
#[derive(Debug, Clone, Copy)]
pub struct Lifetimes {
    pub host: Duration,
    pub node: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        const NINETY_DAYS: Duration = Duration::from_secs(90 * 24 * 3600);
        Self {
            host: NINETY_DAYS,
            node: NINETY_DAYS,
        }
    }
}

#[derive(Clone)]
pub struct AgentState {
    pub(super) pool: Pool,
    pub(super) authority: Arc<Authority>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) lifetimes: Lifetimes,
    pub(super) bell: IntentBell,
    pub(super) shutdown: CancellationToken,
    pub(super) metrics: Metrics,
    pub(super) strangers: Arc<Strangers>,
}

impl AgentState {
    /// Starts listening for changed intents on a task that ends with `shutdown`, which also ends
    /// the long polls.
    pub fn start(
        pool: Pool,
        authority: Arc<Authority>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        lifetimes: Lifetimes,
        shutdown: CancellationToken,
    ) -> Self {
        let bell = IntentBell::start(pool.clone(), shutdown.clone());
        Self {
            pool,
            authority,
            clock,
            entropy,
            lifetimes,
            bell,
            shutdown,
            metrics: Metrics::default(),
            strangers: Arc::default(),
        }
    }

    /// Counts calls here.
    pub fn measured(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }
}
