//! The start of a new generation of a broker's nodes: its values and its job, in one transaction.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{
    Result,
    broker::broker_relaunch,
    job::{self, JobOrigin},
};
use crate::model::{JobId, broker::Broker, job::Job};

/// Writes a broker after [`Broker::next_generation`], and queues the job that makes the generation
/// true, with the call of the API that it comes from, if any. `Stale` when another writer started a
/// generation meanwhile.
pub async fn broker_reboot(
    conn: &mut PgConnection,
    broker: &Broker,
    job_id: JobId,
    origin: Option<JobOrigin>,
    now: DateTime<Utc>,
) -> Result<()> {
    broker_relaunch(conn, broker).await?;
    let job = Job::BrokerReboot {
        broker_id: broker.id.clone(),
        generation: broker.generation,
    };
    job::insert(conn, job_id, &job, origin, now).await
}
