//! Putting a job into the durable queue, in the transaction of the change that needs it, and
//! waking those that wait for the change.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{JOBS_CHANNEL, Result, row::to_json};
use crate::model::{JobId, job::Job};

/// Adds a job that may run from `now` on, and tells the workers when the transaction commits. Older
/// jobs with its serial key are woken: what they wait for may be overtaken by it.
pub async fn job_insert(
    conn: &mut PgConnection,
    id: JobId,
    job: &Job,
    now: DateTime<Utc>,
) -> Result<()> {
    hurry(conn, job.serial_key(), now).await?;
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
    ring(conn).await
}

/// Runs the waiting jobs with this serial key at `now` instead of later.
pub async fn job_wake(conn: &mut PgConnection, serial_key: &str, now: DateTime<Utc>) -> Result<()> {
    if hurry(conn, serial_key, now).await? {
        ring(conn).await?;
    }
    Ok(())
}

/// A job that is running is marked too: it may be about to wait for what just happened.
async fn hurry(conn: &mut PgConnection, serial_key: &str, now: DateTime<Utc>) -> Result<bool> {
    let done = sqlx::query(
        "update jobs set run_at = least(run_at, $2), woken = true
         where serial_key = $1 and state in ('ready', 'running')",
    )
    .bind(serial_key)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

async fn ring(conn: &mut PgConnection) -> Result<()> {
    sqlx::query("select pg_notify($1, '')")
        .bind(JOBS_CHANNEL)
        .execute(conn)
        .await?;
    Ok(())
}
