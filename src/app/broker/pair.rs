//! Pairs of brokers in two regions: made with the replica, begun and ended by the primary's reboot,
//! turned round by Promote.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgConnection;

use super::lock;
use crate::{
    app::{App, Caller, audit::Change, caller::RequestTags},
    db,
    error::{Error, Kind},
    model::{
        Invalid, JobId,
        arn::{Resource, ResourceArn},
        authorisation::Action,
        broker::{
            Broker, State,
            replication::{Mode, Phase, PromoteMode, Role, check_primary},
            state::Request,
        },
    },
};

impl App {
    /// Makes a new broker the replica of another one, from that one's next reboot on.
    pub(super) async fn pair(
        &self,
        conn: &mut PgConnection,
        caller: &Caller,
        replica: &Broker,
        primary_arn: &str,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let unknown = || {
            let text = Error::not_found(Kind::Broker, primary_arn).to_string();
            Invalid::new("dataReplicationPrimaryBrokerArn", text)
        };
        let arn = ResourceArn::parse(primary_arn)
            .filter(|arn| arn.scope.account_id == replica.scope.account_id)
            .ok_or_else(unknown)?;
        let primary = match &arn.resource {
            Resource::Broker { id, .. } => db::broker_lock(conn, &arn.scope, id).await?,
            Resource::Configuration { .. } | Resource::All => None,
        };
        let primary = primary
            .filter(|primary| primary.arn() == arn)
            .ok_or_else(unknown)?;
        caller
            .may_on(conn, Action::UpdateBroker, &arn, RequestTags::None)
            .await?;
        let version = replica.intended.engine_version.minor();
        check_primary(&primary, &replica.scope.region, version)?;
        Ok(db::pair_create(conn, &primary.id, &replica.id, now).await?)
    }

    /// Has a pair end, or go on, at the primary's next reboot; one that has not begun is forgotten.
    pub(super) async fn replicate(
        &self,
        conn: &mut PgConnection,
        broker: &mut Broker,
        mode: Mode,
    ) -> Result<(), Error> {
        broker.replication = db::pair_fetch(conn, &broker.id).await?;
        let Some(pair) = &mut broker.replication else {
            return Ok(());
        };
        let phase = match (mode, pair.phase) {
            (Mode::None, Phase::Pending) => {
                db::pair_delete(conn, &broker.id, Phase::Pending).await?;
                broker.replication = None;
                return Ok(());
            }
            (Mode::Crdr, Phase::Pending) => return Ok(()),
            (Mode::None, Phase::Active | Phase::Ending) => Phase::Ending,
            (Mode::Crdr, Phase::Active | Phase::Ending) => Phase::Active,
        };
        if pair.phase != phase {
            pair.phase = phase;
            db::pair_set_phase(conn, &broker.id, phase).await?;
        }
        Ok(())
    }

    /// Makes a replica the primary of its pair, and the primary the replica.
    pub async fn promote(
        &self,
        caller: &Caller,
        id: &str,
        mode: Option<&str>,
    ) -> Result<(), Error> {
        let action = Action::Promote;
        let now = self.clock.now();
        let mut tx = self.begin().await?;
        let mut broker = lock(&mut tx, caller, action, id).await?;
        let mode = mode.ok_or_else(|| Invalid::missing("mode"))?;
        let mode = PromoteMode::parse(mode)?;
        let refused = |broker: &Broker, reason: &str| {
            let text = format!("Broker [{}] can't be promoted. {reason}", broker.id);
            Err(Error::from(Invalid::new("broker-id", text)))
        };
        if broker.engine_type.is_rabbitmq_like() {
            let reason = format!(
                "Data replication mode [CRDR] is not supported for engine type [{}].",
                broker.engine_type.name()
            );
            return refused(&broker, &reason);
        }
        let pair = match broker.replication.clone() {
            Some(pair) if pair.phase != Phase::Pending => pair,
            Some(_) | None => return refused(&broker, "It is not the replica of a broker."),
        };
        if pair.role == Role::Primary {
            return refused(&broker, "It is the primary broker of its pair.");
        }
        let counterpart = &pair.counterpart.broker_id;
        let primary = db::broker_find_locked(&mut tx, counterpart).await?;
        let Some(mut primary) = primary else {
            return refused(&broker, "Its primary broker is gone.");
        };
        if broker.state() != State::Replica {
            let reason = format!(
                "It is in state [{}]. It must be in state [REPLICA].",
                broker.state().name()
            );
            return refused(&broker, &reason);
        }
        // A failover is for when the primary is in trouble.
        if mode == PromoteMode::Switchover && primary.state() != State::Running {
            let reason = format!(
                "Its primary broker is in state [{}]. It must be in state [RUNNING].",
                primary.state().name()
            );
            return refused(&broker, &reason);
        }
        if db::pair_fetch(&mut tx, &broker.id).await? != Some(pair) {
            return refused(&broker, "Its pair changed meanwhile. Try again.");
        }
        db::pair_swap(&mut tx, &primary.id).await?;
        for broker in [&mut broker, &mut primary] {
            let job_id = JobId(self.entropy.uuid_at(now));
            db::pair_reboot(&mut tx, broker, job_id, now).await?;
        }
        let change = Change {
            action,
            resource: &broker.arn(),
            response: json!({"brokerId": broker.id.as_str()}),
            now,
        };
        self.audit(&mut tx, caller, change).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Whether a broker can be deleted as far as its pair is concerned; a pair that has not begun
    /// goes with either.
    pub(super) async fn part(&self, conn: &mut PgConnection, broker: &Broker) -> Result<(), Error> {
        let Some(pair) = db::pair_fetch(conn, &broker.id).await? else {
            return Ok(());
        };
        let waits = pair.phase == Phase::Pending;
        if waits && db::pair_delete(conn, &broker.id, Phase::Pending).await? {
            return Ok(());
        }
        let text = format!(
            "Broker [{}] can't be {} while it is paired with broker [{}] for data replication. Set \
             [dataReplicationMode] of the primary broker to [NONE] and reboot it first.",
            broker.id,
            Request::Delete.verb(),
            pair.counterpart.broker_id,
        );
        Err(Invalid::new("broker-id", text).into())
    }
}
