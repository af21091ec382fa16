//! Opens maintenance windows: what waits for one is applied, a bounded number of brokers at once.
//!
//! Invariant: a window's use, the generation it starts and the move to the next window are one
//! transaction, so that a window is used once or not at all, whatever dies meanwhile.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgConnection;

use crate::db::{self, Pool, Result};
use crate::model::audit::AuditEvent;
use crate::model::broker::Broker;
use crate::model::broker::state::Request;
use crate::model::clock::Clock;
use crate::model::entropy::Entropy;
use crate::model::maintenance::{MaintenanceOutcome, MaintenanceRun, Opening, Schedule};
use crate::model::parity::Parity;
use crate::model::{BrokerId, JobId};

/// Lets one worker at a time look, so that the bound holds for all of them together.
const EXCLUSIVE: i64 = 0x7761_7272_656e_0002;
const BATCH: i64 = 500;

/// What a look at the windows came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Opened {
    /// Brokers that are restarted.
    pub started: usize,
    /// Windows that ended while something waited for them.
    pub missed: usize,
}

/// Uses the windows that are open, while no more than `running_max` brokers are in the middle of
/// it, and passes by those that are over.
pub async fn open_windows(
    pool: &Pool,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
    running_max: i64,
) -> Result<Opened> {
    let now = clock.now();
    let mut opened = Opened::default();
    let mut look = db::begin(pool).await?;
    if !db::try_exclusive(&mut look, EXCLUSIVE).await? {
        return Ok(opened);
    }
    for id in db::maintenance_unscheduled(&mut look, BATCH).await? {
        if let Some(broker) = db::broker_find(&mut look, &id).await? {
            let schedule = Schedule::first(&broker.settings.maintenance_window, now);
            db::maintenance_schedule_put(&mut look, &id, &schedule).await?;
        }
    }
    let mut places = running_max - db::maintenance_running(&mut look).await?;
    let mut due = db::maintenance_over(&mut look, now, BATCH).await?;
    if places > 0 {
        due.extend(db::maintenance_due(&mut look, now, BATCH).await?);
    }
    for id in due {
        // Each broker on its own: one that cannot be written must not keep the others waiting.
        let mut tx = db::begin(pool).await?;
        match use_window(&mut tx, entropy, &id, places > 0, now).await? {
            Some(MaintenanceOutcome::Missed) => opened.missed += 1,
            Some(_) => {
                places -= 1;
                opened.started += 1;
            }
            None => {}
        }
        tx.commit().await?;
        // Windows that are over came first; of those that are open, the rest has to wait.
        if opened.started > 0 && places == 0 {
            break;
        }
    }
    look.commit().await?;
    Ok(opened)
}

async fn use_window(
    tx: &mut PgConnection,
    entropy: &dyn Entropy,
    id: &BrokerId,
    has_place: bool,
    now: DateTime<Utc>,
) -> Result<Option<MaintenanceOutcome>> {
    let Some(mut broker) = db::broker_find_locked(tx, id).await? else {
        return Ok(None);
    };
    let Some(schedule) = db::maintenance_schedule_fetch(tx, id).await? else {
        return Ok(None);
    };
    let waits = broker.staged != Default::default()
        || broker.pair_waits()
        || db::broker_users_pending(tx, id).await?;
    let outcome = match schedule.opening(now) {
        Opening::NotYet => return Ok(None),
        Opening::Over if waits => MaintenanceOutcome::Missed,
        Opening::Over => {
            pass_by(tx, &broker, schedule, now).await?;
            return Ok(None);
        }
        Opening::Open if waits && has_place && may_restart(&broker) => MaintenanceOutcome::Started,
        Opening::Open => return Ok(None),
    };
    let changes = broker.staged.clone();
    let mut run = MaintenanceRun {
        id: entropy.uuid_at(now),
        broker_id: id.clone(),
        window_start: Some(schedule.next_start),
        changes,
        generation: None,
        outcome,
        reason: None,
        nodes: Vec::new(),
        started_at: now,
        finished_at: (outcome == MaintenanceOutcome::Missed).then_some(now),
    };
    if outcome == MaintenanceOutcome::Started {
        db::pair_start(tx, &broker, JobId(entropy.uuid_at(now)), now).await?;
        broker.next_generation(now);
        run.generation = Some(broker.generation);
        let job_id = JobId(entropy.uuid_at(now));
        db::broker_reboot(tx, &broker, job_id, None, now).await?;
    }
    db::maintenance_run_create(tx, &run).await?;
    db::audit_append(tx, &event(entropy, &broker, &run, now)).await?;
    pass_by(tx, &broker, schedule, now).await?;
    tracing::info!(broker = %id, window = %schedule.next_start, outcome = outcome.name(), "maintenance");
    Ok(Some(outcome))
}

/// Strict or not, the service restarts what its owner could restart.
fn may_restart(broker: &Broker) -> bool {
    broker.state().allows(Request::Reboot, Parity::Strict) && broker.check_alarms().is_ok()
}

async fn pass_by(
    tx: &mut PgConnection,
    broker: &Broker,
    schedule: Schedule,
    now: DateTime<Utc>,
) -> Result<()> {
    let next = schedule.next(&broker.settings.maintenance_window, now);
    db::maintenance_schedule_put(tx, &broker.id, &next).await
}

fn event(
    entropy: &dyn Entropy,
    broker: &Broker,
    run: &MaintenanceRun,
    now: DateTime<Utc>,
) -> AuditEvent {
    AuditEvent::of_service(
        entropy.uuid_at(now),
        &broker.scope,
        "mq:MaintenanceWindow",
        &broker.arn(),
        (
            json!({
                "brokerId": broker.id.as_str(),
                "windowStart": run.window_start,
                "changes": run.changes,
            }),
            json!({"outcome": run.outcome.name()}),
        ),
        now,
    )
}
