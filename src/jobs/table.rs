//! The queue's SQL. Every write after the claim carries the fence.

use std::time::Duration;

use sqlx::{PgConnection, Result};
use uuid::Uuid;

use super::handler::Claim;
use crate::model::JobId;

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    kind: String,
    payload: serde_json::Value,
    serial_key: String,
    attempts: i32,
    request_id: Option<String>,
    traceparent: Option<String>,
    fence: i64,
}

/// Takes the job that has been due longest, of those whose turn it is. What is not due yet is not
/// even read: a job that runs has been due, so one bound on the index serves both.
pub(super) async fn claim(
    conn: &mut PgConnection,
    kinds: &[&str],
    worker: &str,
    lease: Duration,
) -> Result<Option<Claim>> {
    let row: Option<Row> = sqlx::query_as(
        "with due as (
             select j.id from jobs j
             where j.state in ('ready', 'running') and j.run_at <= statement_timestamp()
               and (j.state = 'ready' or j.lease_until < statement_timestamp())
               and j.kind = any ($1)
               and not exists (
                   select from jobs o
                   where o.serial_key = j.serial_key and o.state in ('ready', 'running')
                     and o.id <> j.id
                     and ((o.created_at, o.id) < (j.created_at, j.id)
                          or (o.state = 'running' and o.lease_until >= clock_timestamp())))
             order by j.run_at, j.id limit 1 for update skip locked
         )
         update jobs set state = 'running', attempts = jobs.attempts + 1, fence = jobs.fence + 1,
                         woken = false, worker = $2,
                         lease_until = clock_timestamp() + make_interval(secs => $3)
         from due where jobs.id = due.id
         returning jobs.id, jobs.kind, jobs.payload, jobs.serial_key, jobs.attempts, jobs.request_id,
                   jobs.traceparent, jobs.fence",
    )
    .bind(kinds)
    .bind(worker)
    .bind(lease.as_secs_f64())
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Claim {
        id: JobId(row.id),
        kind: row.kind,
        payload: row.payload,
        serial_key: row.serial_key,
        attempts: row.attempts,
        request_id: row.request_id,
        trace: row.traceparent.and_then(|text| text.parse().ok()),
        fence: row.fence,
    }))
}

/// Lengthens the lease; `false` when it is lost.
pub(super) async fn renew(conn: &mut PgConnection, claim: &Claim, lease: Duration) -> Result<bool> {
    let done = sqlx::query(
        "update jobs set lease_until = clock_timestamp() + make_interval(secs => $3)
         where id = $1 and fence = $2 and state = 'running'",
    )
    .bind(claim.id.0)
    .bind(claim.fence)
    .bind(lease.as_secs_f64())
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends the job; `false` when the lease is lost.
pub(super) async fn finish(
    conn: &mut PgConnection,
    claim: &Claim,
    error: Option<&str>,
) -> Result<bool> {
    let done = sqlx::query(
        "update jobs set state = case when $3::text is null then 'done' else 'failed' end,
                         last_error = $3, lease_until = null, finished_at = clock_timestamp()
         where id = $1 and fence = $2 and state = 'running'",
    )
    .bind(claim.id.0)
    .bind(claim.fence)
    .bind(error)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Puts the job back, for `delay` or until it is woken; at once if it was woken while it ran.
/// `false` when the lease is lost. An `error` counts as an attempt, waiting does not.
pub(super) async fn put_back(
    conn: &mut PgConnection,
    claim: &Claim,
    delay: Duration,
    error: Option<&str>,
) -> Result<bool> {
    let done = sqlx::query(
        "update jobs set state = 'ready', lease_until = null, last_error = $4,
                         attempts = case when $4::text is null then 0 else attempts end,
                         run_at = clock_timestamp() + case
                             when woken and $4::text is null then interval '0'
                             else make_interval(secs => $3) end
         where id = $1 and fence = $2 and state = 'running'",
    )
    .bind(claim.id.0)
    .bind(claim.fence)
    .bind(delay.as_secs_f64())
    .bind(error)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
