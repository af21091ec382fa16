//! Maintenance: when it comes, putting it off, and not waiting for it.

use chrono::NaiveDate;
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
        broker::{Broker, Launch, StagedLaunch, state::Request},
        engine::{EngineRelease, NoWayBack, Previous, UpgradeReason, way_back},
        maintenance::{MaintenanceRun, Schedule},
        node::RejectedConfiguration,
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
    /// What serves it; `None` when the catalogue has nothing for its version.
    pub engine: Option<EngineRelease>,
    pub end_of_support: Option<NaiveDate>,
    /// What its owner may go back to.
    pub rollback: Option<Previous>,
    /// The configuration that the broker's nodes did not take last.
    pub rejected_configuration: Option<RejectedConfiguration>,
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
        if let Some(UpgradeReason::EndOfSupport { until }) = broker.staged.upgrade
            && later.next_start.date_naive() > until
        {
            let text = format!(
                "Maintenance of broker [{}] can't be put off: support of its engine version has \
                 ended, and it is upgraded until [{until}].",
                broker.id
            );
            return Err(Invalid::new("broker-id", text).into());
        }
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
        broker.check_alarms()?;
        let changes = broker.staged.clone();
        let users_wait = db::broker_users_pending(&mut tx, &broker.id).await?;
        if changes == StagedLaunch::default() && !users_wait && !broker.pair_waits() {
            let text = format!("Nothing waits for maintenance of broker [{}].", broker.id);
            return Err(Invalid::new("broker-id", text).into());
        }
        let replicas = JobId(self.entropy.uuid_at(now));
        db::pair_start(&mut tx, &broker, replicas, now).await?;
        broker.next_generation(now);
        let job_id = JobId(self.entropy.uuid_at(now));
        db::broker_reboot(&mut tx, &broker, job_id, Some(caller.origin()), now).await?;
        let run = MaintenanceRun::begun(self.entropy.uuid_at(now), &broker, changes, now);
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

    /// Goes back to the engine before, by a restart. Refused when that would lose what was
    /// confirmed since. The release that is left is not staged by itself again.
    pub async fn rollback_maintenance(
        &self,
        caller: &Caller,
        id: &str,
    ) -> Result<MaintenanceDescription, Error> {
        let action = Action::RollbackMaintenance;
        let now = self.clock.now();
        let mut tx = self.begin().await?;
        let mut broker = lock(&mut tx, caller, action, id).await?;
        broker
            .state()
            .check(Request::Reboot, self.settings.parity, &broker.id)?;
        let catalogue = db::catalogue_fetch(&mut tx).await?;
        let engine = broker.engine_type;
        let current = catalogue.of_launch(engine, broker.current());
        let previous = previous(&mut tx, &broker).await?;
        let back = current
            .ok_or(NoWayBack::Nowhere)
            .and_then(|current| Ok((way_back(&catalogue, engine, current, previous)?, current)));
        let (back, current) = back.map_err(|reason| {
            let text = format!(
                "Broker [{}] can't go back to another engine. {reason}",
                broker.id
            );
            Invalid::new("broker-id", text)
        })?;
        // What else waits goes on waiting, a pair that is to begin or to end too: whoever goes back wants what was before,
        // and nothing new with it.
        let waits = StagedLaunch {
            engine_version: None,
            engine_release: None,
            upgrade: None,
            ..broker.staged.clone()
        };
        let intended = broker.intended.clone();
        broker.stage(Launch {
            engine_version: back.version,
            engine_release: Some(back.release),
            ..intended
        });
        let changes = broker.staged.clone();
        broker.next_generation(now);
        broker.stage(broker.intended.clone().with(waits));
        let job_id = JobId(self.entropy.uuid_at(now));
        db::broker_reboot(&mut tx, &broker, job_id, None, now).await?;
        let run = MaintenanceRun::begun(self.entropy.uuid_at(now), &broker, changes, now);
        db::maintenance_run_create(&mut tx, &run).await?;
        db::maintenance_run_shun(&mut tx, run.id, &current.release).await?;
        let change = Change {
            action,
            resource: &broker.arn(),
            response: json!({"generation": broker.generation, "changes": run.changes}),
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
        let catalogue = db::catalogue_fetch(conn).await?;
        let engine = broker.engine_type;
        let current = catalogue.of_launch(engine, broker.current());
        let previous = previous(conn, &broker).await?;
        Ok(MaintenanceDescription {
            engine: current.cloned(),
            end_of_support: catalogue.end_of_support(engine, &broker.current().engine_version),
            rollback: current
                .and_then(|current| way_back(&catalogue, engine, current, previous).ok()),
            schedule: self.schedule(conn, &broker).await?,
            runs: db::maintenance_runs(conn, &broker.id, RUNS_MAX).await?,
            rejected_configuration: db::broker_rejected_configuration(conn, &broker.id).await?,
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

/// The engine that the broker's nodes ran with before, as far as it is known.
async fn previous(conn: &mut PgConnection, broker: &Broker) -> Result<Option<Previous>, Error> {
    let stored = db::broker_previous_engine(conn, &broker.id).await?;
    Ok(stored.and_then(|stored| {
        Some(Previous {
            version: stored.engine_version,
            release: stored.engine_release?,
        })
    }))
}
