//! DescribeUser and ListUsers, and why the other operations on users are refused.

use super::find;
use crate::{
    app::{App, Caller, Page, PageRequest},
    db,
    error::{Error, Kind},
    model::{
        Invalid,
        authorisation::Action,
        broker::{Broker, BrokerUser, user},
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
        // A name that no user can have is not looked for: the database takes no zero bytes.
        let user = match user::check_username(username, broker.engine_type) {
            Ok(()) => db::broker_user_fetch(&mut conn, &broker.id, username).await?,
            Err(_) => None,
        };
        let user = user.ok_or_else(|| Error::not_found(Kind::User, username))?;
        Ok((broker, user))
    }

    /// The names of a broker's users, in their order.
    pub async fn list_users(
        &self,
        caller: &Caller,
        broker_id: &str,
        request: &PageRequest,
    ) -> Result<(Broker, Page<String>), Error> {
        let action = Action::ListUsers;
        let mut conn = self.pool.acquire().await?;
        let broker = find(&mut conn, caller, action, broker_id).await?;
        let after: Option<String> = self.position(caller, action, request)?;
        let after = after.as_deref().unwrap_or_default();
        let names = db::broker_user_names(&mut conn, &broker.id, after, request.limit()).await?;
        let page = self.page(caller, action, request, names, Clone::clone)?;
        Ok((broker, page))
    }

    /// Refuses to create, change or delete a user: the broker's own user database is the only
    /// one, and its console and management API change it at once.
    pub async fn change_user(
        &self,
        caller: &Caller,
        action: Action,
        broker_id: &str,
    ) -> Result<(), Error> {
        let mut conn = self.pool.acquire().await?;
        let broker = find(&mut conn, caller, action, broker_id).await?;
        let text = format!(
            "To manage broker users, please use the {} web console, or the management API",
            broker.engine_type.label()
        );
        Err(Invalid::new("", text).into())
    }
}
