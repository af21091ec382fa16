//! Brokers that are not what was asked for, and that no job works on, get a job.

use std::time::Duration;

use crate::db::{self, Pool, Result};
use crate::model::JobId;
use crate::model::broker::Broker;
use crate::model::clock::Clock;
use crate::model::entropy::Entropy;
use crate::model::job::Job;

/// Lets one worker at a time look: two would both find the same job missing.
const EXCLUSIVE: i64 = 0x7761_7272_656e_0001;

const BATCH: i64 = 100;

/// Returns how many jobs were enqueued. Brokers whose last job ended within `quiet` are left for
/// the next time.
pub async fn enqueue_missing(
    pool: &Pool,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
    quiet: Duration,
) -> Result<usize> {
    let now = clock.now();
    let mut transaction = db::begin(pool).await?;
    if !db::try_exclusive(&mut transaction, EXCLUSIVE).await? {
        return Ok(0);
    }
    let mut enqueued = 0;
    for id in db::brokers_unattended(&mut transaction, now - quiet, BATCH).await? {
        let Some(broker) = db::broker_find(&mut transaction, &id).await? else {
            continue;
        };
        let job = missing(&broker);
        db::job_insert(&mut transaction, JobId(entropy.uuid_at(now)), &job, now).await?;
        tracing::warn!(broker = %id, job = job.kind(), "nobody worked on the broker");
        enqueued += 1;
    }
    transaction.commit().await?;
    Ok(enqueued)
}

/// What makes the broker what was asked for.
fn missing(broker: &Broker) -> Job {
    let broker_id = broker.id.clone();
    if broker.deletion_requested_at.is_some() {
        Job::BrokerDelete { broker_id }
    } else if broker.applied_generation == 0 {
        Job::BrokerCreate {
            broker_id,
            generation: broker.generation,
        }
    } else {
        Job::BrokerReboot {
            broker_id,
            generation: broker.generation,
        }
    }
}
