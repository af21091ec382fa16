//! Maintenance: when it comes, putting it off, and not waiting for it.

use serde_json::json;
use sqlx::PgConnection;

use super::{find, lock};
use crate::{
    app::{App, Caller, audit::Change},
    db,
    error::Error,
    model::{
        Invalid, JobId,
        authorisation::Action,
        broker::{Broker, StagedLaunch, state::Request},
        job::Job,
        maintenance::{MaintenanceOutcome, MaintenanceRun, Schedule},
    },
};

/// How much of a broker's past is told.
const RUNS_MAX: i64 = 20;

/// What will be done to a broker and when, and what was.
#[derive(Debug, Clone)]
pub struct MaintenanceDescription {
    pub broker: Broker,
    pub schedule: Schedule,
    /// Newest first.
    pub runs: Vec<MaintenanceRun>,
}

impl App {
    pub async fn describe_maintenance(
        &self,
        caller: &Caller,
        id: &str,
    ) -> Result<MaintenanceDescription, Error> {
        let mut conn = self.pool.acquire().await?;
        let broker = find(&mut conn, caller, Action::DescribeMaintenance, id).await?;
        self.maintenance(&mut conn, broker).await
    }

    /// Puts the next window off by a week.
    pub async fn defer_maintenance(
        &self,
        caller: &Caller,
        id: &str,
    ) -> Result<MaintenanceDescription, Error> {
        let action = Action::DeferMaintenance;
        let now = self.clock.now();
        let mut tx = self.begin().await?;
        let broker = lock(&mut tx, caller, action, id).await?;
        let schedule = self.schedule(&mut tx, &broker).await?;
        let later = Schedule {
            adjustments: schedule.adjustments,
            ..schedule.next(
                &broker.settings.maintenance_window,
                schedule.next_start.max(now),
            )
        };
        db::maintenance_schedule_put(&mut tx, &broker.id, &later).await?;
        let change = Change {
            action,
            resource: &broker.arn(),
            response: json!({"nextWindowStart": later.next_start}),
            now,
        };
        self.audit(&mut tx, caller, change).await?;
        let description = self.maintenance(&mut tx, broker).await?;
        tx.commit().await?;
        Ok(description)
    }

    /// Applies what waits for the window now, as a reboot would.
    pub async fn apply_maintenance(
        &self,
        caller: &Caller,
        id: &str,
    ) -> Result<MaintenanceDescription, Error> {
        let action = Action::ApplyMaintenance;
        let now = self.clock.now();
        let mut tx = self.begin().await?;
        let mut broker = lock(&mut tx, caller, action, id).await?;
        broker
            .state()
            .check(Request::Reboot, self.settings.parity, &broker.id)?;
        let changes = broker.staged.clone();
        let users_wait = db::broker_users_pending(&mut tx, &broker.id).await?;
        if changes == StagedLaunch::default() && !users_wait {
            let text = format!("Nothing waits for maintenance of broker [{}].", broker.id);
            return Err(Invalid::new("broker-id", text).into());
        }
        broker.next_generation(now);
        db::broker_relaunch(&mut tx, &broker).await?;
        let job = Job::BrokerReboot {
            broker_id: broker.id.clone(),
            generation: broker.generation,
        };
        let job_id = JobId(self.entropy.uuid_at(now));
        db::job_insert_for(&mut tx, job_id, &job, caller.request_id, now).await?;
        let run = MaintenanceRun {
            id: self.entropy.uuid_at(now),
            broker_id: broker.id.clone(),
            window_start: None,
            changes,
            generation: Some(broker.generation),
            outcome: MaintenanceOutcome::Started,
            started_at: now,
            finished_at: None,
        };
        db::maintenance_run_create(&mut tx, &run).await?;
        let change = Change {
            action,
            resource: &broker.arn(),
            response: json!({"generation": broker.generation}),
            now,
        };
        self.audit(&mut tx, caller, change).await?;
        let description = self.maintenance(&mut tx, broker).await?;
        tx.commit().await?;
        Ok(description)
    }

    async fn maintenance(
        &self,
        conn: &mut PgConnection,
        broker: Broker,
    ) -> Result<MaintenanceDescription, Error> {
        Ok(MaintenanceDescription {
            schedule: self.schedule(conn, &broker).await?,
            runs: db::maintenance_runs(conn, &broker.id, RUNS_MAX).await?,
            broker,
        })
    }

    /// The broker's schedule; that of one that has none yet, as a worker would make it.
    pub(super) async fn schedule(
        &self,
        conn: &mut PgConnection,
        broker: &Broker,
    ) -> Result<Schedule, Error> {
        let schedule = db::maintenance_schedule_fetch(conn, &broker.id).await?;
        let window = &broker.settings.maintenance_window;
        Ok(schedule.unwrap_or_else(|| Schedule::first(window, self.clock.now())))
    }
}
