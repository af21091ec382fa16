//! Putting a job into the durable queue, in the transaction of the change that needs it, and
//! waking those that wait for the change. And what an operator does with jobs by hand.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use trace::TraceParent;
use uuid::Uuid;

use super::{
    Error, JOBS_CHANNEL, Result,
    row::{Place, to_json},
};
use crate::model::{
    BrokerId, JobId, RequestId,
    job::{Job, JobState, QueuedJob},
};

/// Adds a job that may run from `now` on, and tells the workers when the transaction commits. Older
/// jobs with its serial key are woken: what they wait for may be overtaken by it.
pub async fn job_insert(
    conn: &mut PgConnection,
    id: JobId,
    job: &Job,
    now: DateTime<Utc>,
) -> Result<()> {
    insert(conn, id, job, None, now).await
}

/// The call of the API that a job comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobOrigin {
    pub request_id: RequestId,
    /// What the call is traced as, if it is.
    pub trace: Option<TraceParent>,
}

/// [`job_insert`], and says which call of the API it comes from.
pub async fn job_insert_for(
    conn: &mut PgConnection,
    id: JobId,
    job: &Job,
    origin: JobOrigin,
    now: DateTime<Utc>,
) -> Result<()> {
    insert(conn, id, job, Some(origin), now).await
}

pub(super) async fn insert(
    conn: &mut PgConnection,
    id: JobId,
    job: &Job,
    origin: Option<JobOrigin>,
    now: DateTime<Utc>,
) -> Result<()> {
    hurry(conn, job.serial_key(), now).await?;
    sqlx::query(
        "insert into jobs (id, kind, payload, serial_key, request_id, traceparent, run_at, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $7)",
    )
    .bind(id.0)
    .bind(job.kind())
    .bind(to_json(job)?)
    .bind(job.serial_key())
    .bind(origin.map(|origin| origin.request_id.to_string()))
    .bind(origin.and_then(|origin| Some(origin.trace?.to_string())))
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

/// Forgets jobs that were done before `until`, at most `limit` of them. Returns how many.
pub async fn job_prune(conn: &mut PgConnection, until: DateTime<Utc>, limit: i64) -> Result<u64> {
    let done = sqlx::query(
        "delete from jobs where id in (
             select id from jobs where state = 'done' and finished_at < $1
             order by finished_at limit $2)",
    )
    .bind(until)
    .bind(limit)
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

macro_rules! select {
    ($tail:literal) => {
        concat!(
            "select id, payload, state, run_at, attempts, worker, lease_until, last_error,
                    request_id, created_at, finished_at from jobs ",
            $tail
        )
    };
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    payload: Value,
    state: String,
    run_at: DateTime<Utc>,
    attempts: i32,
    worker: Option<String>,
    lease_until: Option<DateTime<Utc>>,
    last_error: Option<String>,
    request_id: Option<String>,
    created_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for QueuedJob {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let place = Place {
            table: "jobs",
            row: &row.id.to_string(),
        };
        Ok(Self {
            id: JobId(row.id),
            job: place.json("payload", row.payload)?,
            state: place.need("state", JobState::parse(&row.state))?,
            run_at: row.run_at,
            attempts: row.attempts,
            worker: row.worker,
            lease_until: row.lease_until,
            last_error: row.last_error,
            request_id: row.request_id,
            created_at: row.created_at,
            finished_at: row.finished_at,
        })
    }
}

/// Jobs in these states, of one broker or of all, the newest first.
pub async fn job_list(
    conn: &mut PgConnection,
    states: &[JobState],
    broker_id: Option<&BrokerId>,
    limit: i64,
) -> Result<Vec<QueuedJob>> {
    let states: Vec<&str> = states.iter().map(|state| state.name()).collect();
    let rows: Vec<Row> = sqlx::query_as(select!(
        "where state = any ($1) and ($2::text is null or serial_key = $2)
         order by created_at desc, id desc limit $3"
    ))
    .bind(states)
    .bind(broker_id.map(BrokerId::as_str))
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(QueuedJob::try_from).collect()
}

/// The job, held until the transaction ends: no worker can claim or end it meanwhile.
pub async fn job_lock(conn: &mut PgConnection, id: JobId) -> Result<Option<QueuedJob>> {
    let row: Option<Row> = sqlx::query_as(select!("where id = $1 for update"))
        .bind(id.0)
        .fetch_optional(conn)
        .await?;
    row.map(QueuedJob::try_from).transpose()
}

pub async fn job_fetch(conn: &mut PgConnection, id: JobId) -> Result<Option<QueuedJob>> {
    let row: Option<Row> = sqlx::query_as(select!("where id = $1"))
        .bind(id.0)
        .fetch_optional(conn)
        .await?;
    row.map(QueuedJob::try_from).transpose()
}

/// Lets the job run at `now`, with all its attempts.
pub async fn job_retry(conn: &mut PgConnection, id: JobId, now: DateTime<Utc>) -> Result<()> {
    sqlx::query(
        "update jobs set state = 'ready', run_at = $2, attempts = 0, finished_at = null
         where id = $1",
    )
    .bind(id.0)
    .bind(now)
    .execute(&mut *conn)
    .await?;
    ring(conn).await
}

/// Takes the job out of the queue. A worker that has it loses its lease, and can write no outcome.
pub async fn job_cancel(conn: &mut PgConnection, id: JobId, now: DateTime<Utc>) -> Result<()> {
    sqlx::query(
        "update jobs set state = 'cancelled', fence = fence + 1, lease_until = null,
                         finished_at = $2
         where id = $1",
    )
    .bind(id.0)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}
