//! Which configuration a broker's nodes get, and what becomes of one that they do not take.
//!
//! A broker goes on with the configuration that it has: a rejected one is neither applied nor tried again until its owner
//! asks for it again. Each rejection is in the audit log.

use agent_api::{NodeConfiguration, RejectedConfiguration};
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgConnection;

use super::context::Context;
use super::launch::give_up;
use super::step::Halt;
use crate::db;
use crate::model::audit::{AuditError, AuditEvent};
use crate::model::broker::Broker;
use crate::model::configuration::{self, ConfigurationRef};
use crate::model::node_intent::Configurations;
use crate::model::{BrokerId, RequestId};

/// The configurations of a broker's next nodes, or why the intended one is none.
pub(super) async fn configurations(
    conn: &mut PgConnection,
    broker: &Broker,
) -> Result<Result<Configurations, String>, Halt> {
    let intended = match read(conn, broker, &broker.intended.configuration).await? {
        Ok(intended) => intended,
        Err(reason) => return Ok(Err(reason)),
    };
    let proven = match &broker.applied {
        Some(applied) => read(conn, broker, &applied.configuration).await?.ok(),
        None => None,
    };
    Ok(Ok(Configurations { intended, proven }))
}

async fn read(
    conn: &mut PgConnection,
    broker: &Broker,
    reference: &ConfigurationRef,
) -> Result<Result<NodeConfiguration, String>, Halt> {
    let ConfigurationRef { id, revision } = reference;
    let found = db::configuration_revision_fetch(conn, id, *revision).await?;
    let found = found
        .ok_or_else(|| Halt::Missing(format!("no revision {revision} of configuration {id}")))?;
    let version = &broker.intended.engine_version;
    let settings = configuration::node_settings(&found.data, broker.engine_type, version);
    Ok(settings
        .map(|settings| NodeConfiguration {
            id: id.to_string(),
            revision: *revision,
            settings,
        })
        .map_err(|invalid| invalid.message))
}

/// Goes on without a configuration that no node was asked to take: it was accepted under other rules.
pub(super) async fn refuse<T>(
    context: &Context,
    broker: &Broker,
    reason: String,
) -> Result<T, Halt> {
    if broker.applied.is_none() {
        return give_up(context, broker, &reason).await;
    }
    let ConfigurationRef { id, revision } = &broker.intended.configuration;
    let rejected = RejectedConfiguration {
        id: id.to_string(),
        revision: *revision,
        reason,
    };
    let mut transaction = db::begin(&context.pool).await?;
    let (generation, now) = (broker.generation, context.clock.now());
    reject(
        context,
        &mut transaction,
        broker,
        generation,
        &rejected,
        now,
    )
    .await?;
    transaction.commit().await?;
    Err(Halt::Wait {
        reason: "the configuration is taken back",
        check_after: std::time::Duration::ZERO,
    })
}

/// Takes back the configuration that a node of this generation runs without, if one does.
pub(super) async fn note_rejected(
    context: &Context,
    conn: &mut PgConnection,
    id: &BrokerId,
    generation: i64,
    now: DateTime<Utc>,
) -> Result<(), Halt> {
    let nodes = db::nodes_of_broker(conn, id).await?.into_iter();
    let mut observed = nodes.filter_map(|node| node.observed);
    let rejected = observed.find_map(|seen| {
        let is_current = seen.generation == generation;
        seen.rejected.filter(|_| is_current)
    });
    let Some(rejected) = rejected else {
        return Ok(());
    };
    let Some(broker) = db::broker_find(conn, id).await? else {
        return Ok(());
    };
    reject(context, conn, &broker, generation, &rejected, now).await
}

async fn reject(
    context: &Context,
    conn: &mut PgConnection,
    broker: &Broker,
    generation: i64,
    rejected: &RejectedConfiguration,
    now: DateTime<Utc>,
) -> Result<(), Halt> {
    if !db::broker_reject_configuration(conn, &broker.id, generation, rejected, now).await? {
        return Ok(());
    }
    let RejectedConfiguration {
        id,
        revision,
        reason,
    } = rejected;
    tracing::warn!(broker = %broker.id, configuration = id, revision, reason, "configuration rejected");
    let event_id = context.entropy.uuid_at(now);
    let event = AuditEvent {
        id: event_id,
        scope: broker.scope.clone(),
        principal_arn: "mq.amazonaws.com".to_owned(),
        user_identity: json!({"type": "AWSService", "invokedBy": "mq.amazonaws.com"}),
        action: "mq:RejectConfiguration".to_owned(),
        resource_arn: Some(broker.arn().to_string()),
        request_id: RequestId(event_id),
        source_address: None,
        user_agent: None,
        is_read: false,
        request: Some(json!({
            "brokerId": broker.id.as_str(),
            "configuration": {"id": id, "revision": revision},
        })),
        response: None,
        error: Some(AuditError {
            code: "ConfigurationRejected".to_owned(),
            message: reason.clone(),
        }),
        created_at: now,
    };
    Ok(db::audit_append(conn, &event).await?)
}
