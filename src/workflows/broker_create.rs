//! A broker's first generation: node rows, place, intent, a node that serves.

use super::context::Flow;
use super::launch;
use super::step::Halt;
use crate::model::BrokerId;

pub(super) const NAME: &str = "broker_create";

pub(super) async fn run(flow: &Flow<'_>, id: &BrokerId, generation: i64) -> Result<(), Halt> {
    flow.step(
        "ensure_node_rows",
        launch::ensure_node_rows(flow.context, id, generation),
    )
    .await?;
    flow.step(
        "ensure_placement",
        Box::pin(launch::ensure_placement(flow.context, id, generation)),
    )
    .await?;
    flow.step(
        "ensure_intent",
        Box::pin(launch::ensure_intent(flow, id, generation, None)),
    )
    .await?;
    flow.step(
        "wait_ready",
        launch::wait_ready(flow.context, id, generation, None),
    )
    .await?;
    flow.step(
        "mark_applied",
        launch::mark_applied(flow.context, id, generation),
    )
    .await
}
