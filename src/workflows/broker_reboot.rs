//! A broker's next generation on the places it has.

use super::context::Flow;
use super::launch;
use super::step::Halt;
use crate::model::BrokerId;

pub(super) const NAME: &str = "broker_reboot";

pub(super) async fn run(flow: &Flow<'_>, id: &BrokerId, generation: i64) -> Result<(), Halt> {
    flow.step("ensure_intent", launch::ensure_intent(flow, id, generation))
        .await?;
    flow.step(
        "wait_ready",
        launch::wait_ready(flow.context, id, generation),
    )
    .await?;
    flow.step(
        "mark_applied",
        launch::mark_applied(flow.context, id, generation),
    )
    .await
}
