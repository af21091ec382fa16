//! The steps that bring a generation of a broker's nodes up. Creating and rebooting share them.

use std::time::Duration;

use agent_api::{Phase, Run};

use super::context::{Context, Flow};
use super::step::Halt;
use crate::db::{self, Unique};
use crate::model::broker::Broker;
use crate::model::host::Host;
use crate::model::node::{Node, Placement};
use crate::model::{BrokerId, NodeId, node_intent};
use crate::provision::{HostLoad, PlacementRequest, Progress};

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
    for node in nodes(&mut conn, id).await? {
        if node.placement.is_some() {
            continue;
        }
        let request = placement_request(&mut conn, context, &broker).await?;
        match context.provisioner.place(node.id, request).await? {
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

async fn placement_request(
    conn: &mut sqlx::PgConnection,
    context: &Context,
    broker: &Broker,
) -> Result<PlacementRequest, Halt> {
    let now = context.clock.now();
    let loads = db::host_loads(conn).await?;
    let siblings = db::nodes_of_broker(conn, &broker.id).await?;
    let is_home = |host: &Host| {
        let mut places = siblings.iter().filter_map(|node| node.placement);
        places.any(|place| place.host_id == host.id)
    };
    let heard_of = |seen: chrono::DateTime<chrono::Utc>| {
        (now - seen).to_std().unwrap_or_default() <= context.timing.host_silent_after
    };
    let hosts = db::host_list(conn, None).await?;
    let homes = hosts.iter().filter(|host| is_home(host));
    let zones_taken = homes.map(|host| host.zone.clone()).collect();
    let hosts = hosts
        .into_iter()
        .filter(|host| host.last_seen_at.is_some_and(heard_of))
        .map(|host| HostLoad {
            nodes: loads
                .iter()
                .find(|(id, _)| *id == host.id)
                .map_or(0, |(_, nodes)| *nodes),
            id: host.id,
            zone: host.zone,
            provisioner: host.provisioner,
        });
    Ok(PlacementRequest {
        instance_type: broker.intended.host_instance_type.clone(),
        is_simulated: broker.is_simulated(),
        zones_taken,
        hosts: hosts.collect(),
        taken: db::addresses_taken(conn).await?,
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

pub(super) async fn ensure_intent(
    flow: &Flow<'_>,
    id: &BrokerId,
    generation: i64,
) -> Result<(), Halt> {
    let context = flow.context;
    let mut transaction = context.pool.begin().await?;
    let broker = current(&mut transaction, id, generation).await?;
    let catalogue = db::catalogue_fetch(&mut transaction).await?;
    let release = catalogue
        .find(broker.engine_type, &broker.intended.engine_version)
        .ok_or_else(|| Halt::Missing(format!("no engine release for broker {id}")))?;
    let users = db::broker_users(&mut transaction, id).await?;
    for node in nodes(&mut transaction, id).await? {
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
        let mut intent = node_intent::running(
            &broker,
            &node,
            &placement,
            release,
            &users,
            capacity.as_ref(),
        );
        intent.request_id.clone_from(&flow.request_id);
        db::node_intend(&mut transaction, &intent).await?;
    }
    transaction.commit().await?;
    Ok(())
}

pub(super) async fn wait_ready(
    context: &Context,
    id: &BrokerId,
    generation: i64,
) -> Result<(), Halt> {
    let mut conn = context.pool.acquire().await?;
    let broker = current(&mut conn, id, generation).await?;
    let nodes = nodes(&mut conn, id).await?;
    drop(conn);
    let Some(node) = nodes.iter().find(|node| !node.is_ready_at(generation)) else {
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
    let mut conn = context.pool.acquire().await?;
    let now = context.clock.now();
    if db::broker_mark_applied(&mut conn, id, generation, now).await? {
        tracing::info!(broker = %id, generation, "the broker runs");
    }
    Ok(())
}

fn is_overdue(context: &Context, broker: &Broker, patience: Duration) -> bool {
    let age = context.clock.now() - broker.created_at;
    age.to_std().is_ok_and(|age| age > patience)
}

/// Fails the creation; the customer can only delete the broker then.
async fn give_up<T>(context: &Context, broker: &Broker, reason: &str) -> Result<T, Halt> {
    if broker.applied_generation > 0 {
        return Err(Halt::Missing(reason.to_owned()));
    }
    let mut conn = context.pool.acquire().await?;
    let now = context.clock.now();
    db::broker_mark_failed(&mut conn, &broker.id, broker.generation, reason, now).await?;
    tracing::error!(broker = %broker.id, reason, "the broker cannot be created");
    Err(Halt::Finished)
}
