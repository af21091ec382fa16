//! Stages the upgrades that nobody asks for: the latest patch where its owner wants that, and the
//! next version where support of the one in use has ended. The maintenance window applies them.
//!
//! Invariant: what an owner staged that leads as far is left alone, and a release that a broker
//! went back from is not staged for it again.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgConnection;

use crate::db::{self, Pool, Result};
use crate::model::BrokerId;
use crate::model::audit::AuditEvent;
use crate::model::broker::{Broker, StagedLaunch};
use crate::model::clock::Clock;
use crate::model::engine::{Situation, Upgrade, automatic};
use crate::model::entropy::Entropy;

/// Brokers in one situation that are looked at in one run.
const BATCH: i64 = 500;

/// Returns for how many brokers an upgrade was staged.
pub async fn plan_upgrades(pool: &Pool, clock: &dyn Clock, entropy: &dyn Entropy) -> Result<usize> {
    let now = clock.now();
    let mut conn = pool.acquire().await?;
    let catalogue = db::catalogue_fetch(&mut conn).await?;
    let mut staged = 0;
    for situation in db::engine_situations(&mut conn).await? {
        let Some(upgrade) = automatic(&catalogue, &situation, now.date_naive()) else {
            continue;
        };
        let release = &upgrade.release;
        for id in db::brokers_in_situation(&mut conn, &situation, release, BATCH).await? {
            let mut transaction = db::begin(pool).await?;
            if stage(&mut transaction, entropy, &id, (&situation, &upgrade), now).await? {
                transaction.commit().await?;
                staged += 1;
            }
        }
    }
    Ok(staged)
}

/// `false` when the broker is in another situation by now.
async fn stage(
    tx: &mut PgConnection,
    entropy: &dyn Entropy,
    id: &BrokerId,
    (situation, upgrade): (&Situation, &Upgrade),
    now: DateTime<Utc>,
) -> Result<bool> {
    let Some(mut broker) = db::broker_find_locked(tx, id).await? else {
        return Ok(false);
    };
    if of(&broker) != *situation || broker.deletion_requested_at.is_some() {
        return Ok(false);
    }
    let next = broker.next().with(StagedLaunch {
        engine_version: Some(upgrade.version.clone()),
        engine_release: Some(upgrade.release.clone()),
        ..StagedLaunch::default()
    });
    broker.stage(next);
    broker.staged.upgrade = Some(upgrade.reason);
    broker.updated_at = now;
    db::broker_update(tx, &broker).await?;
    let event = AuditEvent::of_service(
        entropy.uuid_at(now),
        &broker.scope,
        "mq:ScheduleUpgrade",
        &broker.arn(),
        (
            json!({"brokerId": broker.id.as_str()}),
            json!({"pending": broker.staged}),
        ),
        now,
    );
    db::audit_append(tx, &event).await?;
    tracing::info!(broker = %id, release = upgrade.release, reason = ?upgrade.reason, "staged an upgrade");
    Ok(true)
}

fn of(broker: &Broker) -> Situation {
    Situation {
        engine_type: broker.engine_type,
        version: broker.intended.engine_version.clone(),
        release: broker.intended.engine_release.clone(),
        staged_version: broker.staged.engine_version.clone(),
        staged_release: broker.staged.engine_release.clone(),
        auto_minor_version_upgrade: broker.settings.auto_minor_version_upgrade,
    }
}
