//! The steps that bring a generation of a broker's nodes up. Creating and rebooting share them.

use std::time::Duration;

use agent_api::{Phase, Run};
use chrono::{DateTime, Utc};
use serde_json::json;

use super::configuration::{self, configurations};
use super::context::{Context, Flow};
use super::inventory::Look;
use super::step::Halt;
use crate::db::{self, Unique};
use crate::model::audit::AuditEvent;
use crate::model::broker::Broker;
use crate::model::node::{Node, Placement};
use crate::model::{BrokerId, NodeId, node_intent};
use crate::provision::{PlacementRequest, Progress};

/// The broker, while `generation` still is what it shall become.
async fn current(
    conn: &mut sqlx::PgConnection,
    id: &BrokerId,
    generation: i64,
) -> Result<Broker, Halt> {
    let broker = db::broker_find(conn, id).await?.ok_or(Halt::Finished)?;
    let superseded = broker.generation != generation || broker.applied_generation >= generation;
    if superseded || broker.deletion_requested_at.is_some() || broker.failure.is_some() {
        return Err(Halt::Finished);
    }
    Ok(broker)
}

async fn nodes(conn: &mut sqlx::PgConnection, id: &BrokerId) -> Result<Vec<Node>, Halt> {
    let nodes = db::nodes_of_broker(conn, id).await?;
    if nodes.is_empty() {
        return Err(Halt::Missing(format!("broker {id} has no node")));
    }
    Ok(nodes)
}

pub(super) async fn ensure_node_rows(
    context: &Context,
    id: &BrokerId,
    generation: i64,
) -> Result<(), Halt> {
    let mut conn = context.pool.acquire().await?;
    let broker = current(&mut conn, id, generation).await?;
    let now = context.clock.now();
    for ordinal in (0..).take(broker.deployment_mode.nodes()) {
        let node_id = NodeId(context.entropy.uuid_at(now));
        db::node_create(&mut conn, node_id, &broker, ordinal, now).await?;
    }
    Ok(())
}

pub(super) async fn ensure_placement(
    context: &Context,
    id: &BrokerId,
    generation: i64,
) -> Result<(), Halt> {
    let mut conn = context.pool.acquire().await?;
    let broker = current(&mut conn, id, generation).await?;
    let nodes = nodes(&mut conn, id).await?;
    drop(conn);
    let look = Look::at(context);
    for node in nodes {
        if node.placement.is_some() {
            continue;
        }
        let request = placement_request(context, &broker).await?;
        match context.provisioner.place(node.id, request, &look).await? {
            Progress::Ready(placement) => place(context, &node, &placement).await?,
            Progress::Pending { ask_again, reason } => {
                tracing::warn!(broker = %id, reason, "no place for the node yet");
                if is_overdue(context, &broker, context.timing.creation_max) {
                    return give_up(context, &broker, &reason).await;
                }
                return Err(Halt::Wait {
                    reason: "there is a place",
                    check_after: ask_again,
                });
            }
            Progress::Failed(reason) => return give_up(context, &broker, &reason).await,
        }
    }
    Ok(())
}

async fn placement_request(context: &Context, broker: &Broker) -> Result<PlacementRequest, Halt> {
    let mut conn = context.pool.acquire().await?;
    Ok(PlacementRequest {
        instance_type: broker.intended.host_instance_type.clone(),
        is_simulated: broker.is_simulated(),
        zones_taken: db::zones_of_broker(&mut conn, &broker.id).await?,
    })
}

/// Records the place. Another workflow may have recorded it first: then there will be another.
async fn place(context: &Context, node: &Node, placement: &Placement) -> Result<(), Halt> {
    let mut conn = context.pool.acquire().await?;
    match db::node_place(&mut conn, node.id, placement).await {
        Ok(_) => {
            tracing::info!(node = %node.id, address = %placement.address, "placed the node");
            Ok(())
        }
        Err(db::Error::Taken(Unique::NodeAddress)) => {
            drop(conn);
            context.provisioner.release(node.id).await?;
            let check_after = Duration::from_millis(u64::from(fastrand::u8(1..50)));
            Err(Halt::Wait {
                reason: "another place is found",
                check_after,
            })
        }
        Err(error) => Err(error.into()),
    }
}

/// The ordinals of a broker's nodes, in the order in which they are restarted.
pub(super) async fn ordinals(
    context: &Context,
    id: &BrokerId,
    generation: i64,
) -> Result<Vec<i32>, Halt> {
    let mut conn = context.pool.acquire().await?;
    current(&mut conn, id, generation).await?;
    let nodes = nodes(&mut conn, id).await?;
    Ok(nodes.iter().map(|node| node.ordinal).collect())
}

/// Whether a node came up as before only: the others are not taken from what they run then.
pub(super) async fn went_back(
    context: &Context,
    id: &BrokerId,
    generation: i64,
) -> Result<bool, Halt> {
    let mut conn = context.pool.acquire().await?;
    let nodes = nodes(&mut conn, id).await?;
    let back = |node: &Node| node.rolled_back_at(generation).is_some();
    Ok(nodes.iter().any(back))
}

/// Tells the agents of all nodes, or of the one with this ordinal.
pub(super) async fn ensure_intent(
    flow: &Flow<'_>,
    id: &BrokerId,
    generation: i64,
    only: Option<i32>,
) -> Result<(), Halt> {
    let context = flow.context;
    let mut transaction = db::begin(&context.pool).await?;
    let broker = current(&mut transaction, id, generation).await?;
    let catalogue = db::catalogue_fetch(&mut transaction).await?;
    let missing = || Halt::Missing(format!("no engine release for broker {id}"));
    let of_launch = |launch| catalogue.of_launch(broker.engine_type, launch);
    let release = of_launch(&broker.intended).ok_or_else(missing)?;
    let before = broker.applied.as_ref();
    let before = before.and_then(|launch| Some((launch, of_launch(launch)?)));
    let users = db::broker_users(&mut transaction, id).await?;
    let configurations = match configurations(&mut transaction, &broker).await? {
        Ok(configurations) => configurations,
        Err(reason) => {
            drop(transaction);
            return configuration::refuse(context, &broker, reason).await;
        }
    };
    let nodes = nodes(&mut transaction, id).await?.into_iter();
    for node in nodes.filter(|node| only.is_none_or(|ordinal| node.ordinal == ordinal)) {
        // The host's capacity moves: writing the same generation twice could tell two stories.
        let told = |intent: &agent_api::NodeIntent| {
            intent.generation == generation && intent.run == Run::Running
        };
        if node.intended.as_ref().is_some_and(told) {
            continue;
        }
        let placement = node
            .placement
            .ok_or_else(|| Halt::Missing(format!("node {} has no place", node.id)))?;
        let host = db::host_fetch(&mut transaction, placement.host_id).await?;
        // 0 means that the agent could not tell.
        let capacity = host
            .and_then(|host| host.capacity)
            .filter(|host| host.memory_bytes > 0);
        let capacity = capacity.as_ref();
        let mut intent = node_intent::running(
            &broker,
            &node,
            &placement,
            release,
            &users,
            configurations.clone(),
            capacity,
        );
        intent.request_id.clone_from(&flow.request_id);
        intent.traceparent = trace::current().map(|span| span.to_string());
        if let Some((launch, old)) = before {
            let releases = (old, release);
            let gate = context.timing.gate_max;
            intent = node_intent::with_fallback(intent, launch, releases, capacity, gate);
        }
        db::node_intend(&mut transaction, &intent).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Waits for all nodes, or for the one with this ordinal.
pub(super) async fn wait_ready(
    context: &Context,
    id: &BrokerId,
    generation: i64,
    only: Option<i32>,
) -> Result<(), Halt> {
    let mut conn = context.pool.acquire().await?;
    let broker = current(&mut conn, id, generation).await?;
    let nodes = nodes(&mut conn, id).await?;
    drop(conn);
    let mut awaited = nodes
        .iter()
        .filter(|node| only.is_none_or(|ordinal| node.ordinal == ordinal));
    let Some(node) = awaited.find(|node| !node.is_ready_at(generation)) else {
        return Ok(());
    };
    let first = broker.applied_generation == 0;
    let looping = node.observed_phase_from(generation) == Some(Phase::CrashLooping);
    let patience = if looping {
        context.timing.crash_loop_max
    } else {
        context.timing.creation_max
    };
    // Only a creation fails: a broker that has run may hold messages, and is tried for ever.
    if first && is_overdue(context, &broker, patience) {
        let detail = node
            .observed
            .as_ref()
            .and_then(|observed| observed.detail.as_deref());
        let reason = format!(
            "its node does not come up: {}",
            detail.unwrap_or("no word of it")
        );
        return give_up(context, &broker, &reason).await;
    }
    Err(Halt::Wait {
        reason: "the nodes are ready",
        check_after: context.timing.check_after,
    })
}

pub(super) async fn mark_applied(
    context: &Context,
    id: &BrokerId,
    generation: i64,
) -> Result<(), Halt> {
    let now = context.clock.now();
    let mut transaction = db::begin(&context.pool).await?;
    let Some(broker) = db::broker_find_locked(&mut transaction, id).await? else {
        return Err(Halt::Finished);
    };
    if broker.generation != generation {
        return Err(Halt::Finished);
    }
    let nodes = nodes(&mut transaction, id).await?;
    let away: Vec<_> = nodes
        .iter()
        .filter_map(|node| node.away_at(generation))
        .collect();
    let reason = nodes
        .iter()
        .find_map(|node| node.rolled_back_at(generation));
    for node in &nodes {
        // What is proven needs no way back: an agent that lost its state must not take it.
        if let Some(last) = node
            .intended
            .as_ref()
            .filter(|last| last.fallback.is_some())
        {
            let rolled_back = node.rolled_back_at(generation).is_some();
            let settled = node_intent::settled(last, rolled_back);
            db::node_intend(&mut transaction, &settled).await?;
        }
    }
    // What a node runs without is not what the broker has.
    configuration::note_rejected(context, &mut transaction, id, generation, now).await?;
    db::maintenance_run_away(&mut transaction, id, generation, &away).await?;
    match reason {
        None => {
            if db::broker_mark_applied(&mut transaction, id, generation, now).await? {
                tracing::info!(broker = %id, generation, "the broker runs");
            }
        }
        Some(reason) => {
            let rolled_back = db::RolledBack {
                reason,
                nodes: &away,
                run_id: context.entropy.uuid_at(now),
            };
            if db::broker_mark_rolled_back(&mut transaction, &broker, rolled_back, now).await? {
                let event = rollback_event(context, &broker, reason, now);
                db::audit_append(&mut transaction, &event).await?;
                tracing::warn!(broker = %id, generation, reason, "the broker runs as before");
            }
        }
    }
    transaction.commit().await?;
    Ok(())
}

fn rollback_event(
    context: &Context,
    broker: &Broker,
    reason: &str,
    now: DateTime<Utc>,
) -> AuditEvent {
    let applied = broker.applied.as_ref();
    let changes = applied.map(|applied| applied.difference(broker.intended.clone()));
    AuditEvent::of_service(
        context.entropy.uuid_at(now),
        &broker.scope,
        "mq:MaintenanceRollback",
        &broker.arn(),
        (
            json!({"brokerId": broker.id.as_str(), "changes": changes}),
            json!({"outcome": "rolled_back", "reason": reason}),
        ),
        now,
    )
}

fn is_overdue(context: &Context, broker: &Broker, patience: Duration) -> bool {
    let age = context.clock.now() - broker.created_at;
    age.to_std().is_ok_and(|age| age > patience)
}

/// Fails the creation; the customer can only delete the broker then.
pub(super) async fn give_up<T>(
    context: &Context,
    broker: &Broker,
    reason: &str,
) -> Result<T, Halt> {
    if broker.applied_generation > 0 {
        return Err(Halt::Missing(reason.to_owned()));
    }
    let mut conn = context.pool.acquire().await?;
    let now = context.clock.now();
    db::broker_mark_failed(&mut conn, &broker.id, broker.generation, reason, now).await?;
    tracing::error!(broker = %broker.id, reason, "the broker cannot be created");
    Err(Halt::Finished)
}
