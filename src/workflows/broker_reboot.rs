//! A broker's next generation on the places it has, one node at a time: the next one is not touched
//! before the one before it serves.

use super::context::Flow;
use super::launch;
use super::step::Halt;
use crate::model::BrokerId;

pub(super) const NAME: &str = "broker_reboot";

pub(super) async fn run(flow: &Flow<'_>, id: &BrokerId, generation: i64) -> Result<(), Halt> {
    for ordinal in launch::ordinals(flow.context, id, generation).await? {
        let only = Some(ordinal);
        flow.step(
            "ensure_intent",
            Box::pin(launch::ensure_intent(flow, id, generation, only)),
        )
        .await?;
        flow.step(
            "wait_ready",
            launch::wait_ready(flow.context, id, generation, only),
        )
        .await?;
        if launch::went_back(flow.context, id, generation).await? {
            break;
        }
    }
    flow.step(
        "mark_applied",
        launch::mark_applied(flow.context, id, generation),
    )
    .await
}
