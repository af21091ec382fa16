//! Questions about the whole installation, which reconcilers ask.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{Error, Result};
use crate::model::BrokerId;

/// Brokers that are not what was asked for, and that no job works on: none is waiting or running,
/// none ended since `quiet_since`, and no operator took the one out of the queue that would do it.
/// Oldest first, at most `limit`.
pub async fn brokers_unattended(
    conn: &mut PgConnection,
    quiet_since: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<BrokerId>> {
    let ids: Vec<String> = sqlx::query_scalar(
        "select b.id from brokers b
         where (b.deletion_requested_at is not null
                or (b.applied_generation < b.generation and b.failure is null))
           and not exists (select from jobs j where j.serial_key = b.id
                           and j.state in ('ready', 'running'))
           and not exists (select from jobs j where j.serial_key = b.id
                           and j.state in ('done', 'failed') and j.finished_at > $1)
           and not exists (select from jobs j where j.serial_key = b.id and j.state = 'cancelled'
                           and case when b.deletion_requested_at is null
                               then (j.payload->>'generation')::bigint = b.generation
                               else j.kind = 'broker_delete' end)
         order by b.updated_at, b.id limit $2",
    )
    .bind(quiet_since)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    ids.into_iter().map(broker_id).collect()
}

fn broker_id(text: String) -> Result<BrokerId> {
    BrokerId::parse(&text).ok_or(Error::Inconsistent {
        table: "brokers",
        column: "id",
        row: text,
    })
}

/// Lets brokers overtake the generations that their hosts run and nobody here asked for: their next one
/// is later, with what is intended here. Returns which.
pub async fn brokers_catch_up(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
) -> Result<Vec<BrokerId>> {
    let ids: Vec<String> = sqlx::query_scalar(
        "with ahead as (
             select broker_id, max(overtaken_by) as generation from nodes
             where overtaken_by is not null group by broker_id
         )
         update brokers b set generation = ahead.generation + 1, failure = null, updated_at = $1
         from ahead
         where b.id = ahead.broker_id and b.generation <= ahead.generation
           and b.deletion_requested_at is null
         returning b.id",
    )
    .bind(now)
    .fetch_all(conn)
    .await?;
    ids.into_iter().map(broker_id).collect()
}

/// Whether the caller's transaction is the only one that has `key`; it keeps it to its end.
pub async fn try_exclusive(conn: &mut PgConnection, key: i64) -> Result<bool> {
    let acquired = sqlx::query_scalar("select pg_try_advisory_xact_lock($1)")
        .bind(key)
        .fetch_one(conn)
        .await?;
    Ok(acquired)
}
