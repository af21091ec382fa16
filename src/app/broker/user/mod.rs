//! Users of brokers: what is told of them, and whose changes are refused.

mod at_once;
mod change;

use super::find;
use crate::{
    app::{App, Caller, Page, PageRequest},
    db,
    error::Error,
    model::{
        Invalid,
        authorisation::Action,
        broker::{Broker, BrokerUser, UserSummary},
    },
};

impl App {
    pub async fn describe_user(
        &self,
        caller: &Caller,
        broker_id: &str,
        username: &str,
    ) -> Result<(Broker, BrokerUser), Error> {
        let mut conn = self.pool.acquire().await?;
        let broker = find(&mut conn, caller, Action::DescribeUser, broker_id).await?;
        let user = change::user_of(&mut conn, &broker, username).await?;
        Ok((broker, user))
    }

    /// A broker's users by name.
    pub async fn list_users(
        &self,
        caller: &Caller,
        broker_id: &str,
        request: &PageRequest,
    ) -> Result<(Broker, Page<UserSummary>), Error> {
        let action = Action::ListUsers;
        let mut conn = self.pool.acquire().await?;
        let broker = find(&mut conn, caller, action, broker_id).await?;
        let after: Option<String> = self.position(caller, action, request)?;
        let after = after.as_deref().unwrap_or_default();
        let users = db::broker_user_list(&mut conn, &broker.id, after, request.limit()).await?;
        let page = self.page(caller, action, request, users, |last| last.username.clone())?;
        Ok((broker, page))
    }
}

/// Refuses to create, change or delete a user where the broker's own user database is the only
/// one: its console and management API change it at once.
fn refuse_to_manage(broker: &Broker) -> Result<(), Invalid> {
    if !broker.engine_type.is_rabbitmq_like() {
        return Ok(());
    }
    let text = format!(
        "To manage broker users, please use the {} web console, or the management API",
        broker.engine_type.label()
    );
    Err(Invalid::new("", text))
}
