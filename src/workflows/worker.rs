//! The workflows as handlers of the durable queue.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::context::{Context, Timing};
use super::faults::{Faults, NoFaults};
use super::step::outcome;
use super::{broker_create, broker_delete, broker_reboot, broker_users};
use crate::db::{self, Pool};
use crate::jobs::{self, Claim, Handler, Handlers, Outcome};
use crate::model::clock::Clock;
use crate::model::entropy::Entropy;
use crate::model::job::Job;
use crate::provision::Provisioner;

/// How the workflows of a worker run.
#[derive(Clone)]
pub struct Options {
    pub jobs: jobs::Options,
    pub timing: Timing,
    pub faults: Arc<dyn Faults>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            jobs: jobs::Options::default(),
            timing: Timing::default(),
            faults: Arc::new(NoFaults),
        }
    }
}

/// Runs the jobs of workflows until `shutdown`.
pub async fn worker(
    pool: Pool,
    provisioner: Arc<dyn Provisioner>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    options: Options,
    shutdown: CancellationToken,
) {
    let jobs = options.jobs.clone();
    let bell = Arc::new(Notify::new());
    let listening = db::listen(&pool, db::JOBS_CHANNEL, |_| bell.notify_one());
    let handlers = handlers(pool.clone(), provisioner, clock, entropy, options);
    tokio::select! {
        () = jobs::run(pool.clone(), handlers, jobs, Arc::clone(&bell), shutdown) => {}
        () = listening => {}
    }
}

/// The handlers of all workflows, for a queue of the caller's own.
pub fn handlers(
    pool: Pool,
    provisioner: Arc<dyn Provisioner>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    options: Options,
) -> Handlers {
    let Options {
        faults,
        timing,
        jobs,
    } = options;
    let context = Context {
        pool,
        provisioner,
        clock,
        entropy,
        faults,
        timing,
        metrics: jobs.metrics,
    };
    let workflows: Arc<dyn Handler> = Arc::new(Workflows { context });
    [
        broker_create::NAME,
        broker_reboot::NAME,
        broker_delete::NAME,
        broker_users::NAME,
    ]
    .into_iter()
    .map(|kind| (kind, Arc::clone(&workflows)))
    .collect()
}

struct Workflows {
    context: Context,
}

impl Handler for Workflows {
    fn run(&self, claim: Claim) -> BoxFuture<'_, Outcome> {
        Box::pin(async move {
            let request_id = claim.request_id;
            let job = match serde_json::from_value::<Job>(claim.payload) {
                Ok(job) => job,
                Err(error) => return Outcome::Fail(format!("the payload cannot be read: {error}")),
            };
            outcome(match job {
                Job::BrokerCreate {
                    broker_id,
                    generation,
                } => {
                    let flow = self.context.flow(broker_create::NAME, request_id);
                    broker_create::run(&flow, &broker_id, generation).await
                }
                Job::BrokerReboot {
                    broker_id,
                    generation,
                } => {
                    let flow = self.context.flow(broker_reboot::NAME, request_id);
                    broker_reboot::run(&flow, &broker_id, generation).await
                }
                Job::BrokerDelete { broker_id } => {
                    let flow = self.context.flow(broker_delete::NAME, request_id);
                    broker_delete::run(&flow, &broker_id).await
                }
                Job::BrokerUsers { broker_id } => {
                    let flow = self.context.flow(broker_users::NAME, request_id);
                    broker_users::run(&flow, &broker_id).await
                }
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::BrokerId;

    #[test]
    fn every_job_has_its_workflow_of_the_same_name() {
        let broker_id = BrokerId::from_uuid(Uuid::nil());
        let create = Job::BrokerCreate {
            broker_id: broker_id.clone(),
            generation: 1,
        };
        let reboot = Job::BrokerReboot {
            broker_id: broker_id.clone(),
            generation: 1,
        };
        assert_eq!(create.kind(), broker_create::NAME);
        assert_eq!(reboot.kind(), broker_reboot::NAME);
        assert_eq!(Job::BrokerDelete { broker_id }.kind(), broker_delete::NAME);
    }
}
