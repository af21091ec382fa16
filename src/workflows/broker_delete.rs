//! The end of a broker: its processes and volumes, then its places, then its rows.

use agent_api::Phase;

use super::context::{Context, Flow};
use super::step::Halt;
use crate::db;
use crate::model::node::Node;
use crate::model::{BrokerId, node_intent};
use crate::provision::Progress;

pub(super) const NAME: &str = "broker_delete";

pub(super) async fn run(flow: &Flow<'_>, id: &BrokerId) -> Result<(), Halt> {
    flow.step(
        "ensure_intent_absent",
        ensure_intent_absent(flow.context, id),
    )
    .await?;
    flow.step("wait_absent", wait_absent(flow.context, id))
        .await?;
    flow.step("release_placement", release_placement(flow.context, id))
        .await?;
    flow.step("delete_rows", delete_rows(flow.context, id))
        .await
}

/// The nodes of a broker that shall go.
async fn doomed_nodes(context: &Context, id: &BrokerId) -> Result<Vec<Node>, Halt> {
    let mut conn = context.pool.acquire().await?;
    let broker = db::broker_find(&mut conn, id)
        .await?
        .ok_or(Halt::Finished)?;
    if broker.deletion_requested_at.is_none() {
        return Err(Halt::Finished);
    }
    Ok(db::nodes_of_broker(&mut conn, id).await?)
}

async fn ensure_intent_absent(context: &Context, id: &BrokerId) -> Result<(), Halt> {
    for node in doomed_nodes(context, id).await? {
        if let Some(last) = &node.intended {
            let mut transaction = db::begin(&context.pool).await?;
            db::node_intend(&mut transaction, &node_intent::absent(last)).await?;
            transaction.commit().await?;
        }
    }
    Ok(())
}

async fn wait_absent(context: &Context, id: &BrokerId) -> Result<(), Halt> {
    for node in doomed_nodes(context, id).await? {
        // A node that no agent was told of has nothing to remove.
        let told = node.intended.is_some() && node.placement.is_some();
        if told && node.observed_phase_from(node.generation) != Some(Phase::Absent) {
            let check_after = context.timing.check_after;
            return Err(Halt::Wait {
                reason: "the nodes are gone",
                check_after,
            });
        }
    }
    Ok(())
}

async fn release_placement(context: &Context, id: &BrokerId) -> Result<(), Halt> {
    for node in doomed_nodes(context, id).await? {
        match context.provisioner.release(node.id).await? {
            Progress::Ready(()) => {}
            Progress::Pending { ask_again, .. } => {
                return Err(Halt::Wait {
                    reason: "the places are given back",
                    check_after: ask_again,
                });
            }
            Progress::Failed(reason) => return Err(Halt::Missing(reason)),
        }
    }
    Ok(())
}

async fn delete_rows(context: &Context, id: &BrokerId) -> Result<(), Halt> {
    let nodes = doomed_nodes(context, id).await?;
    let mut transaction = db::begin(&context.pool).await?;
    for node in nodes {
        db::node_delete(&mut transaction, node.id).await?;
    }
    db::broker_delete(&mut transaction, id).await?;
    transaction.commit().await?;
    tracing::info!(broker = %id, "the broker is gone");
    Ok(())
}
