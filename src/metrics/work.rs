//! Jobs, the steps of workflows, and the sweeps of reconcilers.

use std::borrow::Cow;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{Metrics, durations};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    kind: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Step {
    workflow: &'static str,
    step: Cow<'static, str>,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reconciler {
    reconciler: &'static str,
}

#[derive(Debug)]
pub(super) struct Work {
    runs: Family<Ended, Counter>,
    run_seconds: Family<Kind, Histogram, fn() -> Histogram>,
    steps: Family<Step, Counter>,
    sweep_seconds: Family<Reconciler, Histogram, fn() -> Histogram>,
    sweep_failures: Family<Reconciler, Counter>,
}

impl Work {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let work = Self {
            runs: Family::default(),
            run_seconds: Family::new_with_constructor(durations),
            steps: Family::default(),
            sweep_seconds: Family::new_with_constructor(durations),
            sweep_failures: Family::default(),
        };
        registry.register(
            "job_runs",
            "Runs of jobs on this worker, by how they ended",
            work.runs.clone(),
        );
        registry.register(
            "job_run_seconds",
            "Time of one run of a job; one that waits runs several times",
            work.run_seconds.clone(),
        );
        registry.register(
            "workflow_steps",
            "Steps of workflows, by how they ended",
            work.steps.clone(),
        );
        registry.register(
            "reconciler_sweep_seconds",
            "Time of one sweep of a reconciler over the fleet",
            work.sweep_seconds.clone(),
        );
        registry.register(
            "reconciler_failures",
            "Sweeps that broke off",
            work.sweep_failures.clone(),
        );
        work
    }
}

impl Metrics {
    pub fn job_ran(&self, kind: &str, outcome: &'static str, took: Duration) {
        let work = &self.0.work;
        let kind = kind.to_owned();
        work.run_seconds
            .get_or_create(&Kind { kind: kind.clone() })
            .observe(took.as_secs_f64());
        work.runs.get_or_create(&Ended { kind, outcome }).inc();
    }

    /// `step` is a name in the code, so there is a handful of them.
    pub fn step_ended(&self, workflow: &'static str, step: &str, outcome: &'static str) {
        let step = Step {
            workflow,
            step: Cow::Owned(step.to_owned()),
            outcome,
        };
        self.0.work.steps.get_or_create(&step).inc();
    }

    pub fn swept(&self, reconciler: &'static str, took: Duration, succeeded: bool) {
        let work = &self.0.work;
        let reconciler = Reconciler { reconciler };
        work.sweep_seconds
            .get_or_create(&reconciler)
            .observe(took.as_secs_f64());
        if !succeeded {
            work.sweep_failures.get_or_create(&reconciler).inc();
        }
    }
}
