//! A broker's users, told to its nodes while they live.

use agent_api::{NodeIntent, Run};

use super::context::{Context, Flow};
use super::step::Halt;
use crate::db;
use crate::model::{BrokerId, node_intent};

pub(super) const NAME: &str = "broker_users";

pub(super) async fn run(flow: &Flow<'_>, id: &BrokerId) -> Result<(), Halt> {
    flow.step("ensure_logins", ensure_logins(flow.context, id))
        .await
}

/// Writes the users into what each node is asked for. A node that is not asked for anything yet gets them with the rest.
async fn ensure_logins(context: &Context, id: &BrokerId) -> Result<(), Halt> {
    let mut transaction = db::begin(&context.pool).await?;
    let broker = db::broker_find(&mut transaction, id)
        .await?
        .ok_or(Halt::Finished)?;
    if broker.deletion_requested_at.is_some() {
        return Err(Halt::Finished);
    }
    let users = node_intent::logins(&db::broker_users(&mut transaction, id).await?);
    for node in db::nodes_of_broker(&mut transaction, id).await? {
        let running = node.intended.filter(|intent| intent.run == Run::Running);
        if let Some(intent) = running {
            let users = users.clone();
            db::node_intend(&mut transaction, &NodeIntent { users, ..intent }).await?;
        }
    }
    transaction.commit().await?;
    Ok(())
}
