//! What every workflow has at hand.

use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument as _;

use super::faults::{Fault, Faults, When};
use super::step::Halt;
use crate::db::Pool;
use crate::metrics::Metrics;
use crate::model::clock::Clock;
use crate::model::entropy::Entropy;
use crate::provision::Provisioner;

/// Patience of the workflows.
#[derive(Debug, Clone)]
pub struct Timing {
    /// Agents' reports wake a waiting workflow; it looks by itself this often.
    pub check_after: Duration,
    /// A host that was not heard of for this long gets no new nodes.
    pub host_silent_after: Duration,
    /// A broker whose nodes have found no place, or not come up, for this long is failed.
    pub creation_max: Duration,
    /// A node that exits again and again in its creation is given up after this long.
    pub crash_loop_max: Duration,
    /// How long a node that was changed may take to prove itself before it goes back.
    pub gate_max: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            check_after: Duration::from_secs(2),
            host_silent_after: Duration::from_secs(30),
            creation_max: Duration::from_secs(15 * 60),
            crash_loop_max: Duration::from_secs(60),
            gate_max: Duration::from_secs(15 * 60),
        }
    }
}

pub(super) struct Context {
    pub(super) pool: Pool,
    pub(super) provisioner: Arc<dyn Provisioner>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) faults: Arc<dyn Faults>,
    pub(super) timing: Timing,
    pub(super) metrics: Metrics,
}

impl Context {
    /// The view of one workflow, whose name its steps carry.
    pub(super) fn flow(&self, name: &'static str, request_id: Option<String>) -> Flow<'_> {
        Flow {
            context: self,
            name,
            request_id,
        }
    }
}

/// One run of a workflow.
pub(super) struct Flow<'a> {
    pub(super) context: &'a Context,
    name: &'static str,
    /// Of the API call that it comes from.
    pub(super) request_id: Option<String>,
}

impl Flow<'_> {
    /// Runs one step, with the points around it where tests let things go wrong.
    pub(super) async fn step<T>(
        &self,
        name: &str,
        work: impl Future<Output = Result<T, Halt>>,
    ) -> Result<T, Halt> {
        let step = format!("{}.{name}", self.name);
        self.point(&step, When::Before)?;
        let span = tracing::info_span!(
            target: trace::TARGET,
            "step",
            otel.name = step,
            otel.status_code = tracing::field::Empty,
            warren.request_id = self.request_id,
            warren.outcome = tracing::field::Empty,
        );
        let result = work.instrument(span.clone()).await;
        if let Err(Halt::Wait { reason, .. }) = &result {
            tracing::debug!(step, reason, "waits");
        }
        let outcome = match &result {
            Ok(_) | Err(Halt::Finished) => "done",
            Err(Halt::Wait { .. }) => "waits",
            Err(
                Halt::Database(_)
                | Halt::Provisioner(_)
                | Halt::Missing(_)
                | Halt::Injected
                | Halt::Crashed,
            ) => "failed",
        };
        span.record("warren.outcome", outcome);
        if outcome == "failed" {
            span.record("otel.status_code", "ERROR");
        }
        self.context.metrics.step_ended(self.name, name, outcome);
        let done = result?;
        self.point(&step, When::After)?;
        Ok(done)
    }

    fn point(&self, step: &str, when: When) -> Result<(), Halt> {
        self.context
            .faults
            .at(step, when)
            .map_err(|fault| match fault {
                Fault::Fail => Halt::Injected,
                Fault::Crash => Halt::Crashed,
            })
    }
}
