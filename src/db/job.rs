//! Putting a job into the durable queue, in the transaction of the change that needs it.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{JOBS_CHANNEL, Result, row::to_json};
use crate::model::{JobId, job::Job};

/// Adds a job that may run from `now` on, and tells the workers when the transaction commits.
pub async fn job_insert(
    conn: &mut PgConnection,
    id: JobId,
    job: &Job,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query(
        "insert into jobs (id, kind, payload, serial_key, run_at, created_at)
         values ($1, $2, $3, $4, $5, $5)",
    )
    .bind(id.0)
    .bind(job.kind())
    .bind(to_json(job)?)
    .bind(job.serial_key())
    .bind(now)
    .execute(&mut *conn)
    .await?;
    sqlx::query("select pg_notify($1, '')")
        .bind(JOBS_CHANNEL)
        .execute(conn)
        .await?;
    Ok(())
}
