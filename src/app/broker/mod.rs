//! Operations on brokers.

mod create;
mod delete;
mod describe;
mod list;
mod maintenance;
mod pair;
mod reboot;
mod secret;
mod update;
mod user;

use sqlx::PgConnection;

pub use create::CreateBrokerOutput;
pub use describe::BrokerDescription;
pub use maintenance::MaintenanceDescription;
pub use update::UpdateBrokerOutput;

use super::{Caller, caller::RequestTags};
use crate::{
    db,
    error::{Error, Kind},
    model::{BrokerId, authorisation::Action, broker::Broker},
};

/// The caller's broker named `id`.
async fn find(
    conn: &mut PgConnection,
    caller: &Caller,
    action: Action,
    id: &str,
) -> Result<Broker, Error> {
    let broker = match BrokerId::parse(id) {
        Some(id) => db::broker_fetch(conn, &caller.scope(), &id).await?,
        None => None,
    };
    allow(conn, broker, caller, action, id).await
}

/// Like [`find`], locked until the transaction ends.
async fn lock(
    conn: &mut PgConnection,
    caller: &Caller,
    action: Action,
    id: &str,
) -> Result<Broker, Error> {
    let broker = match BrokerId::parse(id) {
        Some(id) => db::broker_lock(conn, &caller.scope(), &id).await?,
        None => None,
    };
    allow(conn, broker, caller, action, id).await
}

async fn allow(
    conn: &mut PgConnection,
    broker: Option<Broker>,
    caller: &Caller,
    action: Action,
    id: &str,
) -> Result<Broker, Error> {
    let broker = broker.ok_or_else(|| Error::not_found(Kind::Broker, id))?;
    caller
        .may_on(conn, action, &broker.arn(), RequestTags::None)
        .await?;
    Ok(broker)
}
