//! Maintenance windows and what was done in them.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    Error, Result,
    row::{Place, to_json},
};
use crate::model::{
    BrokerId,
    maintenance::{MaintenanceOutcome, MaintenanceRun, NodeAway, Schedule, WINDOW},
};

/// Sets when the next window is.
pub async fn maintenance_schedule_put(
    conn: &mut PgConnection,
    id: &BrokerId,
    schedule: &Schedule,
) -> Result<()> {
    sqlx::query(
        "insert into maintenance_schedules (broker_id, next_start, adjustments)
         values ($1, $2, $3)
         on conflict (broker_id)
         do update set next_start = excluded.next_start, adjustments = excluded.adjustments",
    )
    .bind(id.as_str())
    .bind(schedule.next_start)
    .bind(schedule.adjustments)
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn maintenance_schedule_fetch(
    conn: &mut PgConnection,
    id: &BrokerId,
) -> Result<Option<Schedule>> {
    let row: Option<(DateTime<Utc>, i32)> = sqlx::query_as(
        "select next_start, adjustments from maintenance_schedules where broker_id = $1",
    )
    .bind(id.as_str())
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|(next_start, adjustments)| Schedule {
        next_start,
        adjustments,
    }))
}

/// Brokers that have no schedule yet, oldest first.
pub async fn maintenance_unscheduled(conn: &mut PgConnection, limit: i64) -> Result<Vec<BrokerId>> {
    let ids: Vec<String> = sqlx::query_scalar(
        "select b.id from brokers b
         where not exists (select from maintenance_schedules s where s.broker_id = b.id)
         order by b.created_at limit $1",
    )
    .bind(limit)
    .fetch_all(conn)
    .await?;
    ids.into_iter().map(broker_id).collect()
}

/// Brokers whose window is over, those that have waited longest first.
pub async fn maintenance_over(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<BrokerId>> {
    let ids: Vec<String> = sqlx::query_scalar(
        "select broker_id from maintenance_schedules where next_start <= $1
         order by next_start, broker_id limit $2",
    )
    .bind(now - WINDOW)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    ids.into_iter().map(broker_id).collect()
}

/// Brokers whose window is open and that have something to apply, those that have waited longest
/// first. What is being created, rebooted or deleted waits while its window is open.
pub async fn maintenance_due(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<BrokerId>> {
    let ids: Vec<String> = sqlx::query_scalar(
        "select b.id from maintenance_schedules s join brokers b on b.id = s.broker_id
         where s.next_start <= $1 and s.next_start > $2
           and b.staged <> '{}' and b.applied_generation = b.generation
           and b.deletion_requested_at is null
         order by s.next_start, b.id limit $3",
    )
    .bind(now)
    .bind(now - WINDOW)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    ids.into_iter().map(broker_id).collect()
}

/// How many brokers are in the middle of it.
pub async fn maintenance_running(conn: &mut PgConnection) -> Result<i64> {
    let count =
        sqlx::query_scalar("select count(*) from maintenance_runs where outcome = 'started'")
            .fetch_one(conn)
            .await?;
    Ok(count)
}

pub async fn maintenance_run_create(conn: &mut PgConnection, run: &MaintenanceRun) -> Result<()> {
    sqlx::query(
        "insert into maintenance_runs (id, broker_id, window_start, changes, generation, outcome,
                                       started_at, finished_at, reason, nodes)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(run.id)
    .bind(run.broker_id.as_str())
    .bind(run.window_start)
    .bind(to_json(&run.changes)?)
    .bind(run.generation)
    .bind(stored(run.outcome).0)
    .bind(run.started_at)
    .bind(run.finished_at)
    .bind(&run.reason)
    .bind(to_json(&run.nodes)?)
    .execute(conn)
    .await?;
    Ok(())
}

/// How a run ended.
pub(super) struct Finish<'a> {
    pub(super) outcome: MaintenanceOutcome,
    pub(super) reason: Option<&'a str>,
    /// The release that was left again.
    pub(super) shunned_release: Option<&'a str>,
}

/// Ends the run that started this generation, or an earlier one that it replaced; `false` when
/// there is none.
pub(super) async fn maintenance_run_finish(
    conn: &mut PgConnection,
    id: &BrokerId,
    generation: i64,
    finish: &Finish<'_>,
    now: DateTime<Utc>,
) -> Result<bool> {
    let (outcome, rolled_back) = stored(finish.outcome);
    let done = sqlx::query(
        "update maintenance_runs
         set outcome = $3, finished_at = $4, rolled_back = $5, reason = $6,
             shunned_release = coalesce($7, shunned_release)
         where broker_id = $1 and generation <= $2 and outcome = 'started'",
    )
    .bind(id.as_str())
    .bind(generation)
    .bind(outcome)
    .bind(now)
    .bind(rolled_back)
    .bind(finish.reason)
    .bind(finish.shunned_release)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Notes how long the nodes were away in the run that started this generation and goes on.
pub async fn maintenance_run_away(
    conn: &mut PgConnection,
    id: &BrokerId,
    generation: i64,
    nodes: &[NodeAway],
) -> Result<()> {
    sqlx::query(
        "update maintenance_runs set nodes = $3
         where broker_id = $1 and generation = $2 and outcome = 'started'",
    )
    .bind(id.as_str())
    .bind(generation)
    .bind(to_json(&nodes)?)
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that a broker was taken off a release, so that it does not come back by itself.
pub async fn maintenance_run_shun(conn: &mut PgConnection, id: Uuid, release: &str) -> Result<()> {
    sqlx::query("update maintenance_runs set shunned_release = $2 where id = $1")
        .bind(id)
        .bind(release)
        .execute(conn)
        .await?;
    Ok(())
}

/// The columns of an outcome.
fn stored(outcome: MaintenanceOutcome) -> (&'static str, bool) {
    match outcome {
        MaintenanceOutcome::RolledBack => (MaintenanceOutcome::Failed.name(), true),
        MaintenanceOutcome::Started
        | MaintenanceOutcome::Completed
        | MaintenanceOutcome::Failed
        | MaintenanceOutcome::Missed => (outcome.name(), false),
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    broker_id: String,
    window_start: Option<DateTime<Utc>>,
    changes: Value,
    generation: Option<i64>,
    outcome: String,
    rolled_back: bool,
    reason: Option<String>,
    nodes: Value,
    started_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
}

/// What was done to a broker, newest first.
pub async fn maintenance_runs(
    conn: &mut PgConnection,
    id: &BrokerId,
    limit: i64,
) -> Result<Vec<MaintenanceRun>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select id, broker_id, window_start, changes, generation, outcome, rolled_back, reason,
                nodes, started_at, finished_at
         from maintenance_runs where broker_id = $1 order by started_at desc, id limit $2",
    )
    .bind(id.as_str())
    .bind(limit)
    .fetch_all(conn)
    .await?;
    let read = |row: Row| {
        let id = row.id.to_string();
        let place = Place {
            table: "maintenance_runs",
            row: &id,
        };
        let outcome = place.need("outcome", MaintenanceOutcome::parse(&row.outcome))?;
        Ok(MaintenanceRun {
            id: row.id,
            broker_id: broker_id(row.broker_id)?,
            window_start: row.window_start,
            changes: place.json("changes", row.changes)?,
            generation: row.generation,
            outcome: if row.rolled_back {
                MaintenanceOutcome::RolledBack
            } else {
                outcome
            },
            reason: row.reason,
            nodes: place.json("nodes", row.nodes)?,
            started_at: row.started_at,
            finished_at: row.finished_at,
        })
    };
    rows.into_iter().map(read).collect()
}

fn broker_id(text: String) -> Result<BrokerId> {
    BrokerId::parse(&text).ok_or(Error::Inconsistent {
        table: "brokers",
        column: "id",
        row: text,
    })
}
